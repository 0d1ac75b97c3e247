"""The leaderboard: a long table of all settings, and per task x model the best value within so many NFE."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from harness.analysis.curves import COSTS, SETTING, Panel, metric_columns, name_cells, panels, settings, task_file
from harness.spec import MetricSpec, TaskFile

Mark = Literal["best", "tie", ""]

KEYS = ["task", "model", "sampler", "setting", "seeds", "documents", "finished", *COSTS]
"""The columns of `leaderboard` before the metrics."""


@dataclass(frozen=True)
class Entry:
    """The best point of a sampler within a number of NFE, and how it compares with the column's best."""

    value: float
    stderr: float
    setting: str
    mark: Mark


@dataclass(frozen=True)
class Summary:
    """Best primary metric within each NFE ceiling for one model on one task.

    ceilings  powers of two that span the measured NFE, the last at least the largest; `inf` follows where the
              NFE of a setting is unknown
    rows      sampler label -> one entry per ceiling, None where no setting fits under it; those first that are in front
              in most columns
    """

    panel: Panel
    ceilings: tuple[float, ...]
    rows: Mapping[str, tuple[Entry | None, ...]]


def leaderboard(table: pd.DataFrame, tasks: Mapping[str, TaskFile]) -> pd.DataFrame:
    """One row per setting, sorted by task, model, sampler and NFE.

    Columns: `KEYS` (`sampler` is the curve's label; costs are means per sample), `pareto` (whether the setting is on
    its model's frontier of NFE and the task's primary metric) and, for each metric that a task of the table declares,
    `metric.<key>`, `metric.<key>.stderr`, `metric.<key>.floor` (else NaN).
    """
    cells = name_cells(table)
    metrics = declared_metrics(table, tasks)
    found = settings(cells, [metric.key for metric in metrics])
    found = found.sort_values([*SETTING[:-1], "nfe"], kind="stable", ignore_index=True)
    best: set[int] = set()
    for (task, _), rows in found[found["finished"]].groupby(["task", "model"]):
        file = task_file(tasks, str(task).partition("@")[0])
        primary = primary_first(file)[0]
        named = rows.rename(columns={"nfe": "cost", metric_columns(primary.key)[0]: "value"})
        best |= set(frontier(named, primary.direction == "higher").index)
    found.insert(found.columns.get_loc(COSTS[-1]) + 1, "pareto", found.index.isin(best))
    board: pd.DataFrame = found.drop(columns="sampler").rename(columns={"label": "sampler"})
    return board


def frontier(points: pd.DataFrame, higher: bool) -> pd.DataFrame:
    """The rows of `points` (columns `cost`, `value`) that are better than all others that cost no more, by cost.

    Of rows equal in both, the first; none whose cost or value is unknown.
    """
    ordered = points.dropna(subset=["cost", "value"]).sort_values("value", ascending=not higher, kind="stable")
    ordered = ordered.sort_values("cost", kind="stable")
    worth = ordered["value"] if higher else -ordered["value"]
    found: pd.DataFrame = ordered[worth > worth.cummax().shift(fill_value=-math.inf)]
    return found


FRONT, MANY = 8, 12
"""Of more than `MANY` curves, so many stand out in figures."""


def in_front(panels: Sequence[Panel]) -> list[str]:
    """The labels of curves that stand out in the figures of some panels: all, or of many those that are most often on
    the Pareto frontiers, then those that are in front in the summaries."""
    labels = sorted({str(label) for panel in panels for label in panel.points["label"]})
    if len(labels) <= MANY:
        return labels
    on: Counter[str] = Counter()
    behind: Counter[str] = Counter()
    for panel in panels:
        on.update(frontier(panel.points, panel.metric.direction == "higher")["label"])
        order = [*_summary(panel).rows]
        behind.update({label: order.index(label) if label in order else len(order) for label in labels})
    return sorted(labels, key=lambda label: (-on[label], behind[label], label))[:FRONT]


def declared_metrics(table: pd.DataFrame, tasks: Mapping[str, TaskFile]) -> list[MetricSpec]:
    """The metrics of the table's tasks, each key once, a task's primary metric before its others."""
    found: dict[str, MetricSpec] = {}
    for task in sorted(set(table["task"])):
        for metric in primary_first(task_file(tasks, task)):
            found.setdefault(metric.key, metric)
    return list(found.values())


def primary_first(file: TaskFile) -> list[MetricSpec]:
    """The task's metrics in declared order, the primary one moved to the front."""
    return sorted(file.metrics, key=lambda metric: metric.key != file.primary)


def summaries(table: pd.DataFrame, tasks: Mapping[str, TaskFile]) -> list[Summary]:
    """One summary per task x model with a known primary metric."""
    return [_summary(panel) for panel in panels(table, tasks)]


def _summary(panel: Panel) -> Summary:
    ceilings = _ceilings(panel.points["cost"])
    higher = panel.metric.direction == "higher"
    columns = [_best_of_each(panel.points, ceiling, higher) for ceiling in ceilings]
    labels = sorted(set(panel.points["label"]), key=lambda label: (_mean_place(label, columns), label))
    return Summary(panel, ceilings, {label: tuple(column.get(label) for column in columns) for label in labels})


def _mean_place(label: str, columns: Sequence[Mapping[str, Entry]]) -> float:
    """Over the columns, each from the best label on; one that is not in a column is behind all that are."""
    return sum([*column, label].index(label) for column in columns) / max(1, len(columns))


def _ceilings(nfe: pd.Series[float]) -> tuple[float, ...]:
    known = [float(cost) for cost in nfe if cost > 0]
    powers = [math.ceil(math.log2(cost) - 1e-9) for cost in known]
    spanned = [2.0**power for power in range(min(powers), max(powers) + 1)] if powers else []
    return (*spanned, math.inf) if len(known) < len(nfe) else tuple(spanned)


def _best_of_each(points: pd.DataFrame, ceiling: float, higher: bool) -> dict[str, Entry]:
    """Each label's best point within the ceiling; marks the best of all, and ties within its stderr."""
    # A mean NFE may exceed a whole number by rounding; an unknown one (NaN) fits under infinity only.
    fits = points[points["cost"].fillna(math.inf) <= ceiling * (1 + 1e-9)]
    fits = fits.sort_values("value", ascending=not higher, kind="stable")
    if fits.empty:
        return {}
    best, margin = float(fits["value"].iloc[0]), float(fits["stderr"].iloc[0])

    def mark(value: float) -> Mark:
        if value == best:
            return "best"
        return "tie" if abs(value - best) <= margin else ""  # never with an unknown (NaN) margin

    return {
        row["label"]: Entry(row["value"], row["stderr"], row["setting"], mark(row["value"]))
        for row in fits.drop_duplicates("label").to_dict("records")
    }
