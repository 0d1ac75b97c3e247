"""FreeCorrection by leave-one-out scores: the second reading of Ouyang et al. 2026, arXiv 2602.02927 (Kegard/Lavida
`M3CoT/StepMask/free_correction.py`). `harness/samplers/freecorrection.py` is the released one."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from harness.canvas import Ask, Canvas, Edit, State, StepView
from harness.prediction import Prediction, Query
from harness.samplers.base import Real, param
from harness.samplers.schedule import gumbel, scheduled, top

_METRICS = ("time_aggregation", "confidence", "margin", "kl")


@dataclass(frozen=True)
class FreeCorrectionLOO:
    """Unmask the k most confident positions, then mask again the visible tokens that the rest of the canvas supports
    least, each judged with itself masked.

    Every step but the last masks max(1, ⌊ratio · k⌋) tokens again, and k = ⌈masks / steps left⌉ makes up for them. The
    score is log p(x_i | x_{−i}), summed over all steps so far and not reset by masking (time_aggregation), or that of
    this step alone (confidence); the margin of the two best tokens; or minus the KL divergence from the distribution
    found at the last look (kl: what changed most is masked again). The least is taken, or (stochastic) drawn without
    replacement with probability softmax(−score / temperature).

    Each visible token is one more sequence-forward; `chunk` of them are one call.
    """

    ratio: Real = param(0.25, "tokens masked again per token unmasked", low=0.0, high=1.0)
    metric: str = param("time_aggregation", "how a visible token is scored", choices=_METRICS)
    rule: str = param("deterministic", "how the least are chosen", choices=("deterministic", "stochastic"))
    rule_temperature: Real = param(1.0, "temperature of the stochastic rule", low=1e-6)
    chunk: int = param(16, "leave-one-out copies in one call", low=1)

    def init(self, canvas: Canvas) -> State:
        shape, device = canvas.tokens.shape, canvas.tokens.device
        if self.metric == "kl":
            # NaN = never looked at.
            return {"seen": torch.full((*shape, canvas.vocab_size), torch.nan, device=device)}
        return {"total": torch.zeros(shape, dtype=torch.float64, device=device)}

    def step(self, view: StepView, ask: Ask) -> Edit:
        prediction = ask()
        allowed, count = scheduled(view, 0)
        commit = top(count, prediction.confidence, allowed)
        fresh = prediction.draw(view.random("tokens"))
        tokens = torch.where(commit, fresh, view.canvas.tokens)

        corrects = (view.canvas.step + 1 < view.canvas.budget) & allowed.any(dim=1)
        scored = (view.visible | commit) & corrects[:, None] & (self.ratio > 0)
        score, state = self._scores(view, ask, tokens, scored)
        again = (count[:, None] * self.ratio).floor().to(torch.int64).clamp(min=1).squeeze(1)
        again = torch.minimum(again, (scored.sum(dim=1) - 1).clamp(min=0))
        if self.rule == "stochastic":
            score = score / self.rule_temperature - gumbel(view.random("remask"))
        remask = top(again, -score, scored)
        return Edit(commit & ~remask, fresh, state, remask=remask & ~commit)

    def _scores(self, view: StepView, ask: Ask, tokens: Tensor, scored: Tensor) -> tuple[Tensor, State]:
        """(B, L) float64: the score of each `scored` token, low = doubtful; and the state after it."""
        rank = torch.where(scored, scored.cumsum(dim=1) - 1, -1)
        score = torch.zeros(rank.shape, dtype=torch.float64, device=rank.device)
        state = dict(view.state)
        copy = torch.arange(self.chunk, device=rank.device)
        for start in range(0, int(rank.max()) + 1, self.chunk):
            left_out = (rank[:, None, :] == start + copy[:, None]).flatten(0, 1)  # (B * chunk, L)
            canvas = tokens.repeat_interleave(self.chunk, dim=0)
            query = Query(canvas.masked_fill(left_out, view.canvas.mask_id), left_out, copies=self.chunk)
            prediction = ask(query)
            if self.metric == "margin":
                value = prediction.margin
            elif self.metric == "kl":
                value, state["seen"] = self._change(prediction, state["seen"])
            else:
                value = prediction.logp(canvas)
            # One copy at most scores a position; the others are 0 there.
            score = score + value.double().view(-1, self.chunk, rank.shape[1]).sum(dim=1)
        if self.metric == "time_aggregation":
            score = state["total"] = state["total"] + score
        return score, state

    def _change(self, prediction: Prediction, seen: Tensor) -> tuple[Tensor, Tensor]:
        """(B * chunk, L): minus KL(now ‖ seen), 0 at the first look; and what has been seen now."""
        now = prediction.full(prediction.need)
        # Copies leave out ascending positions, so both are in row-major order.
        looked = prediction.need.view(-1, self.chunk, prediction.need.shape[1]).any(dim=1)
        weight, before = now.exp(), seen[looked]
        kl = torch.where(weight > 0, weight * (now - before), 0.0).sum(dim=-1).nan_to_num(nan=0.0, posinf=torch.inf)
        value = torch.zeros(prediction.need.shape, device=now.device).masked_scatter(prediction.need, -kl)
        return value, seen.masked_scatter(looked[:, :, None], now)
