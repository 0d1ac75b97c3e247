"""PUNT: parallel unmasking with non-influence tests (Azangulov et al. 2025, arXiv 2510.21961, algorithm 1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from harness.canvas import Ask, Canvas, Edit, State, StepView
from harness.prediction import Prediction, Query
from harness.samplers.base import Real, Whole, param
from harness.samplers.schedule import certainty, current_block, ranks

_EPSILON = "ε, the largest KL divergence in nats at which a position counts as unmoved"
_BLOCK = "block length of semi-autoregressive order; 0 = the whole canvas"
_SCORES = ("confidence", "margin", "entropy")
_BIT_ORDERS = ("msb", "lsb")


@dataclass(frozen=True)
class Punt:
    """Unmask a set of positions that do not influence one another, found by ⌈log₂ m⌉ probes.

    Candidates y are drawn once from the base prediction p and ranked by a score. Each round splits the surviving set by
    one bit of the rank, most significant first: positions with bit 0 (anchors) are shown their candidates, and a
    position with bit 1 is pruned if that moves its distribution, KL(p ‖ q) > ε. Rounds without anchors or tests are
    skipped. Rank 0 is always an anchor, so at least one position is unmasked. The candidates that are tested are the
    ones committed.

    The sources name no score; the probability of the most probable token is the default. The order of the bits matters
    because the set shrinks; `lsb` is that of a public re-implementation for proteins.
    """

    epsilon: Real = param(0.04, _EPSILON, low=0.0)
    block: Whole = param(0, _BLOCK, low=0)
    score: str = param("confidence", "what ranks the candidates (entropy: the lowest first)", choices=_SCORES)
    bit_order: str = param("msb", "which bit of the rank splits first", choices=_BIT_ORDERS)

    def init(self, canvas: Canvas) -> State:
        return {}

    def step(self, view: StepView, ask: Ask) -> Edit:
        candidates = current_block(view, self.block)
        base = ask(view.query(need=candidates))
        y = base.draw(view.random("tokens"))
        rank, rounds = _codes(base, self.score, candidates)
        keep = candidates
        for i in range(int(rounds.max())):
            bit = _bit(rank, rounds, i, self.bit_order)
            anchors, tests = keep & (bit == 0), keep & (bit == 1)
            rows = (i < rounds.squeeze(1)) & anchors.any(dim=1) & tests.any(dim=1)
            shown = torch.where(anchors, y, view.canvas.tokens)
            probe = ask(view.query(tokens=shown, need=tests, rows=rows))
            keep = keep & ~_moved(base, probe, self.epsilon)
        return Edit(keep, y)


@dataclass(frozen=True)
class PuntBatched:
    """PUNT with all probes of a step in one call of ⌈log₂ m⌉ copies. This variant is our own, not the paper's.

    The rounds do not see each other's prunings: every round shows all candidates with bit 0 and tests all with bit 1.
    So a step has two dependent calls instead of 1 + ⌈log₂ m⌉, for as many sequence-forwards, and is more conservative:
    positions are also tested against anchors that PUNT would have pruned.
    """

    epsilon: Real = param(0.04, _EPSILON, low=0.0)
    block: Whole = param(0, _BLOCK, low=0)
    score: str = param("confidence", "what ranks the candidates (entropy: the lowest first)", choices=_SCORES)

    def init(self, canvas: Canvas) -> State:
        return {}

    def step(self, view: StepView, ask: Ask) -> Edit:
        candidates = current_block(view, self.block)
        base = ask(view.query(need=candidates))
        y = base.draw(view.random("tokens"))
        rank, rounds = _codes(base, self.score, candidates)
        # As many copies as a canvas of this length may need: the call's shape must not depend on the neighbours.
        copies = max(1, (candidates.shape[1] - 1).bit_length())
        bit = torch.stack(
            [torch.where(i < rounds, _bit(rank, rounds, i, "msb"), -1) for i in range(copies)], dim=1
        )  # (B, r, L)
        shown = torch.where(candidates[:, None] & (bit == 0), y[:, None], view.canvas.tokens[:, None])
        tests = candidates[:, None] & (bit == 1)
        probes = ask(Query(shown.flatten(0, 1), tests.flatten(0, 1), copies=copies))
        keep = candidates
        for i in range(copies):
            probe = probes.pick(torch.full_like(view.canvas.step, i), copies)
            keep = keep & ~_moved(base, probe, self.epsilon)
        return Edit(keep, y)


def _codes(base: Prediction, score: str, candidates: Tensor) -> tuple[Tensor, Tensor]:
    """(B, L) int64 rank of each candidate, and (B, 1) int64 number of bits that hold a row's ranks."""
    return ranks(certainty(base, score), candidates), _code_length(candidates.sum(dim=1, keepdim=True))


def _moved(base: Prediction, probe: Prediction, epsilon: Real) -> Tensor:
    """(B, L) bool: the tested positions whose distribution the anchors moved."""
    return probe.need & (probe.kl_from(base) > epsilon)


def _bit(rank: Tensor, rounds: Tensor, i: int, order: str) -> Tensor:
    """(B, L) int64: the bit of `rank` that round `i` of `rounds` (B, 1) splits by."""
    shift = (rounds - 1 - i).clamp(min=0) if order == "msb" else torch.full_like(rounds, i)
    return (rank >> shift) & 1


def _code_length(count: Tensor) -> Tensor:
    """⌈log₂ count⌉ for counts of at least 1, without rounding: the bits that hold the ranks 0 … count − 1."""
    powers = 2 ** torch.arange(31, device=count.device)
    return (powers < count).sum(dim=-1, keepdim=True)
