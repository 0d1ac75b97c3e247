"""`bench scale`: how long a run would take on many GPUs, by the scheduler as it is and a clock that pretends."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import whole_numbers
from harness.errors import UserError


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--samples", type=click.IntRange(min=1), default=10_000_000, show_default=True, help="Samples to make.")
@click.option("--gpus", default="8,64,1000", show_default=True, help="Numbers of workers.")
@click.option("--batch", type=click.IntRange(min=1), default=32, show_default=True, help="Rows of a batch.")
@click.option("--forward", type=click.FloatRange(min=0, min_open=True), default=0.0123, show_default=True,
              help="Seconds of a forward pass for each row of a batch.")  # fmt: skip
@click.option(
    "--start", type=click.FloatRange(min=0), default=120.0, show_default=True, help="Seconds to load a model."
)
@click.option("--mtbf", default="0,1000", show_default=True, help="Hours until a worker dies, on average; 0 = never.")
def scale(run: Path, samples: int, gpus: str, batch: int, forward: float, start: float, mtbf: str) -> None:
    """Simulate a run whose samples take as many forward passes, of rows as long, as those of RUN, a folder of results.

    The default of --forward is that of LLaDA 8B at 384 tokens, at 60 % of the peak of an H200.
    """
    from harness.executors.simulate import Fleet, passes_of, simulate
    from harness.store import RunStore

    nfe = passes_of({cell.id: list(cell.costs().values()) for cell in RunStore(run).cells()})
    if not nfe:
        raise UserError(f"{run} has no sample whose number of forward passes is known")
    rows = f"{forward:g} s a forward pass and row of mean length"
    click.echo(f"{samples} samples like those of {len(nfe)} cells of {run}, {rows}")
    click.echo("| GPUs | hours to a death | units | deaths | hours | hours if all were busy | share busy |")
    click.echo("|---:|---:|---:|---:|---:|---:|---:|")
    for workers in whole_numbers(gpus, "--gpus"):
        for hours in whole_numbers(mtbf, "--mtbf"):
            found = simulate(nfe, samples, Fleet(workers, batch, forward, start, hours))
            click.echo(
                f"| {workers} | {hours or '–'} | {found.units} | {found.deaths} | {found.seconds / 3600:.2f} | "
                f"{found.ideal / 3600:.2f} | {100 * found.ideal / found.seconds:.1f} % |"
            )
