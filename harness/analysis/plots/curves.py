"""Quality against compute: one model on one task at column width, and several side by side."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from textwrap import fill

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from harness.analysis.curves import Panel
from harness.analysis.leaderboard import in_front
from harness.analysis.plots.labels import End, label_ends
from harness.analysis.plots.looks import (
    BEHIND,
    COLUMN,
    FLOOR_COLOR,
    FLOOR_LINE,
    LEVEL,
    PAGE,
    RC,
    SMALL,
    Style,
    legend_below,
    plain_number,
    power_ticks,
)
from harness.analysis.tables import HEADINGS

FEW = 6
"""Curves whose bands can be told apart; those of more are fainter."""
AXES = {**HEADINGS, "depth": "dependent calls", "steps": "denoising steps"}
"""The name of each axis of cost, always per sample."""


@dataclass(frozen=True)
class Published:
    """A number from the literature: what a sampler scored on a task at a cost, in the units of the axes."""

    task: str
    sampler: str
    axis: str
    cost: float
    value: float
    source: str


def curve_figure(panel: Panel, styles: Mapping[str, Style]) -> Figure:
    """One panel at column width: names at the ends of the lines where they fit, else a legend below. Of many curves,
    those in front have colour."""
    front = in_front([panel])
    with mpl.rc_context(RC):
        figure = Figure(figsize=(COLUMN, 2.5), layout="constrained")
        axes = figure.add_subplot()
        draw_panel(axes, panel, styles, ticks=9, front=front)
        axes.set_title(f"{panel.model} on {panel.task}")
        axes.set_xlabel(f"{AXES[panel.axis]} per sample")
        axes.set_ylabel(metric_label(panel))
        ends = [
            End(label, float(rows["cost"].iloc[-1]), float(rows["value"].iloc[-1]), styles[label].color)
            for label, rows in curves_of(panel)
            if label in front
        ]
        if not math.isnan(panel.floor):
            ends.append(End(panel.floor_name, None, panel.floor, FLOOR_COLOR))
        crowd = len(front) < len(curves_of(panel))
        if crowd or not label_ends(figure, axes, ends):
            legend_below(figure, legend_entries([panel], styles, front))
    return figure


def overview_figure(
    panels: Sequence[Panel],
    styles: Mapping[str, Style],
    columns: int | None = None,
    published: Sequence[Published] = (),
) -> Figure:
    """All panels as small multiples at page width, with one legend; in up to four columns unless their number is given.

    Published numbers are hollow markers in the panels of their task and axis. Of many curves, those in front have
    colour, the same in all panels.
    """
    front = in_front(panels)

    def draw(axes: Axes, panel: Panel) -> None:
        shown = [number for number in published if _belongs(number, panel)]
        draw_panel(axes, panel, styles, ticks=5, published=shown, front=front)

    with mpl.rc_context(SMALL):
        figure = small_multiples(panels, draw, columns)
        entries = legend_entries(panels, styles, front)
        shown = [number for number in published if any(_belongs(number, panel) for panel in panels)]
        entries |= {f"{number.sampler}, published: {number.source}": _hollow(number, styles) for number in shown}
        legend_below(figure, entries)
    return figure


def small_multiples(
    panels: Sequence[Panel], draw: Callable[[Axes, Panel], None], columns: int | None = None, height: float = 1.75
) -> Figure:
    """A grid at page width (one column alone: at column width), each cell drawn by `draw` and named."""
    columns = columns or math.ceil(len(panels) / math.ceil(len(panels) / 4))
    rows = math.ceil(len(panels) / columns)
    width = COLUMN if columns == 1 else PAGE
    titles = panel_titles(panels)
    figure = Figure(figsize=(width, max(height, 2.2 if columns == 1 else 0) * rows), layout="constrained")
    grid = list(figure.subplots(rows, columns, squeeze=False).flat)
    for index, (axes, panel) in enumerate(zip(grid, panels, strict=False)):
        draw(axes, panel)
        above, below = index - columns, index + columns
        if above < 0 or (panels[above].task, panels[above].model) != (panel.task, panel.model):
            axes.set_title(wrapped(titles[index], width / columns), fontsize=7)
        if below >= len(panels) or panels[below].axis != panel.axis:
            axes.set_xlabel(f"{AXES[panel.axis]} per sample", fontsize=7)
        if index % columns == 0 or metric_label(panel) != metric_label(panels[index - 1]):
            # The arrow stays on the line of what it stands behind.
            label = metric_label(panel)
            axes.set_ylabel(fill(f"{label[:-2]}\N{NO-BREAK SPACE}{label[-1]}", 24), fontsize=7)
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    return figure


def wrapped(title: str, inches: float) -> str:
    """The title in lines that are no wider than its panel, broken at spaces only."""
    return "\n".join(fill(line, round(17 * inches), break_long_words=False) for line in title.split("\n"))


def panel_titles(panels: Sequence[Panel]) -> list[str]:
    """The models; with their tasks where these are several, unless the one name holds the other."""
    protocols = {panel.task for panel in panels}
    tasks = {panel.task.partition("@")[0] for panel in panels}
    names = [panel.task if len(tasks) < len(protocols) else panel.task.partition("@")[0] for panel in panels]
    return [
        panel.model if len(protocols) == 1 or panel.model.partition("/")[0] == task else f"{panel.model} · {task}"
        for panel, task in zip(panels, names, strict=True)
    ]


def metric_label(panel: Panel) -> str:
    """The metric's name, unit, and an arrow towards better: `pair TV ↓`."""
    metric = panel.metric
    unit = f" ({metric.unit})" if metric.unit else ""
    return f"{metric.label}{unit} {'↑' if metric.direction == 'higher' else '↓'}"


