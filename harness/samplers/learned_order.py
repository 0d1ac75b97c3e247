"""Sampling in the order that a model has learned: its positions have masking schedules of their own ("Masked Diffusion
Models are Secretly Learned-Order Autoregressive Models", arXiv 2511.19152).

The model's schedule has position l masked at time t with probability t^w_l. Its generation order, from t = 1 down to 0,
is then a race: among the masks, l is the next to be revealed with probability w_l / Σ_j w_j (Plackett-Luce).
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from harness.canvas import Canvas, StepView
from harness.errors import UserError
from harness.prediction import Prediction
from harness.samplers.ancestral import Ancestral
from harness.samplers.base import param
from harness.samplers.schedule import gumbel
from harness.samplers.topk import TopK


@dataclass(frozen=True)
class LearnedOrder(TopK):
    """Unmask the k positions that are next in the learned order, k by an even schedule over the budget's steps.

    With as many steps as positions this is the paper's sampler (its algorithm 1, in descending transition time): one
    position a step, in an order that is drawn anew for each sample. The arg-max of log w plus Gumbel noise is a draw of
    the next position, and fresh noise at each step makes the same law as one order drawn at the beginning.
    """

    order: str = param("stochastic", "drawn for each sample, or always by falling w", choices=("stochastic", "fixed"))

    def score(self, view: StepView, prediction: Prediction) -> Tensor:
        rate = log_rates(view.canvas)
        return rate if self.order == "fixed" else rate + gumbel(view.random("order"))


@dataclass(frozen=True)
class LearnedAncestral(Ancestral):
    """Each mask is unmasked at a step from t to s with probability 1 − (s/t)^w_l, on T equal steps from t = 1 to 0.

    A position is masked from the time u^(1/w), u uniform, on: it is drawn once, as in `ancestral`, which this is for
    equal w. In the limit of many steps the order is that of `learned_order`.
    """

    def reveal(self, view: StepView) -> Tensor:
        return 1 - view.random("reveal") ** (-log_rates(view.canvas)).exp()


def log_rates(canvas: Canvas) -> Tensor:
    """(B, L) float64: log w of each position; UserError where the model has no schedule."""
    if canvas.schedule is None:
        raise UserError("this sampler follows a learned schedule of the positions, and these rows have none")
    return canvas.schedule
