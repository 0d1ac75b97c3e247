"""`bench analysis`: how long score, ranking, report and site take of a run with many samples."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import click

from harness.cli.options import tell
from harness.errors import UserError


@click.command()
@click.option("--samples", type=click.IntRange(min=1), default=100_000, show_default=True, help="About so many.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where the run is made and kept; else it is removed.")
@click.option("--output", type=click.Path(path_type=Path), help="Markdown file to write the table to.")
def analysis(samples: int, folder: Path | None, output: Path | None) -> None:
    """Make a run of made-up answers in some hundred cells, then time its scoring, ranking, report and site.

    Each part is run in a process of its own, whose peak memory is told. A million samples take some minutes and a few
    gigabytes of disk.
    """
    from harness.bench.analysis import measure, table
    from harness.bench.made_run import CELLS, make_run

    if folder is not None and folder.exists():
        raise UserError(f"--folder {folder}: is there already; name a new one.")
    with TemporaryDirectory(prefix="bench-analysis-") as temporary:
        root = folder or Path(temporary) / "run"
        click.echo(f"making about {samples} samples", err=True)
        made = make_run(root, samples)
        parts = []
        for part in measure(root):
            click.echo(f"{part.name}: {part.seconds:.3g} s", err=True)
            parts.append(part)
    text = table(parts, {"samples": f"{made} in {CELLS} cells"})
    tell(text, output)
