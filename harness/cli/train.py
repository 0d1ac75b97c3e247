"""`train`: make the weights of a built-in model from its recipe."""

from __future__ import annotations

from pathlib import Path

import click

from harness.errors import UserError
from harness.grammar import scalar


@click.command()
@click.argument("recipe")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Override a key of the recipe.")
@click.option("--preset", metavar="NAME", help="One of the recipe's own variants, such as mini.")
@click.option(
    "--output", type=click.Path(path_type=Path), help="[default: results/train/<recipe>, or <recipe>_<preset>]"
)
def train(recipe: str, settings: tuple[str, ...], preset: str | None, output: Path | None) -> None:
    """Train by a RECIPE: a shipped name such as digits, or the path of a YAML file. Run again to go on after a stop."""
    from harness.training.run import train as run_recipe

    overrides = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise UserError(f"--set {setting}: write --set key=value")
        overrides[key] = scalar(value, f"--set {setting}")
    name = "_".join(filter(None, (Path(recipe).stem, preset)))
    run_recipe(recipe, overrides, output or Path("results") / "train" / name, preset)
