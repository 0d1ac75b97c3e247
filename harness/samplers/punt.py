"""PUNT: parallel unmasking with non-influence tests (Azangulov et al. 2025, arXiv 2510.21961, algorithm 1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from harness.canvas import Ask, Canvas, Edit, State, StepView
from harness.samplers.base import Real, Whole, param
from harness.samplers.schedule import current_block, ranks


@dataclass(frozen=True)
class Punt:
    """Unmask a set of positions that do not influence one another, found by ⌈log₂ m⌉ probes.

    Candidates y are drawn once from the base prediction p and ranked by confidence. Each round splits the surviving
    set by one bit of the rank, most significant first: positions with bit 0 (anchors) are shown their candidates, and a
    position with bit 1 is pruned if that moves its distribution, KL(p ‖ q) > ε. Rounds without anchors or tests are
    skipped. Rank 0 is always an anchor, so at least one position is unmasked. The candidates that are tested are the
    ones committed.

    The sources name no confidence score; the probability of the most probable token is used.
    """

    epsilon: Real = param(0.04, "ε, the largest KL divergence in nats at which a position counts as unmoved", low=0.0)
    block: Whole = param(0, "block length of semi-autoregressive order; 0 = the whole canvas", low=0)

    def init(self, canvas: Canvas) -> State:
        return {}

    def step(self, view: StepView, ask: Ask) -> Edit:
        candidates = current_block(view, self.block)
        base = ask(view.query(need=candidates))
        y = base.draw(view.random("tokens"))
        rank = ranks(base.confidence, candidates)
        rounds = _code_length(candidates.sum(dim=1, keepdim=True))
        keep = candidates
        for i in range(int(rounds.max())):
            bit = (rank >> (rounds - 1 - i).clamp(min=0)) & 1
            anchors, tests = keep & (bit == 0), keep & (bit == 1)
            rows = (i < rounds.squeeze(1)) & anchors.any(dim=1) & tests.any(dim=1)
            shown = torch.where(anchors, y, view.canvas.tokens)
            probe = ask(view.query(tokens=shown, need=tests, rows=rows))
            keep = keep & ~(probe.need & (probe.kl_from(base) > self.epsilon))
        return Edit(keep, y)


def _code_length(count: torch.Tensor) -> torch.Tensor:
    """⌈log₂ count⌉ for counts of at least 1, without rounding: the bits that hold the ranks 0 … count − 1."""
    powers = 2 ** torch.arange(31, device=count.device)
    return (powers < count).sum(dim=-1, keepdim=True)
