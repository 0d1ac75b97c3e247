"""FreeCorrection (Ouyang et al. 2026, arXiv 2602.02927), as released: huge123/FreeCorrection
`generators/image_to_image_generator_trajectory.py`."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from harness.canvas import Ask, Canvas, Edit, State, StepView
from harness.samplers.base import Real, param
from harness.samplers.maskgit import noisy_confidence
from harness.samplers.schedule import cosine_keep, top


@dataclass(frozen=True)
class FreeCorrection:
    """MaskGIT that masks again the visible tokens whose confidence, averaged over the steps since they were unmasked,
    is lowest.

    A model trained on masked positions only still gives informative logits at visible ones: the probability of a
    visible token at its own position is recorded at every step. From 40 % of the schedule on, R(s) visible tokens are
    masked again and as many more fresh ones are kept, so that the cosine schedule and the cost stay MaskGIT's. R(s) is
    `cap` in [0.4, 0.6) of the schedule, half of it in [0.6, 0.8), a quarter in [0.8, 1), and 0 at the last step.

    The released caps are 16, 8 and 4 tokens, tuned on canvases of 4,096 (`cap=16`, `unit=tokens`); by default they are
    that share of the canvas, rounded up. The released gate (`gate=literal`) skips the correction, but not its R(s), at
    the step where s/T is exactly 0.4.
    """

    cap: Real = param(16 / 4096, "R(s) in its first stage, as a share of the canvas or in tokens", low=0.0)
    unit: str = param("share", "what `cap` counts", choices=("share", "tokens"))
    gate: str = param("fixed", "whether s/T = 0.4 corrects (fixed) or not (literal)", choices=("fixed", "literal"))
    choice_temperature: Real = param(1.0, "scale of the Gumbel noise on fresh confidences, not annealed", low=0.0)
    rounded: bool = param(False, "the schedule's cosine in float32, as released code in PyTorch has it")

    def init(self, canvas: Canvas) -> State:
        history = torch.zeros(canvas.tokens.shape, dtype=torch.float64, device=canvas.tokens.device)
        return {"sum": history, "count": torch.zeros_like(history)}

    def step(self, view: StepView, ask: Ask) -> Edit:
        masked, visible = view.masked, view.visible
        prediction = ask(view.query(need=view.canvas.editable))
        fresh = prediction.draw(view.random("tokens"))
        tokens = torch.where(masked, fresh, view.canvas.tokens)
        logp = prediction.logp(tokens)

        seen = torch.where(visible, logp.double().exp(), 0.0)
        total, count = view.state["sum"] + seen, view.state["count"] + visible
        keep = cosine_keep(view, self.rounded)
        allotted = torch.minimum(keep, self._cap(view))
        correct = torch.where(self._gate_open(view), allotted, 0)
        remask = top(correct, -total / count.clamp(min=1), visible)

        score = noisy_confidence(logp, self.choice_temperature, view)
        commits = (masked.sum(dim=1) - (keep - allotted)).clamp(min=0)
        commit = top(commits, score, masked)
        state = {"sum": total.masked_fill(remask, 0.0), "count": count.masked_fill(remask, 0.0)}
        return Edit(commit, tokens, state, remask=remask)

    def _cap(self, view: StepView) -> Tensor:
        """(B,) int64: R(s) before the schedule limits it."""
        canvas = view.canvas
        # Fifths of the schedule in whole numbers: 5 s >= 2 T is s/T >= 0.4 without rounding.
        fifth, budget = 5 * canvas.step, canvas.budget
        divisor = 1 + (fifth >= 3 * budget).long() + 2 * (fifth >= 4 * budget).long()
        size = canvas.editable.sum(dim=1) if self.unit == "share" else torch.ones_like(budget)
        cap = torch.as_tensor(self.cap, device=budget.device).double().expand(len(budget), 1).squeeze(1)
        cap = torch.ceil(cap * size / divisor).to(torch.int64)
        active = (fifth >= 2 * budget) & (canvas.step + 1 < budget)
        return torch.where(active, cap, 0)

    def _gate_open(self, view: StepView) -> Tensor:
        fifth, start = 5 * view.canvas.step, 2 * view.canvas.budget
        return fifth > start if self.gate == "literal" else fifth >= start