def plottable(points: pd.DataFrame) -> pd.DataFrame:
    """The points that have a place on a logarithmic axis of cost."""
    found: pd.DataFrame = points[np.isfinite(points["cost"]) & (points["cost"] > 0)]
    return found


def curves_of(panel: Panel) -> list[tuple[str, pd.DataFrame]]:
    """Label and points of each curve that can be drawn."""
    return [(str(label), rows) for label, rows in plottable(panel.points).groupby("label", sort=True)]


def draw_panel(
    axes: Axes,
    panel: Panel,
    styles: Mapping[str, Style],
    ticks: int,
    front: Collection[str],
    published: Sequence[Published] = (),
) -> None:
    """The curves with ±1.96 standard errors, the floor, and both scales; at most `ticks` numbers on the cost axis.

    Curves that are not in `front` are thin, grey, behind, and without errors.
    """
    set_scales(axes, panel, ticks, published)
    for label, rows in curves_of(panel):
        if label not in front:
            axes.plot(rows["cost"], rows["value"], **BEHIND)
            continue
        style = styles[label]
        cost, value, half = (rows[name].to_numpy(float) for name in ("cost", "value", "stderr"))
        half = LEVEL * np.nan_to_num(half)
        if len(rows) == 1:
            axes.errorbar(cost, value, half, color=style.color, linestyle="none", elinewidth=0.8)
        else:
            alpha = 0.15 if len(front) <= FEW else 0.08
            axes.fill_between(cost, value - half, value + half, color=style.color, alpha=alpha, linewidth=0)
        axes.plot(cost, value, **style.line2d(single=len(rows) == 1))
    for number in published:
        hollow = _hollow(number, styles)
        hollow.set_data([number.cost], [number.value])
        axes.add_line(hollow)
    if panel.metric.unit == "fraction" and axes.get_yscale() == "linear":
        # Normal intervals of few documents reach beyond what a share can be.
        bottom, top = axes.get_ylim()
        axes.set_ylim(max(bottom, -0.05), min(top, 1.05))


def set_scales(axes: Axes, panel: Panel, ticks: int, published: Sequence[Published] = ()) -> None:
    """Cost in powers of two; the metric logarithmic where lower is better and it spans a decade; the floor, a line."""
    shown = plottable(panel.points)
    costs = [*shown["cost"], *(number.cost for number in published)]
    power_ticks(axes, min(costs), max(costs), ticks)
    if not math.isnan(panel.floor):
        axes.axhline(panel.floor, color=FLOOR_COLOR, linestyle=FLOOR_LINE, linewidth=0.8, zorder=1)
    levels = [*shown["value"], *(number.value for number in published)]
    levels += [] if math.isnan(panel.floor) else [panel.floor]
    bottom, top = min(levels), max(levels)
    if panel.metric.direction == "lower" and bottom > 0 and top / bottom > 10:
        axes.set_yscale("log", nonpositive="clip")
        axes.set_ylim(bottom / 1.6, top * 1.6)
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 3) if top / bottom < 1e3 else (1,)))
        axes.yaxis.set_major_formatter(FuncFormatter(plain_number))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.margins(y=0.07)


def legend_entries(panels: Sequence[Panel], styles: Mapping[str, Style], front: Collection[str]) -> dict[str, Line2D]:
    """One entry for every curve in front and floor of the panels, and one for all other curves."""
    sizes: dict[str, int] = {}
    for panel in panels:
        for label, rows in curves_of(panel):
            sizes[label] = max(sizes.get(label, 0), len(rows))
    shown = sorted(label for label in sizes if label in front)
    entries = {label: Line2D([], [], **styles[label].line2d(sizes[label] == 1)) for label in shown}
    if len(shown) < len(sizes):
        entries[f"{len(sizes) - len(shown)} others"] = Line2D([], [], **BEHIND)
    floors = sorted({panel.floor_name for panel in panels if not math.isnan(panel.floor)})
    if floors:
        entries[" / ".join(floors)] = Line2D([], [], color=FLOOR_COLOR, linestyle=FLOOR_LINE, linewidth=0.8)
    return entries


def _belongs(number: Published, panel: Panel) -> bool:
    return (number.task, number.axis) == (panel.task.partition("@")[0], panel.axis)


def _hollow(number: Published, styles: Mapping[str, Style]) -> Line2D:
    style = styles.get(number.sampler, Style("black", "o", "-", "full"))
    return Line2D(
        [],
        [],
        color=style.color,
        marker=style.marker,
        linestyle="none",
        markerfacecolor="white",
        markersize=6,
        zorder=4,
    )
