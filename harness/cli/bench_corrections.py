"""`bench corrections`: put known errors into clean rows, and see which correction score finds them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from harness.cli.options import numbers, whole_numbers
from harness.errors import UserError

_MODELS = "exact/chain,exact/chain:visible=one_hot,exact/tree,exact/parity,exact/independent,digits"


@click.command()
@click.option("--models", default=_MODELS, show_default=True, help="Models: name[:argument=value],…")
@click.option("--mask-ratios", default="0,0.25,0.5,0.75", show_default=True, help="Shares of masked positions.")
@click.option("--error-shares", default="0.05,0.1,0.2", show_default=True, help="Shares of visible tokens made wrong.")
@click.option("--seeds", default="0,1,2", show_default=True, help="Seeds of order and errors.")
@click.option("--documents", default=64, show_default=True, type=click.IntRange(min=2), help="Clean rows of a model.")
@click.option("--steps", default=8, show_default=True, type=click.IntRange(min=1), help="Steps of a whole decoding.")
@click.option("--batch-size", default=64, show_default=True, type=click.IntRange(min=1), help="Rows of a batch.")
@click.option("--device", default="cpu", show_default=True, help="Where the model runs: cpu, cuda, cuda:1.")
@click.option("--output", type=click.Path(path_type=Path), default=Path("results/corrections"), show_default=True)
def corrections(
    models: str, mask_ratios: str, error_shares: str, seeds: str, documents: int, steps: int, batch_size: int,
    device: str, output: Path,
) -> None:  # fmt: skip
    """Measure how well each correction score finds known errors: AUROC, average precision, harm rate, and cost."""
    ratios, shares = _shares(mask_ratios, "--mask-ratios"), _shares(error_shares, "--error-shares")
    if 0 in shares:
        raise UserError(f"--error-shares: 0 in {error_shares!r}; without an error there is nothing to find")

    import pandas as pd

    from harness.analysis.corrections import write
    from harness.bench.corrections import Options, measure
    from harness.components import resolve_model
    from harness.executors.loader import ModelLoader
    from harness.grammar import parse_grids

    options = Options(ratios, shares, whole_numbers(seeds, "--seeds"), documents, steps, batch_size)
    load, records = ModelLoader(device), []
    grids = parse_grids(models, "--models")
    specs = [resolve_model(item.name, item.args, "--models") for grid in grids for item in grid.components()]
    labels = [_label(item.name, item.args) for grid in grids for item in grid.components()]
    for spec, label in zip(specs, labels, strict=True):
        records += measure(load(spec), label, options, click.echo)
    paths = write(pd.DataFrame(records), output)
    click.echo("Written: " + ", ".join(str(path) for path in paths))


def _label(name: str, args: dict[str, bool | int | float | str | None]) -> str:
    """The model as it was asked for: `exact/chain:visible=one_hot`."""
    return ":".join([name, *(f"{key}={value}" for key, value in args.items())])


def _shares(text: str, flag: str) -> Sequence[float]:
    """Numbers from 0 to below 1."""
    shares = numbers(text, flag) or []
    for share in shares:
        if not 0 <= share < 1:
            raise UserError(f"{flag}: {share:g} in {text!r} must be at least 0 and below 1")
    return shares
