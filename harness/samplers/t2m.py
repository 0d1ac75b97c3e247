"""T2M, token-to-mask remasking ("Remask, don't replace", 2026, arXiv 2604.18738, algorithm 1; synsis/remasked_DLM
`remask/modeling_remask.py`)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from harness.canvas import Ask, Canvas, Edit, State, StepView
from harness.prediction import Prediction
from harness.samplers.base import Real, Whole, param
from harness.samplers.schedule import best, block_index, top


@dataclass(frozen=True)
class T2M:
    """Confidence threshold by blocks, which masks suspicious tokens of its block again instead of replacing them.

    Each step unmasks what is more than τ confident, at least one position, and masks again the visible tokens that a
    rule finds suspicious, at most a share of them and each at most so many times:

    low_prob    the model gives the token a probability below `low`
    t2t_remask  the model is more than `sure` of another token
    logit_diff  the token's probability fell by more than `drop` since the step before

    A full block is looked over until nothing is masked again, or `post_steps` times; then the next block begins.

    Defaults are those of the paper's main results. The sources disagree: `low` is 0.3 in the paper, 0.1 in the README
    and 0.5 in the code; `max_remasks` 1, 3 and 5 (3 in its loader); τ 0.7 and 0.95; and the code lets every step mask
    at least one token again (`least=1`). The code's logit_diff makes no comparison in a block's second step.
    """

    tau: Real = param(0.7, "τ, the confidence beyond which a position is unmasked", low=0.0, high=1.0)
    rule: str = param("low_prob", "what is suspicious", choices=("low_prob", "t2t_remask", "logit_diff"))
    low: Real = param(0.3, "threshold of low_prob", low=0.0, high=1.0)
    sure: Real = param(0.9, "threshold of t2t_remask", low=0.0, high=1.0)
    drop: Real = param(0.3, "threshold of logit_diff", low=0.0, high=1.0)
    max_remasks: Whole = param(1, "how often a position may be masked again", low=0)
    ratio: Real = param(0.25, "share of the block's visible tokens that a step may mask again", low=0.0, high=1.0)
    least: Whole = param(0, "tokens that a step may always mask again", low=0)
    block: Whole = param(32, "block length; 0 = the whole canvas", low=0)
    post_steps: Whole = param(16, "how often a full block is looked over", low=0)

    def init(self, canvas: Canvas) -> State:
        row, position = torch.zeros_like(canvas.step), torch.zeros_like(canvas.tokens)
        return {"block": row, "looks": row, "remasks": position, "previous": position.float()}

    def step(self, view: StepView, ask: Ask) -> Edit:
        state = view.state
        block, count = block_index(view, self.block)
        here = view.canvas.editable & (block == state["block"][:, None])
        masked, visible = view.masked & here, view.visible & here
        prediction = ask(view.query(need=here))
        tokens = prediction.draw(view.random("tokens"))
        commit = best(prediction.confidence, masked) | (masked & (prediction.confidence > self.tau))

        standing = torch.where(masked, tokens, view.canvas.tokens)
        probability = prediction.logp(standing).exp()
        suspicious, urgency = self._suspicion(prediction, standing, probability, state["previous"])
        suspicious = suspicious & visible & (state["remasks"] < self.max_remasks)
        most = torch.floor(self.ratio * visible.sum(dim=1, keepdim=True).double()).to(torch.int64)
        most = torch.maximum(most, torch.as_tensor(self.least, device=most.device))
        remask = top(most.squeeze(1), urgency, suspicious)

        looks = state["looks"] + ~masked.any(dim=1)
        full = ~((masked & ~commit) | remask).any(dim=1)
        calm = ~(masked | remask).any(dim=1)
        leave = full & (calm | (looks >= torch.as_tensor(self.post_steps, device=looks.device).view(-1)))
        return Edit(
            commit,
            tokens,
            {
                "block": state["block"] + leave,
                "looks": looks.masked_fill(leave, 0),
                "remasks": state["remasks"] + remask,
                "previous": torch.where(here, probability, state["previous"]),
            },
            remask=remask,
            unfinished=state["block"] + leave < count.squeeze(1),
        )

    def _suspicion(
        self, prediction: Prediction, standing: Tensor, probability: Tensor, previous: Tensor
    ) -> tuple[Tensor, Tensor]:
        """(B, L) bool what the rule would mask again, and (B, L) which of it first, the higher the earlier."""
        if self.rule == "low_prob":
            return probability < self.low, -probability
        if self.rule == "t2t_remask":
            return (prediction.confidence > self.sure) & (prediction.top1 != standing), prediction.confidence
        fall = previous - probability
        return fall > self.drop, fall
