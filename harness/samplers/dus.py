"""Dilated unmasking schedule (Luxembourg et al. 2025, arXiv 2506.19037, section 4)."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from harness.canvas import Ask, Canvas, Edit, State, StepView
from harness.samplers.base import Real, Whole, param
from harness.samplers.schedule import block_place, current_block


@dataclass(frozen=True)
class Dilated:
    """Unmask the current block in rounds t = 1, 2, … of positions s_t = ⌊B / aᵗ⌋ apart, the first of the block among
    them: with B = 8 and a = 2 the places 1 and 5, then 3 and 7, then the rest. A block takes ⌈log_a B⌉ calls.

    The stride never falls below 1, and the round that reaches it takes all that is left. With `skip`, a scheduled
    position less confident than that waits for the next round that it fits in.
    """

    block: Whole = param(32, "B, the block length; 0 = the whole canvas", low=0)
    base: Whole = param(2, "a, by which the stride shrinks from round to round", low=2)
    skip: Real = param(
        0.0, "confidence below which a scheduled position waits (paper: 0.3); 0 = none", low=0.0, high=1.0
    )

    def init(self, canvas: Canvas) -> State:
        return {"round": torch.zeros_like(canvas.step)}

    def step(self, view: StepView, ask: Ask) -> Edit:
        prediction = ask()
        allowed = current_block(view, self.block)
        place, width = block_place(view, self.block)
        turn = view.state["round"][:, None] + 1
        stride = (width // self.base**turn).clamp(min=1)
        confident = (prediction.confidence >= self.skip) | (stride == 1)
        commit = allowed & (place % stride == 0) & confident
        over = ~(allowed & ~commit).any(dim=1)
        state = {"round": torch.where(over, 0, turn.squeeze(1))}
        return Edit(commit, prediction.draw(view.random("tokens")), state)
