"""One sampler along its knob, and its gain along the length of what is made, against others at the same cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from textwrap import fill

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from harness.analysis.curves import Panel
from harness.analysis.plots.curves import AXES, metric_label, panel_titles, wrapped
from harness.analysis.plots.looks import (
    COLUMN,
    FLOOR_COLOR,
    FLOOR_LINE,
    LEVEL,
    PAGE,
    SMALL,
    Style,
    legend_below,
    plain_number,
)


def knob_figure(
    panels: Sequence[tuple[Panel, pd.DataFrame]],
    sampler: str,
    knob: str,
    baselines: Sequence[str],
    styles: Mapping[str, Style],
) -> Figure:
    """Above, the value along the knob, and that of the baselines at the same cost; below, what each value costs.

    panels  with the rows of `matched.along_knob`; one column each
    """
    with mpl.rc_context(SMALL):
        width = COLUMN if len(panels) == 1 else PAGE
        figure = Figure(figsize=(width, 2.9), layout="constrained")
        grid = figure.subplots(2, len(panels), squeeze=False, sharex="col", height_ratios=(2, 1))
        titles = panel_titles([panel for panel, _ in panels])
        for column, (panel, rows) in enumerate(panels):
            above, below = grid[0][column], grid[1][column]
            above.set_title(wrapped(titles[column], width / len(panels)), fontsize=7)
            if not np.isnan(panel.floor):
                above.axhline(panel.floor, color=FLOOR_COLOR, linestyle=FLOOR_LINE, linewidth=0.8, zorder=1)
            for name in baselines:
                _band(above, rows["knob"], rows[f"{name}.value"], rows[f"{name}.stderr"], styles[name])
            _band(above, rows["knob"], rows["value"], rows["stderr"], styles[sampler])
            below.plot(rows["knob"], rows["cost"], **styles[sampler].line2d(single=False))
            below.set_ylim(0, 1.2 * rows["cost"].max())
            _knob_axis(below, rows["knob"].tolist(), most=max(2, 14 // len(panels)))
            below.set_xlabel(knob, fontsize=7)
            if column == 0 or metric_label(panel) != metric_label(panels[column - 1][0]):
                above.set_ylabel(fill(metric_label(panel), 24), fontsize=7)
            if column == 0:
                below.set_ylabel(AXES[panel.axis], fontsize=7)
        entries = {sampler: Line2D([], [], **styles[sampler].line2d(single=False))}
        entries |= {
            f"{name} at the same {AXES[panels[0][0].axis]}": Line2D([], [], **styles[name].line2d(single=False))
            for name in baselines
        }
        floors = sorted({panel.floor_name for panel, _ in panels if not np.isnan(panel.floor)})
        if floors:
            entries[" / ".join(floors)] = Line2D([], [], color=FLOOR_COLOR, linestyle=FLOOR_LINE, linewidth=0.8)
        legend_below(figure, entries)
    return figure


def gain_figure(panels: Sequence[tuple[Panel, pd.DataFrame]], name: str, styles: Mapping[str, Style]) -> Figure:
    """The gain of a sampler over each baseline, above zero where it is better, with ±1.96 standard errors.

    panels  one of each group, for its names and metric, with the rows of `matched.gains`
    name    of the sampler, with its setting
    """
    with mpl.rc_context(SMALL):
        figure = Figure(figsize=(COLUMN if len(panels) == 1 else PAGE, 2.2), layout="constrained")
        grid = figure.subplots(1, len(panels), squeeze=False)[0]
        entries: dict[str, Line2D] = {}
        for column, (axes, (panel, rows)) in enumerate(zip(grid, panels, strict=True)):
            axes.axhline(0, color="0.45", linewidth=0.8, zorder=1)
            axes.set_title(f"{panel.model} · {panel.task}", fontsize=7)
            for baseline, curve in rows.groupby("baseline", sort=True):
                style = styles[str(baseline)]
                axes.errorbar(
                    curve["length"],
                    curve["gain"],
                    LEVEL * curve["stderr"].fillna(0),
                    elinewidth=0.8,
                    capsize=1.5,
                    **style.line2d(single=False),
                )
                entries[f"over {baseline} at the same NFE"] = Line2D([], [], **style.line2d(single=False))
            _knob_axis(axes, sorted(set(rows["length"])), most=max(2, 14 // len(panels)))
            axes.set_xlabel("tokens generated", fontsize=7)
            if column == 0 or panel.metric.key != panels[column - 1][0].metric.key:
                axes.set_ylabel(fill(f"{panel.metric.label}: gain of {name} ↑", 30), fontsize=7)
        legend_below(figure, entries)
    return figure


def _band(axes: Axes, x: pd.Series[float], value: pd.Series[float], stderr: pd.Series[float], style: Style) -> None:
    half = LEVEL * np.nan_to_num(stderr.to_numpy(float))
    axes.fill_between(x, value - half, value + half, color=style.color, alpha=0.15, linewidth=0)
    axes.plot(x, value, **style.line2d(single=False))


def _knob_axis(axes: Axes, values: Sequence[float], most: int) -> None:
    """A logarithmic axis with a tick at each value, or a linear one where a value is not above zero; at most so many of
    them have a number, the last one always."""
    if min(values) > 0:
        axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(list(values)))
    stride = math.ceil(len(values) / most)
    numbered = sorted(values, reverse=True)[::stride]
    axes.xaxis.set_major_formatter(FuncFormatter(lambda at, _: plain_number(at, None) if at in numbered else ""))
    axes.xaxis.set_minor_locator(NullLocator())
