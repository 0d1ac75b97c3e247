"""From the table of a run to comparisons: which panels have both curves, and what was measured there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from harness.analysis.curves import COSTS, declared_metric, name_cells, task_file
from harness.analysis.paired.bootstrap import RESAMPLES
from harness.analysis.paired.compare import Comparison, Selection, compare
from harness.analysis.paired.load import Paired, align, load
from harness.analysis.paired.resample import resample
from harness.errors import UserError, did_you_mean
from harness.spec import MetricSpec, TaskFile


@dataclass(frozen=True)
class PanelComparison:
    """B against A on one task and model, by the task's primary metric unless another was asked for."""

    task: str
    model: str
    metric: MetricSpec
    axis: str
    paired: Paired
    comparison: Comparison

    @property
    def fraction(self) -> bool:
        """Whether the metric is a share of right answers, which is told in points."""
        return self.paired.told_in_points(self.metric)


def compare_panels(
    table: pd.DataFrame,
    tasks: Mapping[str, TaskFile],
    a: str,
    b: str,
    *,
    task: str | None = None,
    model: str | None = None,
    metric: str | None = None,
    axis: str = "nfe",
    at: float | None = None,
    resamples: int = RESAMPLES,
) -> tuple[list[PanelComparison], list[str]]:
    """B against A in every panel that has both, and why not in others; `table` is that of `frame.cell_frame`.

    `a` and `b` are the labels of curves as the leaderboard shows them, or `LABEL@SETTING` for one of their settings.
    Raises UserError for a name that is not there, or where no panel can be compared.
    """
    if axis not in COSTS:
        raise UserError(f"--axis {axis}: no such cost.{did_you_mean(axis, COSTS)}")
    cells = _matching(_matching(name_cells(table), "task", task), "model", model)
    chosen = _selection(a, cells, "A"), _selection(b, cells, "B")
    if chosen[0] == chosen[1]:
        raise UserError(f"A and B are both {a!r}; name two curves, or two settings of one, such as 'eb@gamma=1'.")
    found, problems = [], []
    for (name, of_model), rows in cells.groupby(["task", "model"], sort=True):
        pair = [_rows(rows, each) for each in chosen]
        if any(each.empty for each in pair):
            continue
        file = task_file(tasks, str(name).partition("@")[0])
        spec = declared_metric(file, metric or file.primary)
        try:
            paired, comparison = _compare(pd.concat(pair), spec, axis, chosen, at, resamples)
            found.append(PanelComparison(str(name), str(of_model), spec, axis, paired, comparison))
        except UserError as error:
            problems.append(f"{name} · {of_model}: {error}")
    if not found:
        raise UserError(
            "\n".join(problems) or f"no task and model has both {a!r} and {b!r}; `report` shows which are where."
        )
    return found, problems


def _compare(
    cells: pd.DataFrame,
    metric: MetricSpec,
    axis: str,
    chosen: tuple[Selection, Selection],
    at: float | None,
    resamples: int,
) -> tuple[Paired, Comparison]:
    scores = load(cells, metric, axis)
    paired = align(scores)
    if paired is None or not all(each.places(paired) for each in chosen):
        left_out = (scores if paired is None else paired).left_out
        reasons = "; ".join(f"{name}: {why}" for name, why in left_out.items()) or "no document is in all cells"
        raise UserError(f"cannot compare by {metric.label} and {axis}: {reasons}.")
    if at is not None:
        costs = [float(paired.costs[k].mean()) for k in chosen[0].places(paired)]
        if not min(costs) <= at <= max(costs):
            raise UserError(f"--at {at:g}: {chosen[0]} was measured from {axis} {min(costs):g} to {max(costs):g}.")
    higher = metric.direction == "higher"
    return paired, compare(resample(paired, resamples), chosen[0], chosen[1], higher, at)


def _matching(cells: pd.DataFrame, column: str, name: str | None) -> pd.DataFrame:
    """The cells of a task (with or without its protocol) or a model."""
    if name is None:
        return cells
    names = cells[column]
    matching: pd.DataFrame = cells[(names == name) | (names.str.partition("@")[0] == name)]
    if matching.empty:
        raise UserError(f"--{column} {name}: not in the results.{did_you_mean(name, names.unique())}")
    return matching


def _selection(name: str, cells: pd.DataFrame, which: str) -> Selection:
    if (cells["label"] == name).any():
        return Selection(name)
    label, _, setting = name.rpartition("@")
    of_label = cells[cells["label"] == label]
    if of_label.empty:
        raise UserError(f"{which} is {name!r}: no such curve.{did_you_mean(name, cells['label'].unique())}")
    if not (of_label["setting"] == setting).any():
        raise UserError(
            f"{which} is {name!r}: {label} has no such setting.{did_you_mean(setting, of_label['setting'].unique())}"
        )
    return Selection(label, setting)


def _rows(cells: pd.DataFrame, selection: Selection) -> pd.DataFrame:
    of_label = cells[cells["label"] == selection.label]
    rows: pd.DataFrame = of_label if selection.setting is None else of_label[of_label["setting"] == selection.setting]
    return rows
