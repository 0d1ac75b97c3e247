"""The one data structure that samplers read and return: a batch of partly masked rows, and an edit of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from harness.prediction import Prediction, Query

State = Mapping[str, Tensor]
"""What a sampler remembers between steps: named tensors whose first axis is the row."""

Ask = Callable[..., Prediction]
"""`ask(query=None) -> Prediction`: one call of the model, and the only way to it. Without a query, the canvas as it
is, with predictions at its masked positions."""

Draws = Callable[[str, int, int], Tensor]
"""`rng(purpose, step, length) -> (B, length) float64` in (0, 1), a function of seed, purpose, document, sample, step
and position. `torch.special.ndtri` makes normal numbers of them."""

Count = Callable[..., Tensor]
"""`count(rows=None, **inputs)`: one call of the network that a generator runs, and the only way to it."""


@dataclass(frozen=True)
class Canvas:
    """`B` rows padded to a common length `L`; whatever may differ between rows is a per-row value.

    tokens      (B, L) int64   committed tokens, `mask_id` where still masked
    valid       (B, L) bool    False = padding, which no model call attends to
    editable    (B, L) bool    where the sampler may write; False on the prompt
    positions   (B, L) int64   position ids
    document    (B,) int64     32-bit key of the document (for the random stream)
    sample      (B,) int64     index of the sample within its document
    seed        (B,) int64     seed of the cell, below 2^32
    step        (B,) int64     how many steps this row has taken
    budget      (B,) int64     how many steps it may take (knob `steps`); the canvas length otherwise
    temperature (B,) float32   of token draws; 0 = arg-max
    guidance    (B,) float32   classifier-free guidance `w` in `uncond + (1 + w)(cond − uncond)`; 0 = off
    condition   name -> (B, …) what the model is conditioned on beside the tokens (class label, embeddings)
    grid        (height, width) of the generated positions where they form an image, else None
    eos_ids     tokens that end a text, ascending; empty where nothing does
    vocab_size  size of the model's vocabulary, for samplers whose state holds distributions
    schedule    (B, L) float64  log w of a position that is masked at time t with probability t^w; 0 on padding. None
                where the model has one schedule for all positions
    """

    tokens: Tensor
    valid: Tensor
    editable: Tensor
    positions: Tensor
    mask_id: int
    document: Tensor
    sample: Tensor
    seed: Tensor
    step: Tensor
    budget: Tensor
    temperature: Tensor
    guidance: Tensor
    condition: Mapping[str, Tensor] = field(default_factory=dict)
    grid: tuple[int, int] | None = None
    eos_ids: tuple[int, ...] = ()
    vocab_size: int = 0
    schedule: Tensor | None = None

    @property
    def masked(self) -> Tensor:
        """(B, L) bool: editable positions that still hold the mask."""
        return self.editable & (self.tokens == self.mask_id)

    @property
    def visible(self) -> Tensor:
        """(B, L) bool: generated positions that hold a token."""
        return self.editable & (self.tokens != self.mask_id)

    def with_rows(self, rows: Tensor, other: Canvas) -> Canvas:
        """This canvas with the rows where `rows` (B,) bool is True taken from `other`."""

        def pick(new: Tensor, old: Tensor) -> Tensor:
            return torch.where(rows.view(-1, *[1] * (old.dim() - 1)), new, old)

        columns: dict[str, Any] = {name: pick(getattr(other, name), getattr(self, name)) for name in _ROW_FIELDS}
        condition = {name: pick(other.condition[name], old) for name, old in self.condition.items()}
        if self.schedule is not None and other.schedule is not None:
            columns["schedule"] = pick(other.schedule, self.schedule)
        return replace(self, condition=condition, **columns)

    def repeated(self, copies: int) -> Canvas:
        """Each row `copies` times, one after the other, as the rows of a query with so many copies lie."""

        def repeat(column: Tensor) -> Tensor:
            return column.repeat_interleave(copies, dim=0)

        columns: dict[str, Any] = {name: repeat(getattr(self, name)) for name in _ROW_FIELDS}
        condition = {name: repeat(column) for name, column in self.condition.items()}
        if self.schedule is not None:
            columns["schedule"] = repeat(self.schedule)
        return replace(self, condition=condition, **columns)


_ROW_FIELDS = (
    *("tokens", "valid", "editable", "positions", "document", "sample", "seed", "step", "budget"),
    *("temperature", "guidance"),
)


@dataclass(frozen=True)
class StepView:
    """What a sampler sees at one step: the canvas, its own state, and this step's random numbers."""

    canvas: Canvas
    state: State
    random: Callable[..., Tensor]
    """`random(purpose, ahead=0) -> (B, L) float64` in (0, 1), a function of seed, purpose, document, sample, step and
    position; `ahead`, a number or (B,) int64, looks up what a later step will draw."""

    @property
    def masked(self) -> Tensor:
        """(B, L) bool: the positions still to be unmasked."""
        return self.canvas.masked

    @property
    def visible(self) -> Tensor:
        """(B, L) bool: the generated positions that already hold a token."""
        return self.canvas.visible

    @property
    def progress(self) -> Tensor:
        """(B, 1) float64: `(step + 1) / budget`, the share of the schedule done after this step; at most 1."""
        canvas = self.canvas
        return ((canvas.step + 1).double() / canvas.budget.double()).clamp(max=1.0)[:, None]

    def query(self, tokens: Tensor | None = None, need: Tensor | None = None, rows: Tensor | None = None) -> Query:
        """A query over this canvas: `tokens` (B, L) instead of its own, predictions where `need` (B, L), rows (B,)."""
        return Query(
            tokens=self.canvas.tokens if tokens is None else tokens,
            need=self.canvas.masked if need is None else need,
            rows=rows,
        )


@dataclass(frozen=True)
class Edit:
    """What one step does to the canvas; the engine applies and checks it.

    commit   (B, L) bool     masked positions that receive `tokens`
    tokens   (B, L) int64    read at `commit` (and `overwrite`) only
    remask   (B, L) bool     visible positions that are masked again; needs `may_remask`
    overwrite(B, L) bool     visible positions that receive `tokens`; needs `may_overwrite`
    state                    the state of the next step
    advance  (B,) int64      by how much `step` advances; None = one
    unfinished (B,) bool     rows that go on even if no mask is left, to look their tokens over once more; None = none
    """

    commit: Tensor
    tokens: Tensor
    state: State = field(default_factory=dict)
    remask: Tensor | None = None
    overwrite: Tensor | None = None
    advance: Tensor | None = None
    unfinished: Tensor | None = None
