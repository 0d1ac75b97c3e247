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
    temperature that falls linearly to zero. Lumina-DiMOO leaves it constant (`protocol=lumina_dimoo`). MMaDA, like
    Show-o before it, multiplies it at each step s by 1 − (s + 1)/T: the factors compound (`protocol=mmada`). Meissonic,
    like aMUSEd before it, has all of it at the first step and none at the last: 1 − s/(T − 1) (`protocol=meissonic`).
    """

    choice_temperature: Real = param(4.5, "scale of the Gumbel noise on the confidences", low=0.0)
    anneal: str = param(
        "linear", "choice temperature over the steps", choices=("linear", "linspace", "constant", "compounding")
    )
    clamp: bool = param(True, "unmask at least one position a step where the schedule says none")
    rounded: bool = param(False, "the schedule's cosine in float32, as released code in PyTorch has it")

    def init(self, canvas: Canvas) -> State:
        return {}

    def step(self, view: StepView, ask: Ask) -> Edit:
        prediction = ask()
        tokens = prediction.draw(view.random("tokens"))
        score = noisy_confidence(prediction.logp(tokens), self.choice_temperature * self._share(view), view)
        masks = view.masked.sum(dim=1)
        commits = masks - torch.minimum(cosine_keep(view, self.rounded), masks)
        return Edit(top(commits.clamp(min=int(self.clamp)), score, view.masked), tokens)

    def _share(self, view: StepView) -> Tensor:
        """(B, 1) float64: of the choice temperature at this step."""
        if self.anneal == "constant":
            return torch.ones_like(view.progress)
        if self.anneal == "linear":
            return 1 - view.progress
        done, steps = view.canvas.step[:, None] + 1.0, view.canvas.budget[:, None].double()
        if self.anneal == "linspace":
            return (1 - (done - 1) / (steps - 1).clamp(min=1)).clamp(min=0)
        # (T − 1) (T − 2) … (T − s − 1) / T^(s + 1)
        falling = torch.lgamma(steps) - torch.lgamma((steps - done).clamp(min=0)) - done * steps.log()
        return falling.exp()


def noisy_confidence(logp: Tensor, scale: Tensor | Real, view: StepView) -> Tensor:
    """(B, L) float64: log-probability plus `scale` times Gumbel noise."""
    return logp.double() + scale * gumbel(view.random("choice"))
