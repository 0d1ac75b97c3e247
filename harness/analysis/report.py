"""The files that a run leaves for its readers: leaderboard and figures, all from the table of cells."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from harness.analysis.curves import Panel, panels
from harness.analysis.leaderboard import MANY, leaderboard
from harness.analysis.paired.ranking import Ranking
from harness.analysis.plots import assign_styles, curve_figure, overview_figure, plottable, save
from harness.analysis.plots.each import each_figure
from harness.analysis.ranking_tables import ranking_frame, ranking_json, ranking_latex, ranking_markdown
from harness.analysis.tables import markdown
from harness.errors import UserError
from harness.spec import Reported, TaskFile


def write_report(
    run_dir: Path,
    table: pd.DataFrame,
    tasks: Mapping[str, TaskFile],
    rankings: Sequence[Ranking] = (),
    problems: Sequence[str] = (),
    published: Sequence[Reported] = (),
) -> list[Path]:
    """Write `leaderboard.md`, `leaderboard.csv`, `curves.{png,pdf}`, `figures/<task>-<model>-<metric>.{png,pdf}` (of
    many samplers also `…-each`, a panel for each), and of the rankings, where there are any, `ranking.csv`,
    `ranking.json` and `leaderboard.tex`. `problems` are listed, and so is what others `published`.

    Shows what the table has: a setting without scores is listed with its costs, a panel without points is left
    out, and with no panel at all no figure is written. Each file is replaced in one step; the same table gives
    the same bytes. Returns the paths written. Raises UserError if the table is empty, names a task that is not
    among `tasks`, or a file cannot be written.
    """
    if table.empty:
        raise UserError(f"{run_dir}: nothing to report, no cell has a finished sample yet.")
    shown = [panel for panel in panels(table, tasks) if not plottable(panel.points).empty]
    styles = assign_styles(shown)
    board = leaderboard(table, tasks).rename(columns=_snake_case)
    texts = {
        "leaderboard.md": markdown(table, tasks, ranking_markdown(rankings) if rankings else "", problems, published),
        "leaderboard.csv": board.to_csv(index=False, lineterminator="\n"),
    }
    if rankings:
        texts["ranking.csv"] = ranking_frame(rankings).to_csv(index=False, lineterminator="\n")
        texts["ranking.json"] = ranking_json(rankings)
        texts["leaderboard.tex"] = ranking_latex(rankings)
    written = []
    for name, text in texts.items():
        with _replacing(run_dir / name) as part:
            part.write_text(text, encoding="utf-8")
        written.append(run_dir / name)
    if shown:
        written += _save_both(overview_figure(shown, styles), run_dir / "curves")
    for name, panel in zip(_file_names(shown), shown, strict=True):
        written += _save_both(curve_figure(panel, styles), run_dir / "figures" / name)
        if panel.points["label"].nunique() > MANY:
            written += _save_both(each_figure(panel, styles), run_dir / "figures" / f"{name}-each")
    return written


def _save_both(figure: Figure, stem: Path) -> list[Path]:
    paths = [stem.with_name(f"{stem.name}.{suffix}") for suffix in ("png", "pdf")]
    for path in paths:
        with _replacing(path) as part:
            save(figure, part)
    return paths


def _file_names(shown: Sequence[Panel]) -> list[str]:
    """`<task>-<model>-<metric>` with only letters, digits and `._=,@+-`; a number follows a name already given."""
    names = []
    seen: Counter[str] = Counter()
    for panel in shown:
        parts = (panel.task, panel.model, panel.metric.key)
        name = "-".join(re.sub(r"[^\w.=,@+-]+", "_", part, flags=re.ASCII).strip("_.") for part in parts)[:150]
        seen[name.lower()] += 1  # some file systems ignore case
        names.append(name if seen[name.lower()] == 1 else f"{name}-{seen[name.lower()]}")
    return names


def _snake_case(column: str) -> str:
    return re.sub(r"\W+", "_", column).strip("_").lower()


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A file to write beside `path`, which takes its place when the block ends well."""
    part = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        part.replace(path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror or error}.") from error
    finally:
        with suppress(OSError):  # gone already, or the folder was never made
            part.unlink()
