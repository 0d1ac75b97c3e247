"""`merge`: the parts of a run that were made in folders of their own become one run."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--output", required=True, type=click.Path(path_type=Path), help="Run that they are put into.")
def merge(runs: tuple[Path, ...], output: Path) -> None:
    """Copy the samples of every RUN (a folder of results) into one run, where they are not there yet.

    Then give the command that made them again with this --output and without --shard: it makes what is missing,
    scores and reports.
    """
    from harness.store import RunStore
    from harness.store.gather import gather

    parts = [RunStore(run) for run in runs]
    into = RunStore.create(output, parts[0].suite)
    count = gather(parts, into)
    click.echo(f"{count} samples from {len(parts)} runs -> {output}")
