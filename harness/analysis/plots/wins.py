"""Who beats whom: a matrix of paired differences, in which only what is significant has colour."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import fill

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from harness.analysis.plots.looks import COLUMN, PAGE, RC
from harness.analysis.traces import Array

SIGNIFICANT = 0.05
_CELL, _MARGIN = 0.4, 1.1
"""Side of a cell, and what names take beside the cells, in inches."""
_SMALL_CELL, _SMALL_MARGIN = 0.13, 1.6
"""The same for many samplers: without numbers, the names in full."""
_NUMBERED = 15
"""Samplers of which each pair has room for its number."""
_CAPTION = "How much better the row is than the column. Blue: better; orange: worse (p < 0.05); grey: not told apart."
BLUE_WHITE_ORANGE = LinearSegmentedColormap.from_list("wins", ["#D55E00", "#FFFFFF", "#0072B2"])
"""Orange: the row loses; blue: it wins. Okabe and Ito's vermilion and blue, for all kinds of colour vision."""


@dataclass(frozen=True)
class WinPanel:
    """One model on one task.

    title   its names
    metric  what the differences are of
    span    the costs over which they are averaged, in NFE
    pairs   one row for each pair of samplers, once: `first`, `second`, `difference` (above zero where `first` is the
            better one, whatever the metric's direction) and `p`, adjusted for the number of pairs; NaN = not known
    """

    title: str
    metric: str
    span: tuple[float, float]
    pairs: pd.DataFrame


def win_figure(panels: Sequence[WinPanel]) -> Figure:
    """A square for each panel, with a row and a column for each sampler, those that win most often on top.

    A cell has colour where p < 0.05, and is grey where the difference may be chance. It holds by how much the row is
    better than the column, unless there are many samplers.
    """
    most = max(len({*panel.pairs["first"], *panel.pairs["second"]}) for panel in panels)
    side = _MARGIN + _CELL * most if most <= _NUMBERED else _SMALL_MARGIN + _SMALL_CELL * most
    columns = min(len(panels), max(1, int(PAGE / side)))
    rows = math.ceil(len(panels) / columns)
    with mpl.rc_context({**RC, "axes.grid": False}):
        width = max(COLUMN, min(PAGE, columns * side)) if side < PAGE else side
        figure = Figure(figsize=(width, rows * (side + 0.3) + 0.3), layout="constrained")
        grid = list(figure.subplots(rows, columns, squeeze=False).flat)
        for axes, panel in zip(grid, panels, strict=False):
            _draw_matrix(axes, panel)
        for axes in grid[len(panels) :]:
            axes.set_axis_off()
        figure.supxlabel(_CAPTION, fontsize=7)
    return figure


def _draw_matrix(axes: Axes, panel: WinPanel) -> None:
    names, difference, significant = _matrices(panel.pairs)
    largest = float(np.max(np.abs(difference), where=significant, initial=0)) or 1.0
    axes.imshow(np.where(np.isnan(difference), np.nan, 0.0), cmap="Greys", vmin=-0.5, vmax=6)
    axes.imshow(np.ma.masked_where(~significant, difference), cmap=BLUE_WHITE_ORANGE, vmin=-largest, vmax=largest)
    for (i, j), value in np.ndenumerate(difference):
        if not np.isnan(value) and len(names) <= _NUMBERED:
            strong = significant[i, j] and abs(value) > 0.55 * largest
            color = "white" if strong else "black" if significant[i, j] else "0.5"
            text = f"{value:+.2g}".replace("-", "−")
            axes.text(j, i, text, ha="center", va="center", fontsize=6, color=color)
    few = len(names) <= _NUMBERED
    axes.set_xticks(range(len(names)), names, rotation=45 if few else 60, ha="left", rotation_mode="anchor")
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(labelsize=7 if few else 5.5)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    low, high = panel.span
    axes.set_title(panel.title, fontsize=8)
    axes.set_xlabel(f"{fill(panel.metric, 30)}\nmean over {low:.3g} to {high:.3g} NFE", fontsize=7)


def _matrices(pairs: pd.DataFrame) -> tuple[list[str], Array, NDArray[np.bool_]]:
    """Names, those with most wins (less losses) first, then by all differences; (K, K) differences, row minus column,
    NaN on the diagonal and where unknown; and which of them are significant."""
    names = list(dict.fromkeys([*pairs["first"], *pairs["second"]]))
    place = {name: i for i, name in enumerate(names)}
    difference = np.full((len(names), len(names)), np.nan)
    significant = np.zeros(difference.shape, dtype=bool)
    for row in pairs.to_dict("records"):
        i, j = place[row["first"]], place[row["second"]]
        difference[i, j], difference[j, i] = row["difference"], -row["difference"]
        significant[i, j] = significant[j, i] = row["p"] < SIGNIFICANT
    wins = np.sign(difference).sum(axis=1, where=significant)
    order = np.lexsort((-np.nansum(difference, axis=1), -wins))
    square = np.ix_(order, order)
    return [names[i] for i in order], difference[square], significant[square]
