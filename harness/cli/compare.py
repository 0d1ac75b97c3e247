"""`compare`: one sampler against another on the same documents."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from harness.cli.options import include_path


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("a")
@click.argument("b")
@click.option("--task", help="Only this task: name, or name@protocol.")
@click.option("--model", help="Only this model.")
@click.option("--metric", help="Metric of the task.  [default: its primary one]")
@click.option("--axis", default="nfe", show_default=True, help="What compute is counted in: nfe, depth, flops, …")
@click.option("--at", type=float, metavar="COST", help="Compare at this cost, in place of A's own settings.")
@click.option("--json", "as_json", is_flag=True, help="Print all numbers as JSON.")
@include_path
def compare(run: Path, include: tuple[Path, ...], as_json: bool, **chosen: Any) -> None:
    """Compare curve B of a RUN with curve A: at each setting, at equal cost, over all costs, at equal quality.

    A and B are named as in the leaderboard, or LABEL@SETTING for a single setting, such as 'eb@gamma=1'.
    """
    from harness.analysis.compare_text import comparison_json, comparison_text
    from harness.analysis.frame import read_frame
    from harness.analysis.paired.panels import compare_panels
    from harness.catalogue import Catalogue
    from harness.cli.report import warn
    from harness.store import RunStore

    table, tasks, unread = read_frame([RunStore(run)], Catalogue(include))
    warn(unread)
    found, problems = compare_panels(table, tasks, **chosen)
    if as_json:
        click.echo(comparison_json(found, problems))
    else:
        click.echo("\n\n".join([*map(comparison_text, found), *problems]), nl=bool(problems))
