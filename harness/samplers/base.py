"""What a sampler is, and how its parameters are declared."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

import torch
from torch import Tensor

from harness.canvas import Ask, Canvas, Edit, State, StepView

Real: TypeAlias = float | Tensor
"""Real parameter: a float when declared, (B, 1) float64 inside `init` and `step`, so that rows of one batch differ."""
Whole: TypeAlias = int | Tensor
"""A whole-number parameter: an int when declared, (B, 1) int64 inside `init` and `step`."""


class Sampler(Protocol):
    """A frozen dataclass of hyper-parameters with two methods, each on all rows at once.

    `step` may call `ask` several times; every call is charged. It keeps nothing on `self`, draws only from
    `view.random(purpose)`, and never loops over rows. Parameters typed `Real` or `Whole` may differ between the rows
    of a batch; all others are the same for the batch.
    """

    def init(self, canvas: Canvas) -> State:
        """The state of fresh rows: tensors whose first axis is the row."""

    def step(self, view: StepView, ask: Ask) -> Edit:
        """One step of every row."""


def param(
    default: Any,
    doc: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: Sequence[str] = (),
) -> Any:
    """A dataclass field with the paper's symbol explained in `doc` and the legal range [low, high] or choices."""
    return dataclasses.field(
        default=default, metadata={"doc": doc, "low": low, "high": high, "choices": tuple(choices)}
    )


def is_per_row(field: dataclasses.Field[Any]) -> bool:
    """Whether the parameter may differ between the rows of one batch."""
    return field.type in ("Real", "Whole", Real, Whole)


def stack(samplers: Sequence[Any], device: torch.device) -> Any:
    """One sampler for a batch: row `i` has the parameters of `samplers[i]`, the per-row ones as (B, 1) tensors."""
    first = samplers[0]
    columns = {}
    for field in dataclasses.fields(first):
        if is_per_row(field):
            values = [getattr(sampler, field.name) for sampler in samplers]
            dtype = torch.int64 if field.type in ("Whole", Whole) else torch.float64
            columns[field.name] = torch.tensor(values, dtype=dtype, device=device)[:, None]
    return dataclasses.replace(first, **columns)


def shared_parameters(sampler: Any) -> tuple[Any, ...]:
    """What must be equal for two samplers to share a batch: the class and every parameter that is not per row."""
    fields = [field for field in dataclasses.fields(sampler) if not is_per_row(field)]
    return (type(sampler), *(getattr(sampler, field.name) for field in fields))
