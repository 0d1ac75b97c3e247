"""The sampler of MaskGIT in PyTorch (Besnier & Chen 2023, arXiv 2310.14400; valeoai/Halton-MaskGIT at `v1.0`
`Trainer/vit.py`), with which Di[M]O samples its teacher (Zhu et al. 2025, arXiv 2503.15457)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from harness.canvas import Ask, Canvas, Edit, State, StepView
from harness.samplers.base import Real, param
from harness.samplers.maskgit import noisy_confidence
from harness.samplers.schedule import top


@dataclass(frozen=True)
class MaskGITArccos:
    """Draw a token everywhere, keep the most confident, few at first and more at each step.

    Step s of T unmasks round(N a(s) / Σ a), at least one, with a(s) = arccos(1 − s/(T − 1)); the last unmasks the rest.
    The confidence is the log-probability of the token drawn, at the temperature of the draw, plus Gumbel noise times a
    choice temperature that falls linearly to zero at the last step.
    """

    choice_temperature: Real = param(4.5, "scale of the Gumbel noise on the confidences", low=0.0)
    order: str = param("confidence", "which draws are kept; Di[M]O's teacher: random", choices=("confidence", "random"))
    ramp: bool = param(False, "guidance rises linearly from 0 at the first step to w at the last (the release)")

    def init(self, canvas: Canvas) -> State:
        return {}

    def step(self, view: StepView, ask: Ask) -> Edit:
        canvas = view.canvas
        # How far the step is from the first to the last; a single step is the last.
        share = (canvas.step.double() / (canvas.budget - 1).clamp(min=1)).masked_fill(canvas.budget == 1, 1.0)
        query = view.query()
        # A query that sets a scale is answered by two forwards, even at 0.
        if self.ramp and bool((canvas.guidance != 0).any()):
            query = replace(query, guidance=(canvas.guidance * share).float())
        prediction = ask(query).tempered()
        tokens = prediction.draw(view.random("tokens"))
        score = view.random("choice")
        if self.order == "confidence":
            score = noisy_confidence(prediction.logp(tokens), self.choice_temperature * (1 - share[:, None]), view)
        return Edit(top(_quota(view), score, view.masked), tokens)


def _quota(view: StepView) -> Tensor:
    """(B,) int64: how many positions this step unmasks."""
    canvas = view.canvas
    size, last = canvas.editable.sum(dim=1), (canvas.budget - 1)[:, None]
    steps = torch.arange(int(canvas.budget.max()), device=last.device)
    weights = torch.arccos((1 - steps.double() / last.clamp(min=1)).clamp(min=0)) * (2 / math.pi)
    weights = weights.masked_fill(steps > last, 0.0)
    now = weights.gather(1, canvas.step[:, None].clamp(max=len(steps) - 1)).squeeze(1)
    quota = (now / weights.sum(dim=1).clamp(min=1e-12) * size).round().long().clamp(min=1)
    return torch.where(canvas.step >= canvas.budget - 1, size, quota)
