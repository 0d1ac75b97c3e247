"""WINO: wide-in, narrow-out (Hong et al. 2025, arXiv 2507.18578; Feng-Hong/WINO-DLLM `LLaDA/decoding.py`)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from harness.canvas import Ask, Canvas, Edit, State, StepView
from harness.prediction import Query
from harness.samplers.base import Real, param
from harness.samplers.schedule import block_index, current_block, top

_FIRST_ACCEPTED = 30
"""What the repository takes as the number accepted before the first step of a block."""


@dataclass(frozen=True)
class Wino:
    """Draft generously and take back what the rest of the canvas does not support.

    The canvas is followed by a shadow of the current block: mask tokens with the block's position ids, which the canvas
    does not see, and which see all of it but their own place. So one call gives the distributions of masked positions
    and, in the shadow, the leave-one-out distributions of visible ones.

    A step unmasks the positions whose drawn token is more probable than τ₁: of m masks at least the best and at most
    min(max(⌊0.7 m⌋, 5), 20). If it unmasks more than one, it masks again what was visible and is less probable than τ₂
    in the shadow, always fewer than the step before unmasked, so that the decoding ends.

    A call is charged for the longer canvas. The comparison with τ₁ is strict, as in the repository.
    """

    tau1: Real = param(0.6, "τ₁, the probability above which a draft is accepted", low=0.0, high=1.0)
    tau2: Real = param(0.9, "τ₂, the leave-one-out probability below which a token is masked again", low=0.0, high=1.0)
    block: int = param(0, "block length of semi-autoregressive order; 0 = the whole canvas", low=0)

    def init(self, canvas: Canvas) -> State:
        # No block is current yet; blocks are counted from 0.
        return {"block": torch.full_like(canvas.step, -1), "accepted": torch.full_like(canvas.step, _FIRST_ACCEPTED)}

    def step(self, view: StepView, ask: Ask) -> Edit:
        canvas, length = view.canvas, view.canvas.tokens.shape[1]
        masked = current_block(view, self.block)
        block, number = _block_of(view, masked, self.block)
        slot, source, present = _shadow(block, min(self.block or length, length))
        own = canvas.tokens.gather(1, source)
        checked = present & (own != canvas.mask_id)
        prediction = ask(_with_shadow(canvas, masked, source, present, checked))

        fresh = prediction.draw(pad(view.random("tokens"), (0, source.shape[1]), value=0.5))[:, :length]
        chance = prediction.logp(torch.cat([fresh, own], dim=1)).exp()
        accept = _accepted(chance[:, :length], masked, self.tau1)
        count = accept.sum(dim=1)

        before = torch.where(number == view.state["block"], view.state["accepted"], _FIRST_ACCEPTED)
        doubtful = checked & (chance[:, length:] < self.tau2) & (count > 1)[:, None]
        limit = torch.where(doubtful.sum(dim=1) >= before, before - 1, length)
        doubtful = top(limit, -chance[:, length:], doubtful)
        remask = pad(doubtful, (0, 1)).gather(1, slot)
        return Edit(accept, fresh, {"block": number, "accepted": count}, remask=remask)


def _accepted(chance: Tensor, masked: Tensor, tau: Real) -> Tensor:
    """(B, L) bool: the drafts to unmask."""
    most = (masked.sum(dim=1) * 7 // 10).clamp(min=5, max=20)
    sure = masked & (chance > tau)
    return top(torch.minimum(sure.sum(dim=1), most).clamp(min=1), chance, masked)


def _block_of(view: StepView, masked: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """(B, L) bool: the generated positions of the block that has the `masked` ones; (B,) int64 its number."""
    block, _ = block_index(view, width)
    number = torch.where(masked, block, 0).amax(dim=1)
    return view.canvas.editable & (block == number[:, None]), number


def _shadow(block: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor]:
    """(B, L) int64: the shadow token of each position of the `block`, `size` for all others; (B, size) int64: the
    position that each shadow token stands for, 0 for none; (B, size) bool: whether it stands for any."""
    slot = torch.where(block, block.cumsum(dim=1) - 1, size)
    where = torch.arange(block.shape[1], device=block.device).expand_as(slot)
    source = torch.zeros(len(slot), size + 1, dtype=torch.int64, device=slot.device).scatter(1, slot, where)
    present = torch.arange(size, device=block.device) < block.sum(dim=1, keepdim=True)
    return slot, source[:, :size], present


def _with_shadow(canvas: Canvas, masked: Tensor, source: Tensor, present: Tensor, checked: Tensor) -> Query:
    """The canvas and, behind it, the shadow of the positions `source` (B, S) where `present` (B, S)."""
    rows, length = canvas.tokens.shape
    size = source.shape[1]
    hidden = torch.zeros(rows, length + size, length + size, dtype=torch.bool, device=source.device)
    hidden[:, :length, length:] = True
    hidden[:, length:, :length] = source[:, :, None] == torch.arange(length, device=source.device)
    bias = torch.zeros(hidden.shape, device=source.device).masked_fill(hidden, float("-inf"))
    return Query(
        tokens=pad(canvas.tokens, (0, size), value=canvas.mask_id),
        need=torch.cat([masked, checked], dim=1),
        positions=torch.cat([canvas.positions, canvas.positions.gather(1, source)], dim=1),
        valid=torch.cat([canvas.valid, present], dim=1),
        attention_bias=bias,
    )
