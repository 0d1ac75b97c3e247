"""A training as plain data: a YAML file of `recipes/`, or a user's own, with `key=value` overrides."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from harness.catalogue import read_yaml, validated
from harness.errors import UserError, did_you_mean
from harness.spec import Scalar, Spec

RECIPES = Path(__file__).parent / "recipes"


class Recipe(Spec):
    """Everything that shapes the trained weights.

    problem         name in `harness.training.problems`: network, data and objective
    network         fields of the network's configuration
    objective       arguments of the problem's objective
    steps           optimiser steps; the rate climbs for `warmup` steps, then falls to zero as a cosine or stays
    learning_rate   peak rate of AdamW
    rates           peak rates of AdamW for parts of the network: dotted name of a submodule or parameter to rate
    muon_learning_rate  peak rate of Muon, for the matrices of linear layers; None = AdamW for all parameters
    ema             decay per step of the average of the weights that is validated and kept
    validate_every  steps between validations; a checkpoint is written at each
    device          where it runs; another device rounds otherwise
    precision       of the activations; weights and optimisers are float32 in any case
    compile         whether the network's forward is compiled, which pays after some thousand steps on a GPU
    workers         processes that draw batches ahead; the batches do not depend on it
    """

    problem: str
    summary: str = ""
    network: dict[str, Scalar] = Field(default_factory=dict)
    objective: dict[str, Scalar] = Field(default_factory=dict)
    seed: int = Field(default=0, ge=0, lt=2**32)
    steps: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    rates: dict[str, float] = Field(default_factory=dict)
    muon_learning_rate: float | None = Field(default=None, gt=0)
    warmup: int = Field(default=100, ge=0)
    decay: Literal["cosine", "none"] = "cosine"
    weight_decay: float = Field(default=0.0, ge=0)
    ema: float = Field(default=0.999, ge=0, lt=1)
    validate_every: int = Field(default=100, ge=1)
    device: str = "cpu"
    precision: Literal["float32", "bfloat16"] = "float32"
    compile: bool = False
    workers: int = Field(default=0, ge=0)


def recipe_names() -> list[str]:
    """The recipes that come with the package."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def load_recipe(recipe: str, overrides: Mapping[str, Scalar], preset: str | None = None) -> Recipe:
    """A recipe by name or by path of a YAML file, changed by one of its `presets`, then by `overrides`.

    Both are such as `{"network.width": 64}`. Raises UserError naming the file and the key for an unknown recipe,
    preset or key, or a value of the wrong type.
    """
    path = Path(recipe) if recipe.endswith((".yaml", ".yml")) else RECIPES / f"{recipe}.yaml"
    if not path.is_file():
        raise UserError(f"unknown recipe {recipe!r}.{did_you_mean(recipe, recipe_names())}")
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected keys such as 'problem' and 'steps', found {type(content).__name__}")
    presets = content.pop("presets", None) or {}
    if preset is not None and preset not in presets:
        raise UserError(f"{path}: unknown preset {preset!r}.{did_you_mean(preset, presets)}")
    for key, value in {**(presets[preset] if preset else {}), **overrides}.items():
        _override(content, key, value)
    return validated(content, Recipe, str(path))


def _override(content: dict[str, Any], key: str, value: Scalar) -> None:
    if "." not in key:
        content[key] = value
    elif key.startswith(("network.", "objective.", "rates.")):
        section, _, name = key.partition(".")
        content[section] = {**(content.get(section) or {}), name: value}
    else:
        raise UserError(f"override {key!r}: only 'network.', 'objective.' and 'rates.' have keys below them.")
