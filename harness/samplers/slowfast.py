"""SlowFast sampling (Wei et al. 2025, arXiv 2506.10848; LiangrunFlora/Slow-Fast-Sampling
`generate_slow_fast_sampling.py`), uncached."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from harness.canvas import Ask, Canvas, Edit, State, StepView
from harness.prediction import Query
from harness.samplers.base import Real, Whole, param
from harness.samplers.schedule import best, block_index, block_place, current_block

# Places in the block: the cycle's start, its end once found, the last estimate of it. Steps of the cycle: the slow ones
# taken, and the fast ones with the one to come.
_STATE = ("start", "end", "estimate", "slow", "fast")


@dataclass(frozen=True)
class SlowFast:
    """Cycles of a slow and a fast phase that work their way through a block.

    Slow: find how far the model sees. Each step estimates the end of the cycle, one past the farthest mask of
    confidence 0.3 or more (`reach`), until two estimates in a row differ by at most 1, or for 6 steps (`explore`), and
    then takes the mean of the last two. Fast: fill the cycle, from where the last one ended; after the first of these
    calls what lies beyond the end is cut off the canvas, so that a call costs fewer token-forwards. In either phase a
    step unmasks the positions (of the rest of the block, or of the cycle) at least τ confident if there are two or
    more, else the most confident one.

    The release (`literal`) takes all slow steps even where the end is found before. The confidence is that of the most
    probable token.
    """

    tau: Real = param(0.9, "τ, the confidence from which a position is unmasked", low=0.0, high=1.0)
    reach: Real = param(0.3, "confidence from which a position counts as seen", low=0.0, high=1.0)
    explore: Whole = param(6, "the most slow steps of a cycle", low=1)
    literal: bool = param(False, "take all slow steps, as released")
    block: Whole = param(0, "block length of semi-autoregressive order; 0 = the whole canvas", low=0)

    def init(self, canvas: Canvas) -> State:
        return {name: torch.zeros_like(canvas.step) for name in _STATE}

    def step(self, view: StepView, ask: Ask) -> Edit:
        start, end, fast = (view.state[name][:, None] for name in ("start", "end", "fast"))
        allowed = current_block(view, self.block)
        place, _ = block_place(view, self.block)
        region = allowed & (place >= start) & ((fast == 0) | (place < end))
        prediction = ask(self._query(view, region, fast > 1, place >= end))
        sure = region & (prediction.confidence >= self.tau)
        commit = torch.where(sure.sum(dim=1, keepdim=True) > 1, sure, best(prediction.confidence, region))
        seen = region & (prediction.confidence >= self.reach)
        farthest = torch.where(seen, place, start).amax(dim=1, keepdim=True) + 1
        state = self._advance(view.state, farthest, allowed & ~commit, place)
        return Edit(commit, prediction.draw(view.random("tokens")), state)

    def _query(self, view: StepView, region: Tensor, short: Tensor, beyond: Tensor) -> Query:
        """The canvas; in `short` (B, 1) rows without places `beyond` (B, L) the end of the cycle and later blocks."""
        block, _ = block_index(view, self.block)
        current = torch.where(region, block, 0).amax(dim=1, keepdim=True)
        cut = short & ((block > current) | ((block == current) & beyond))
        return replace(view.query(need=region), valid=view.canvas.valid & ~(cut & view.canvas.editable))

    def _advance(self, state: State, farthest: Tensor, left: Tensor, place: Tensor) -> State:
        """The state after a step that saw as far as `farthest` (B, 1) and leaves masks `left` (B, L) in the block."""
        start, end, estimate, slow, fast = (state[name][:, None] for name in _STATE)
        exploring = fast == 0
        slow = slow + exploring
        first, last = slow == 1, slow >= self.explore
        mean = torch.where(first, farthest, (farthest + estimate) // 2)
        stable = ~first & ((farthest - estimate).abs() <= 1)
        found = torch.where(stable, farthest, torch.where(last, mean, 0))
        end = torch.where(end == 0, found, end)
        ready = last if self.literal else end > 0
        fast = torch.where(exploring, ready.long(), fast + 1)
        block_over = ~left.any(dim=1, keepdim=True)
        cycle_over = block_over | ((fast > 0) & ~(left & (place < end)).any(dim=1, keepdim=True))
        start = torch.where(cycle_over, end, start).masked_fill(block_over, 0)
        cycle = {"end": end, "estimate": farthest, "slow": slow, "fast": fast}
        cycle = {name: value.masked_fill(cycle_over, 0) for name, value in cycle.items()}
        return {name: value.squeeze(1) for name, value in {"start": start, **cycle}.items()}
