"""`report`: leaderboard, ranking, curves and a site to browse, from what is stored."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.options import sources
from harness.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from harness.catalogue import Catalogue
    from harness.spec import Reported
    from harness.store import RunStore


@click.command()
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--output", type=click.Path(path_type=Path), help="Where to write; needed for several runs.")
@click.option("--at", type=click.FloatRange(min=0, min_open=True), metavar="COST",
              help="Rank by quality at this cost, in place of the area under the curves.")  # fmt: skip
@click.option("--axis", default="nfe", show_default=True, help="Cost by which samplers are ranked: nfe, depth, …")
@sources
def report(
    runs: tuple[Path, ...], output: Path | None, at: float | None, axis: str, include: tuple[Path, ...],
    data_dir: str | None,
) -> None:  # fmt: skip
    """Write leaderboard, ranking, curves and a site of a RUN (a folder of results) into it, print the leaderboard.

    Several runs are merged: their cells are the same where they have the same id. This needs an --output. Cells that
    cannot be read are left out, and named.
    """
    from harness.analysis.curves import COSTS
    from harness.catalogue import Catalogue
    from harness.store import RunStore

    if len(runs) > 1 and output is None:
        raise UserError("report: of several runs, say with --output where the report is to be written.")
    if axis not in COSTS:
        raise UserError(f"--axis {axis}: no such cost.{did_you_mean(axis, COSTS)}")
    stores = [RunStore(run) for run in runs]
    _write(stores, Catalogue(include), output or stores[0].root, data_dir, axis, at)


def write(store: RunStore, catalogue: Catalogue, data_dir: str | None) -> None:
    """Write the report of a run into it and print its compact leaderboard."""
    _write([store], catalogue, store.root, data_dir)


def _write(
    stores: Sequence[RunStore], catalogue: Catalogue, folder: Path, data_dir: str | None, axis: str = "nfe",
    at: float | None = None,
) -> None:  # fmt: skip
    from harness.analysis.frame import read_frame
    from harness.analysis.paired.ranking import rank_all
    from harness.analysis.ranking_tables import ranking_text
    from harness.analysis.report import write_report
    from harness.analysis.site import write_site
    from harness.analysis.tables import summary_text
    from harness.models import models

    table, tasks, problems = read_frame(stores, catalogue)
    rankings = rank_all(table, tasks, axis, at)
    paths = write_report(folder, table, tasks, rankings, problems, _published(stores))
    pixel_models = {model.name for model in models if model.info.modality == "image"}
    site = write_site(folder, table, tasks, catalogue, data_dir, pixel_models, rankings, problems)
    click.echo(summary_text(table, tasks), nl=False)
    if rankings:
        click.echo("\n" + ranking_text(rankings), nl=False)
    click.echo("\nWritten: " + ", ".join(str(path) for path in paths if path.parent == folder))
    click.echo(f"To browse curves, samples and replays, open {site}")
    warn(problems)


def _published(stores: Sequence[RunStore]) -> list[Reported]:
    """The numbers of the literature that the suites of the runs name."""
    from harness.spec import Reported

    sweeps = [sweep for store in stores for sweep in store.suite.get("sweeps", [])]
    return [Reported.model_validate(number) for sweep in sweeps for number in sweep.get("published", [])]


def warn(problems: Sequence[str]) -> None:
    """Say on the console what could not be shown."""
    for problem in problems:
        click.echo(f"warning: {problem}", err=True)


def fail_for(problems: Sequence[str]) -> None:
    """Raise UserError that names the cells which could not be scored, if there are such: the others were."""
    if problems:
        raise UserError("\n".join(["these cells could not be scored; the others are:", *problems]))
