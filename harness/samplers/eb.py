"""Entropy-bounded sampler (Ben-Hamu et al. 2025, arXiv 2505.24857)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn.functional import pad

from harness.canvas import Ask, Canvas, Edit, State, StepView
from harness.samplers.base import Real, Whole, param
from harness.samplers.schedule import certainty, current_block, ranks


@dataclass(frozen=True)
class EntropyBound:
    """Unmask the largest set U, in ascending order of an error proxy, with Σ_U H − max_U H ≤ γ; at least one position.

    The left side bounds the joint dependence error KL(q(x_U) ‖ Π q(x_l)) of unmasking U at once. γ = 0 unmasks one
    position a step, and with it those whose entropy is exactly 0; a large γ unmasks everything.
    """

    gamma: Real = param(0.1, "γ, the bound in nats on the entropy of the set less its largest", low=0.0)
    proxy: str = param("entropy", "what orders the positions", choices=("entropy", "confidence", "margin"))
    block: Whole = param(0, "block length of semi-autoregressive order; 0 = the whole canvas", low=0)

    def init(self, canvas: Canvas) -> State:
        return {}

    def step(self, view: StepView, ask: Ask) -> Edit:
        prediction = ask()
        allowed = current_block(view, self.block)
        rank = ranks(certainty(prediction, self.proxy), allowed)
        entropy = torch.zeros_like(prediction.entropy).scatter(1, rank, prediction.entropy).double()
        # Σ − max grows with each position by the smaller of its entropy and the largest before: no cancellation.
        largest_before = pad(entropy.cummax(dim=1).values[:, :-1], (1, 0))
        excess = torch.minimum(entropy, largest_before).cumsum(dim=1)
        return Edit(allowed & (excess <= self.gamma).gather(1, rank), prediction.draw(view.random("tokens")))
