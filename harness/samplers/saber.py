"""Saber (Dong et al. 2025, arXiv 2510.18165; zhaoyMa/Saber `decoding.py`)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from harness.canvas import Ask, Canvas, Edit, State, StepView
from harness.samplers.base import Whole, param
from harness.samplers.schedule import block_index, top


@dataclass(frozen=True)
class Saber:
    """Unmask every position more confident than the tokens so far were, on average, when they were unmasked, and n at
    least; then mask again the tokens whose confidence fell most in this step (backtracking).

    Of k tokens unmasked, max(⌊n/2⌋, ⌈k/8⌉) are masked again, k − 1 at most, so that every step gains one; a step that
    completes the blocks so far masks nothing again. The average is over all positions ever unmasked, each at its last
    time. A token unmasked in this step may be among those taken back: it then stays masked.

    The confidence is that of the most probable token, at visible positions too. Where fewer than n masks are left, the
    release overwrites visible tokens to make up the number; here fewer are unmasked.
    """

    n: Whole = param(2, "n, the least number of positions to unmask a step", low=1)
    block: Whole = param(0, "block length of semi-autoregressive order; 0 = the whole canvas", low=0)

    def init(self, canvas: Canvas) -> State:
        zeros = torch.zeros(canvas.tokens.shape, device=canvas.tokens.device)
        return {
            "last": zeros,
            "at_commit": torch.full_like(zeros, float("nan")),
            "block": torch.zeros_like(canvas.step),
        }

    def step(self, view: StepView, ask: Ask) -> Edit:
        prediction = ask(view.query(need=view.canvas.editable))
        block, count = block_index(view, self.block)
        first = torch.where(view.masked, block, count).amin(dim=1)
        # A token of an earlier block that was masked again does not close the current one.
        current = torch.maximum(first, view.state["block"])
        reached = view.canvas.editable & (block <= current[:, None])
        allowed = view.masked & reached
        confidence = prediction.confidence.masked_fill(~reached, float("-inf"))

        # Before the first commit the mean is NaN, which nothing exceeds.
        sure = allowed & (confidence > view.state["at_commit"].nanmean(dim=1, keepdim=True))
        n = torch.as_tensor(self.n, device=allowed.device).expand(len(allowed), 1).squeeze(1)
        k = torch.maximum(sure.sum(dim=1), n)
        commit = top(k, confidence, allowed)
        at_commit = torch.where(commit, confidence, view.state["at_commit"])

        fall = view.state["last"] - confidence
        fall = fall.masked_fill(~fall.isfinite(), float("-inf"))
        back = top(_backtracks(k, n, allowed & ~commit), fall, (view.visible & reached) | commit)
        state = {"last": confidence, "at_commit": at_commit, "block": current}
        tokens = prediction.draw(view.random("tokens"))
        return Edit(commit & ~back, tokens, state, remask=back & view.visible)


def _backtracks(k: Tensor, n: Tensor, left: Tensor) -> Tensor:
    """(B,) int64: how many tokens are masked again where `k` are unmasked; none where no mask is `left` (B, L)."""
    wanted = torch.minimum(torch.maximum(n // 2, (k + 7) // 8), k - 1)
    return torch.where(left.any(dim=1), wanted, 0)
