"""Top-k by schedule: each step unmasks the same number of positions, the best by one score.

The score is a property of the position's distribution and never of the token drawn there.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from harness.canvas import Ask, Canvas, Edit, State, StepView
from harness.prediction import Prediction
from harness.samplers.base import Whole, param
from harness.samplers.schedule import scheduled, top


@dataclass(frozen=True)
class TopK:
    """Unmask the k best-scored positions of the current block, k by an even schedule over the budget's steps."""

    block: Whole = param(0, "block length of semi-autoregressive order; 0 = the whole canvas", low=0)

    def init(self, canvas: Canvas) -> State:
        return {}

    def score(self, view: StepView, prediction: Prediction) -> Tensor:
        """(B, L): higher is unmasked earlier."""
        raise NotImplementedError

    def step(self, view: StepView, ask: Ask) -> Edit:
        prediction = ask()
        allowed, count = scheduled(view, self.block)
        commit = top(count, self.score(view, prediction), allowed)
        return Edit(commit, prediction.draw(view.random("tokens")))


@dataclass(frozen=True)
class Confidence(TopK):
    """Highest probability of the most probable token first (MaskGIT's criterion without noise; LLaDA's low-confidence
    remasking, arXiv 2502.09992, algorithm 5)."""

    def score(self, view: StepView, prediction: Prediction) -> Tensor:
        return prediction.confidence


@dataclass(frozen=True)
class Margin(TopK):
    """Largest gap between the two highest probabilities first (Kim et al. 2025, arXiv 2502.06768)."""

    def score(self, view: StepView, prediction: Prediction) -> Tensor:
        return prediction.margin


@dataclass(frozen=True)
class Entropy(TopK):
    """Lowest entropy first (Dream, DreamLM/Dream `generation_utils.py`, alg=entropy)."""

    def score(self, view: StepView, prediction: Prediction) -> Tensor:
        return -prediction.entropy


@dataclass(frozen=True)
class Random(TopK):
    """Uniformly random positions: the order that the training objective averages over."""

    def score(self, view: StepView, prediction: Prediction) -> Tensor:
        return view.random("order")
