"""Which positions a step may unmask, and how many: quotas, blocks and ranks, each row by itself."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from harness.canvas import StepView
from harness.prediction import Prediction
from harness.samplers.base import Whole


def certainty(prediction: Prediction, score: str) -> Tensor:
    """(B, L): `confidence`, `margin` or `entropy` of each position, signed so that the surest is highest."""
    value: Tensor = getattr(prediction, score)
    return -value if score == "entropy" else value


def ranks(score: Tensor, where: Tensor) -> Tensor:
    """(B, L) int64: 0 for the highest `score` within `where` of each row; ties go to the lower position."""
    order = score.masked_fill(~where, float("-inf")).argsort(dim=1, descending=True, stable=True)
    # −inf scores inside `where` must still come before every position outside it.
    order = order.gather(1, where.gather(1, order).to(torch.int8).argsort(dim=1, descending=True, stable=True))
    place = torch.arange(score.shape[1], device=score.device).expand_as(order)
    return torch.empty_like(order).scatter_(1, order, place)


def top(count: Tensor, score: Tensor, where: Tensor) -> Tensor:
    """(B, L) bool: the `count` (B,) positions of `where` with the highest score."""
    return where & (ranks(score, where) < count[:, None])


def best(score: Tensor, where: Tensor) -> Tensor:
    """(B, L) bool: the position of `where` with the highest score, the first of equals; none where there is none."""
    return top(torch.ones_like(where[:, 0], dtype=torch.int64), score, where)


def block_index(view: StepView, width: Whole) -> tuple[Tensor, Tensor]:
    """(B, L) int64 block of each generated position and (B, 1) int64 number of blocks; width 0 = one block.

    Blocks are counted over the generated positions, so that the first may start in the middle of a padded canvas.
    """
    offset, width = _offset_and_width(view, width)
    size = view.canvas.editable.sum(dim=1, keepdim=True)
    return offset // width, -(-size // width)


def block_place(view: StepView, width: Whole) -> tuple[Tensor, Tensor]:
    """(B, L) int64 place of each generated position in its block, from 0, and (B, 1) int64 length of the blocks."""
    offset, width = _offset_and_width(view, width)
    return offset % width, width


def _offset_and_width(view: StepView, width: Whole) -> tuple[Tensor, Tensor]:
    editable = view.canvas.editable
    size = editable.sum(dim=1, keepdim=True)
    width = torch.as_tensor(width, device=size.device)
    return (editable.cumsum(dim=1) - 1).clamp(min=0), torch.where(width > 0, width, size).clamp(min=1)


def current_block(view: StepView, width: Whole) -> Tensor:
    """(B, L) bool: the masked positions of the first block that has any (semi-autoregressive order)."""
    block, count = block_index(view, width)
    first = torch.where(view.masked, block, count).amin(dim=1, keepdim=True)
    return view.masked & (block == first)


def active_block(view: StepView, width: Whole, fitted: bool) -> Tensor:
    """(B, L) bool: all positions, masked or not, of the first block that has a mask, or of the last block where there
    is none; `fitted` where the sampler counts its blocks by `fitted_blocks`."""
    block, count = fitted_blocks(view, width) if fitted else block_index(view, width)
    first = torch.where(view.masked, block, count - 1).amin(dim=1, keepdim=True)
    return view.canvas.editable & (block == first)


def fitted_blocks(view: StepView, width: Whole) -> tuple[Tensor, Tensor]:
    """`block_index` of blocks at least so wide that there are no more of them than steps."""
    size, budget = view.canvas.editable.sum(dim=1, keepdim=True), view.canvas.budget[:, None]
    _, count = block_index(view, width)
    width = torch.where(count > budget, -(-size // budget), torch.as_tensor(width, device=size.device))
    return block_index(view, width)


def scheduled(view: StepView, width: Whole) -> tuple[Tensor, Tensor]:
    """Positions that this step may unmask (B, L) bool, and how many of them it should (B,) int64.

    The steps are shared out evenly over the blocks and, within a block, its masks evenly over its steps, the larger
    shares first (LLaDA's `get_num_transfer_tokens`). Where there are fewer steps than blocks, blocks are widened so
    that each has a step: the budget is always kept.
    """
    budget, step = view.canvas.budget[:, None], view.canvas.step[:, None]
    block, count = fitted_blocks(view, width)
    lowest = torch.where(view.masked, block, count).amin(dim=1, keepdim=True)
    allowed = view.masked & (block == lowest)
    first = torch.where(allowed, block, 0).amax(dim=1, keepdim=True)
    steps_left = (-(-(first + 1) * budget // count) - step).clamp(min=1)
    masks = allowed.sum(dim=1, keepdim=True)
    return allowed, (-(-masks // steps_left)).squeeze(1)


def cosine_keep(view: StepView, rounded: bool = False) -> Tensor:
    """(B,) int64: positions that stay masked after this step, `max(1, ⌊N cos(π/2 · (s+1)/T)⌋)`, none after the last.

    MaskGIT (Chang et al. 2022, arXiv 2202.04200), section 3.2. `rounded` takes the cosine in float32, as released code
    in PyTorch does: after two thirds of the steps one position fewer than N/2 stays masked.
    """
    size = view.canvas.editable.sum(dim=1)
    done = view.progress.squeeze(1).to(torch.float32 if rounded else torch.float64)
    keep = torch.floor(size * torch.cos(done * (math.pi / 2))).to(torch.int64).clamp(min=1)
    return torch.where(view.canvas.step + 1 >= view.canvas.budget, 0, keep)


def gumbel(uniform: Tensor) -> Tensor:
    """Standard Gumbel noise from uniforms in (0, 1)."""
    return -torch.log(-torch.log(uniform))
