"""`bench samplers`: how much time samplers add to their model."""

from __future__ import annotations

from pathlib import Path

import click
from click.core import ParameterSource

from harness.catalogue import Catalogue
from harness.cli.options import include_path, llama_shape, llama_sizes, table_of_device, tell

_AT_LEAST_1 = click.IntRange(min=1)


@click.command()
@click.option("--samplers", "chosen", default="all", show_default=True, help="Names with commas between.")
@llama_sizes(3)
@click.option("--positions", type=_AT_LEAST_1, default=256, show_default=True, help="Positions to generate.")
@click.option("--batch", type=_AT_LEAST_1, default=1, show_default=True, help="Rows side by side.")
@click.option("--repeats", type=_AT_LEAST_1, default=7, show_default=True, help="Timed steps of each.")
@table_of_device
@include_path
def samplers(
    chosen: str,
    vocab: int,
    positions: int,
    width: int,
    layers: int,
    batch: int,
    repeats: int,
    device: str,
    output: Path | None,
    include: tuple[Path, ...],
) -> None:
    """Time each sampler's step beyond the model's forward pass, as a share of it, at temperature 0 and 1.

    The model has LLaDA's shape and random weights.
    """
    Catalogue(include)
    from harness.bench.overhead import measure, model
    from harness.bench.table import markdown
    from harness.samplers import samplers as registry

    wanted = [entry.name for entry in registry] if chosen == "all" else chosen.split(",")
    names = [registry[name.strip()].name for name in wanted]
    shape = llama_shape(vocab, width, layers)
    denoiser = model(shape, positions, device)
    rows = []
    for name in names:
        for temperature in (0.0, 1.0):
            click.echo(f"{name} at temperature {temperature:g}", err=True)
            rows.append(measure(name, temperature, denoiser, batch, repeats))
    tell(markdown(rows, _command(click.get_current_context()), device), output)


def _command(context: click.Context) -> str:
    """What to type to measure this again; flags that were not given stay out."""
    parts = ["run_eval.py bench samplers"]
    for key, value in context.params.items():
        given = context.get_parameter_source(key) is ParameterSource.COMMANDLINE
        if given and key not in ("output", "include"):
            parts.append(f"--{'samplers' if key == 'chosen' else key} {value}")
    return " ".join(parts)
