"""`report`: leaderboard and curves from what is stored."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.options import sources

if TYPE_CHECKING:
    from harness.catalogue import Catalogue
    from harness.store import RunStore


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@sources
def report(run: Path, include: tuple[Path, ...], data_dir: str | None) -> None:
    """Write leaderboard and curves of a RUN (a folder of results) into it, and print the leaderboard."""
    from harness.catalogue import Catalogue
    from harness.store import RunStore

    write(RunStore(run), Catalogue(include))


def write(store: RunStore, catalogue: Catalogue) -> None:
    """Write the report of a run and print its compact leaderboard."""
    from harness.analysis.frame import cell_frame
    from harness.analysis.report import write_report
    from harness.analysis.tables import summary_text

    table = cell_frame(store)
    tasks = {name: catalogue.task_file(name) for name in sorted(set(table["task"]))}
    paths = write_report(store.root, table, tasks)
    click.echo(summary_text(table, tasks), nl=False)
    click.echo("\nWritten: " + ", ".join(str(path) for path in paths if path.parent == store.root))
