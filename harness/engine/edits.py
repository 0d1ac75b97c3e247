"""Applying a sampler's edit to the canvas, and refusing one that breaks the rules."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from harness.canvas import Canvas, Edit, State
from harness.samplers.info import SamplerInfo

_RULES = (
    "committed a token at a position that is not masked and editable",
    "committed the mask token or a token outside the vocabulary",
    "re-masked a position that holds no generated token",
    "re-masked a token without declaring may_remask",
    "overwrote a position that holds no generated token",
    "overwrote a token without declaring may_overwrite",
    "advanced its schedule by a negative number of steps",
    "left masks when its budget was spent, or went on without getting anywhere",
)


class SamplerError(RuntimeError):
    """A sampler broke the contract of `Edit`."""


def check_form(edit: Edit, canvas: Canvas, state: State, sampler: str) -> None:
    """Raise SamplerError for tensors whose shape or dtype is not the contract's: broadcasting would hide it."""
    if edit.state.keys() != state.keys():
        raise SamplerError(f"sampler {sampler} returned the state {sorted(edit.state)}; its init made {sorted(state)}")
    pairs = {
        "commit": (edit.commit, canvas.editable),
        "tokens": (edit.tokens, canvas.tokens),
        "remask": (edit.remask, canvas.editable),
        "overwrite": (edit.overwrite, canvas.editable),
        "advance": (edit.advance, canvas.step),
        "unfinished": (edit.unfinished, canvas.step > 0),
        **{f"state {name}": (edit.state[name], old) for name, old in state.items()},
    }
    for name, (value, like) in pairs.items():
        if value is not None and (value.shape, value.dtype) != (like.shape, like.dtype):
            raise SamplerError(
                f"sampler {sampler} returned {name} as {tuple(value.shape)} {value.dtype}; "
                f"it must be {tuple(like.shape)} {like.dtype}"
            )


def violations(edit: Edit, canvas: Canvas, running: Tensor, info: SamplerInfo, vocab_size: int) -> Tensor:
    """(7,) bool on the device: which rule of `_RULES` the edit breaks in any running row."""
    rows = running[:, None]
    none = torch.zeros_like(rows)
    remask = none if edit.remask is None else edit.remask & rows
    overwrite = none if edit.overwrite is None else edit.overwrite & rows
    written = (edit.commit & rows) | overwrite
    illegal = (edit.tokens == canvas.mask_id) | (edit.tokens < 0) | (edit.tokens >= vocab_size)
    backwards = none if edit.advance is None else (edit.advance < 0)[:, None] & rows
    broken = [
        edit.commit & rows & ~canvas.masked,
        written & illegal,
        remask & ~canvas.visible,
        none if info.may_remask else remask,
        overwrite & ~canvas.visible,
        none if info.may_overwrite else overwrite,
        backwards,
    ]
    return torch.stack([rule.any() for rule in broken])


def first_violation(flags: Sequence[bool], sampler: str, info: SamplerInfo) -> SamplerError:
    """The error for the first rule whose flag is set; the last flag is the endless row."""
    rule = _RULES[list(flags).index(True)]
    return SamplerError(f"sampler {sampler} {rule} (knob {info.knob}, may_remask {info.may_remask})")


def apply_edit(edit: Edit, canvas: Canvas, running: Tensor) -> Canvas:
    """The canvas after the edit; rows that are not running stay as they are."""
    rows = running[:, None]
    write = edit.commit if edit.overwrite is None else edit.commit | edit.overwrite
    tokens = torch.where(write & rows, edit.tokens, canvas.tokens)
    if edit.remask is not None:
        tokens = tokens.masked_fill(edit.remask & rows, canvas.mask_id)
    advance = torch.ones_like(canvas.step) if edit.advance is None else edit.advance
    return replace(canvas, tokens=tokens, step=canvas.step + torch.where(running, advance, 0))
