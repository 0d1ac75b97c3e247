"""Hierarchical decoding of dInfer (Ma et al. 2025, arXiv 2510.08666; inclusionAI/dInfer `parallel_strategy.py`,
`HierarchyDecoder`)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from harness.canvas import Ask, Canvas, Edit, State, StepView
from harness.samplers.base import Real, Whole, param
from harness.samplers.schedule import current_block, ranks


@dataclass(frozen=True)
class Hierarchy:
    """Unmask the best position of every run of adjacent masks in the current block, if it is confident enough to split
    the run; every position more confident than τ; and always the best of all.

    The confidence is that of the most probable token. Of equals in a run only the first counts as its best.
    """

    tau: Real = param(0.9, "τ, the confidence above which a position is unmasked", low=0.0, high=1.0)
    low: Real = param(0.4, "confidence above which the best position of a run is unmasked", low=0.0, high=1.0)
    block: Whole = param(0, "block length of semi-autoregressive order; 0 = the whole canvas", low=0)

    def init(self, canvas: Canvas) -> State:
        return {}

    def step(self, view: StepView, ask: Ask) -> Edit:
        prediction = ask()
        confidence, allowed = prediction.confidence, current_block(view, self.block)
        rank = ranks(confidence, allowed)
        commit = allowed & ((rank == 0) | (confidence > self.tau))
        commit |= _first_of_run(rank, allowed) & (confidence > self.low)
        return Edit(commit, prediction.draw(view.random("tokens")))


def _first_of_run(rank: Tensor, where: Tensor) -> Tensor:
    """(B, L) bool: the lowest `rank` (B, L) of each run of adjacent positions of `where` (B, L)."""
    outside = rank.shape[1]
    begins = where & ~pad(where, (1, 0))[:, :-1]
    run = torch.where(where, begins.cumsum(dim=1), 0)
    lowest = rank.new_full((len(rank), outside + 1), outside)
    lowest = lowest.scatter_reduce(1, run, torch.where(where, rank, outside), "amin")
    return where & (rank == lowest.gather(1, run))
