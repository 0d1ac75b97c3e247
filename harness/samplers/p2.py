"""P2, path planning (Peng et al. 2025, arXiv 2502.03540; pengzhangzhi/path_planning), planned by the model itself."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from harness.canvas import Ask, Canvas, Edit, State, StepView
from harness.samplers.base import Real, param
from harness.samplers.schedule import top


@dataclass(frozen=True)
class P2:
    """Draw a token everywhere, then mask the lowest scores, as many as a linear schedule (κ = identity) says: visible
    tokens among them are masked again, masked positions not among them receive their draw.

    The score is the log-probability of the draw, times η at visible positions. So η = 0 never masks a token again,
    η = 1 treats all alike, and a larger η masks more of them again.

    At a visible position the released code scores the fresh draw, not the token that stands there (`score=current`). It
    draws by Gumbel-max and scores with the perturbed log-probability; here the score is the model's own, and ties go
    against masked positions, where the code masks fewer positions than the schedule says.
    """

    eta: Real = param(1.0, "η, the weight of log-probabilities at visible positions", low=0.0)
    score: str = param("fresh", "whose probability a visible position has", choices=("fresh", "current"))

    def init(self, canvas: Canvas) -> State:
        return {}

    def step(self, view: StepView, ask: Ask) -> Edit:
        canvas = view.canvas
        prediction = ask(view.query(need=canvas.editable))
        fresh = prediction.draw(view.random("tokens"))
        scored = fresh if self.score == "fresh" else torch.where(view.masked, fresh, canvas.tokens)
        logp = prediction.logp(scored).double()
        # 0 · −∞ is 0 here. One step of rounding down decides ties, so that η = 0 keeps a token against a sure draw.
        kept = (self.eta * logp).nan_to_num(nan=0.0)
        score = torch.where(view.visible, kept, torch.nextafter(logp, torch.full_like(logp, float("-inf"))))
        left = canvas.editable.sum(dim=1) * (canvas.budget - canvas.step - 1).clamp(min=0) // canvas.budget
        low = top(left, -score, canvas.editable)
        return Edit(view.masked & ~low, fresh, remask=view.visible & low)
