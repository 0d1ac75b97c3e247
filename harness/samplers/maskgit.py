"""MaskGIT (Chang et al. 2022, arXiv 2202.04200, section 3.2; google-research/maskgit `parallel_decode.py`)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from harness.canvas import Ask, Canvas, Edit, State, StepView
from harness.samplers.base import Real, param
from harness.samplers.schedule import cosine_keep, gumbel, top


@dataclass(frozen=True)
class MaskGIT:
    """Draw a token everywhere, keep the most confident, leave as many masked as a cosine schedule says.

    The confidence is the log-probability of the token drawn (as the paper has it) plus Gumbel noise times a choice
    temperature that falls linearly to zero.
    """

    choice_temperature: Real = param(4.5, "scale of the Gumbel noise on the confidences", low=0.0)
    anneal: str = param("linear", "choice temperature over the steps", choices=("linear", "constant"))
    clamp: bool = param(True, "unmask at least one position a step where the schedule says none")

    def init(self, canvas: Canvas) -> State:
        return {}

    def step(self, view: StepView, ask: Ask) -> Edit:
        prediction = ask()
        tokens = prediction.draw(view.random("tokens"))
        scale = self.choice_temperature * (1 - view.progress if self.anneal == "linear" else 1.0)
        score = noisy_confidence(prediction.logp(tokens), scale, view)
        masks = view.masked.sum(dim=1)
        commits = masks - torch.minimum(cosine_keep(view), masks)
        return Edit(top(commits.clamp(min=int(self.clamp)), score, view.masked), tokens)


def noisy_confidence(logp: Tensor, scale: Real, view: StepView) -> Tensor:
    """(B, L) float64: log-probability plus `scale` times Gumbel noise."""
    return logp.double() + scale * gumbel(view.random("choice"))
