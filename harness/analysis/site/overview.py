"""What leaderboard and curves show: one row per setting, and how each sampler's curve looks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from harness.analysis.curves import COSTS, metric_columns, name_cells, panels
from harness.analysis.leaderboard import declared_metrics, in_front, leaderboard, primary_first
from harness.analysis.paired.ranking import Ranking
from harness.analysis.plots import Style, assign_styles
from harness.analysis.ranking_tables import Table, across_table, legend, ranking_table
from harness.analysis.ranking_words import words
from harness.analysis.tables import HEADINGS, timing_note
from harness.spec import TaskFile
from harness.store.spelling import spell

SYMBOLS = {
    **{"D": "diamond", "o": "circle", "s": "square", "v": "triangle-down", "^": "triangle-up", "P": "cross", "X": "x"},
    **{"p": "pentagon", "h": "hexagon", "d": "diamond-tall", "<": "triangle-left", ">": "triangle-right"},
    **{"8": "octagon", "*": "star", "H": "hexagon2"},
}
"""Markers of the figures, as Plotly calls them."""
_SETTING = ["task", "model", "label", "setting"]
"""What names a row."""
DASHES = {"-": "solid", "--": "dash", ":": "dot", "-.": "dashdot"}


def overview(table: pd.DataFrame, tasks: Mapping[str, TaskFile], rankings: Sequence[Ranking] = ()) -> dict[str, Any]:
    """`axes`, `metrics`, `panels` (task x model), `settings` (the rows of the leaderboard), `series` (the look of each
    sampler's curve, as in the figures) and `rankings`, all plain data; unknown is None.

    A setting has its costs in the order of `axes`, `values` from metric key to [value, standard error, floor], and the
    ids of its cells, one a seed.
    """
    metrics = declared_metrics(table, tasks)
    rows = leaderboard(table, tasks).rename(columns={"sampler": "label"})
    members = {key: sorted(set(group["cell"])) for key, group in name_cells(table).groupby(_SETTING, sort=False)}
    found = panels(table, tasks)
    floor_names = {(panel.task, panel.model): panel.floor_name for panel in found}
    fronts = {(panel.task, panel.model): in_front([panel]) for panel in found}
    styles = assign_styles(found)
    return {
        "axes": [{"key": cost, "label": HEADINGS[cost]} for cost in COSTS if rows[cost].notna().any()],
        "metrics": {metric.key: metric.model_dump() for metric in metrics},
        "panels": [
            {
                "task": task,
                "model": model,
                "metrics": [metric.key for metric in primary_first(tasks[str(task).partition("@")[0]])],
                "floorName": floor_names.get((task, model), ""),
                "front": fronts.get((task, model), []),
            }
            for task, model in rows[["task", "model"]].drop_duplicates().itertuples(index=False, name=None)
        ],
        "settings": [_setting(row, members, [metric.key for metric in metrics]) for row in rows.to_dict("records")],
        "series": {label: _look(style) for label, style in styles.items()},
        "rankings": [
            {
                "task": ranking.task,
                "model": ranking.model,
                "words": words(ranking),
                "legend": legend(ranking),
                "table": _table(ranking_table(ranking)),
            }
            for ranking in rankings
        ],
        "across": _table(across) if (across := across_table(rankings)) else None,
        "timing": " ".join(timing_note(table)),
    }


def _setting(row: Mapping[Any, Any], members: Mapping[Any, list[str]], metrics: list[str]) -> dict[str, Any]:
    known = [key for key in metrics if pd.notna(row[f"metric.{key}"])]
    return {
        **{name: row[name] for name in (*_SETTING, "seeds", "documents", "pareto")},
        "costs": {cost: _plain(row[cost]) for cost in COSTS},
        "values": {key: [_plain(row[name]) for name in metric_columns(key)] for key in known},
        "cells": members[tuple(row[name] for name in _SETTING)],
    }


def _table(table: Table) -> dict[str, Any]:
    return {**table._asdict(), "values": [[_plain(value) for value in row] for row in table.values]}


def _plain(value: float) -> Any:
    """None where unknown; an infinite metric is a result, and JSON has only its name."""
    return None if pd.isna(value) else spell(value)


def _look(style: Style) -> dict[str, str]:
    open_ = "-open" if style.fill == "none" else ""
    return {"color": style.color, "symbol": SYMBOLS[style.marker] + open_, "dash": DASHES[style.line]}
