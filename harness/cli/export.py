"""`export`: a run as files of another program."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import allow_code, sources


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("output", type=click.Path(path_type=Path))
@click.option(
    "--format", "kind", required=True, type=click.Choice(["geneval", "lm-eval", "mt-bench"]), help="Who is to read it."
)
@sources
@allow_code
def export(
    run: Path, output: Path, kind: str, include: tuple[Path, ...], data_dir: str | None, allow_code: bool
) -> None:
    """Write the cells of a RUN into OUTPUT.

    lm-eval: results_*.json and samples_*.jsonl, a folder for each cell. mt-bench: the answers to the task mt_bench, as
    FastChat's judge reads them. geneval: the pictures of the task geneval, as its official script reads them.
    """
    from harness.analysis.exporting import export_run
    from harness.catalogue import Catalogue
    from harness.store import RunStore

    for cell, path in export_run(kind, RunStore(run), Catalogue(include, allow_code), data_dir, output).items():
        click.echo(f"{cell}  {path if path is not None else 'has nothing for this format'}")
