"""What differs between trainings: network, data and objective. Everything else is `harness.training.run`."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from torch import Tensor, nn

from harness.errors import UserError, did_you_mean
from harness.registry import Registry
from harness.spec import Scalar

Config = TypeVar("Config")


def the_same(examples: Tensor) -> Tensor:
    """For problems whose loss looks its examples up by number."""
    return examples


@dataclass(frozen=True)
class Problem:
    """Networks to train.

    config      the dataclass that the weights file carries
    network     freshly initialised; several networks are submodules of one
    examples    number of training examples
    loss        `loss(network, batch, progress)`: scalar loss of a batch that `draw` made, on the device; `progress` is
                the share of steps done, in [0, 1); may draw from torch's generator
    validate    `validate(kept)`: the number, lower is better, by which weights are kept; draws nothing
    report      `report(kept)`: named numbers, or one for each row, on test data, once, of the weights that were kept
    draw        `draw(examples)`: the tensors, on the CPU, of the examples with the numbers (B,) int64; runs in worker
                processes where the recipe asks for them, so it draws from nothing but these numbers
    measure     `measure(kept)`: named numbers for the log at each validation; draws nothing
    after_step  `after_step(network)`: what changes by a rule of its own after each step of the optimisers
    facts       plain data that the weights file carries beside `config`
    kept        dotted name of the submodule that is averaged, validated and written; "" = all of it
    """

    config: Any
    network: nn.Module
    examples: int
    loss: Callable[[nn.Module, Any, float], Tensor]
    validate: Callable[[nn.Module], float]
    report: Callable[[nn.Module], Mapping[str, float | list[float]]]
    draw: Callable[[Tensor], Any] = the_same
    measure: Callable[[nn.Module], dict[str, float]] | None = None
    after_step: Callable[[nn.Module], None] | None = None
    kept: str = ""
    facts: Mapping[str, Scalar] = field(default_factory=dict)


problems: Registry[str] = Registry("training problem", "mdm_harness.problems")
"""Name to a factory `(network, objective, device) -> Problem`, the first two being sections of the recipe."""

problems.add("digits", "harness.training.digits:diffusion", "masked diffusion of handwritten digits")
problems.add("table", "harness.training.tables:table", "masked diffusion of a table, its order learnt or not")
problems.add("mini", "harness.training.mini:mini", "masked diffusion of text, pictures and puzzles in one canvas")
problems.add("dimo", "harness.training.dimo:dimo", "distillation of a masked diffusion model into one step")
problems.add("mc_dit", "harness.training.mc_dit:mc_dit", "continuous diffusion of digits, with patches masked")
problems.add("mini_contrastive", "harness.training.contrastive:contrastive", "likeness of pictures and captions")
problems.add("digits_classifier", "harness.training.digits:classification", "classifier of handwritten digits")


def fill(config_type: type[Config], section: str, values: Mapping[str, Scalar]) -> Config:
    """The dataclass `config_type` from a section of a recipe; UserError for an unknown key or a wrong type."""
    fields = {field.name: field for field in dataclasses.fields(config_type)}  # type: ignore[arg-type]
    for key, value in values.items():
        if key not in fields:
            raise UserError(f"recipe: unknown key {section}.{key}.{did_you_mean(key, fields)}")
        wanted = fields[key].type
        if wanted == "str":
            right = isinstance(value, str)
        else:
            right = isinstance(value, int) or (wanted == "float" and isinstance(value, float))
        if not right or isinstance(value, bool):
            raise UserError(f"recipe: {section}.{key} = {value!r} should be of type {wanted}.")
    required = [
        name
        for name, field in fields.items()
        if name not in values and field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]
    if required:
        raise UserError(f"recipe: {section} lacks {', '.join(required)}.")
    return config_type(**values)
