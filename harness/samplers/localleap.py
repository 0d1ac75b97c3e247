"""LocalLeap (Kong et al. 2025, arXiv 2510.07081), as ported in silence1024/DAWN `llada/generate.py`."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from harness.canvas import Ask, Canvas, Edit, State, StepView
from harness.samplers.base import Real, Whole, param
from harness.samplers.schedule import best, current_block


@dataclass(frozen=True)
class LocalLeap:
    """Unmask every anchor (a position of the current block at least τ confident), every position within a radius of
    one that meets a relaxed threshold, and always the most confident position.

    The confidence is that of the most probable token.
    """

    tau: Real = param(0.9, "τ, the confidence that makes an anchor", low=0.0, high=1.0)
    relaxed: Real = param(0.75, "confidence that suffices near an anchor", low=0.0, high=1.0)
    radius: Whole = param(4, "distance in positions that counts as near", low=0)
    block: Whole = param(0, "block length of semi-autoregressive order; 0 = the whole canvas", low=0)

    def init(self, canvas: Canvas) -> State:
        return {}

    def step(self, view: StepView, ask: Ask) -> Edit:
        prediction = ask()
        confidence, allowed = prediction.confidence, current_block(view, self.block)
        anchors = allowed & (confidence >= self.tau)
        leaps = allowed & near(anchors, self.radius) & (confidence >= self.relaxed)
        commit = anchors | leaps | best(confidence, allowed)
        return Edit(commit, prediction.draw(view.random("tokens")))


def near(where: Tensor, radius: Whole) -> Tensor:
    """(B, L) bool: at most `radius` (B, 1) positions away from one of `where` (B, L)."""
    length = where.shape[1]
    before = pad(where.long().cumsum(dim=1), (1, 0))
    place = torch.arange(length, device=where.device).expand_as(where)
    until, since = (place + radius + 1).clamp(max=length), (place - radius).clamp(min=0)
    return before.gather(1, until) > before.gather(1, since)
