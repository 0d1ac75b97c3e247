"""Quality against compute: one model on one task at column width, and several side by side."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from textwrap import fill

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Annotation
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator
from matplotlib.transforms import Bbox

from harness.analysis.curves import Panel
from harness.analysis.plots.looks import (
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
    """One panel at column width: names at the ends of the lines where they fit, else a legend below."""
    with mpl.rc_context(RC):
        figure = Figure(figsize=(COLUMN, 2.5), layout="constrained")
        axes = figure.add_subplot()
        draw_panel(axes, panel, styles, ticks=9)
        axes.set_title(f"{panel.model} on {panel.task}")
        axes.set_xlabel("NFE (sequence-forwards per sample)")
        axes.set_ylabel(metric_label(panel))
        if not _label_ends(figure, axes, panel, styles):
            legend_below(figure, legend_entries([panel], styles))
    return figure


def overview_figure(
    panels: Sequence[Panel],
    styles: Mapping[str, Style],
    columns: int | None = None,
    published: Sequence[Published] = (),
) -> Figure:
    """All panels as small multiples at page width, with one legend; in up to four columns unless their number is given.

    Published numbers are hollow markers in the panels of their task and axis.
    """

    def draw(axes: Axes, panel: Panel) -> None:
        shown = [number for number in published if _belongs(number, panel)]
        draw_panel(axes, panel, styles, ticks=5, published=shown)

    with mpl.rc_context(SMALL):
        figure = small_multiples(panels, draw, columns)
        entries = legend_entries(panels, styles)
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
            axes.set_title(titles[index], fontsize=7)
        if below >= len(panels) or panels[below].axis != panel.axis:
            axes.set_xlabel(f"{AXES[panel.axis]} per sample", fontsize=7)
        if index % columns == 0 or metric_label(panel) != metric_label(panels[index - 1]):
            axes.set_ylabel(fill(metric_label(panel), 24), fontsize=7)
    for axes in grid[len(panels) :]:
        axes.set_axis_off()
    return figure


def panel_titles(panels: Sequence[Panel]) -> list[str]:
    """The models; with their tasks, where a model has several."""
    shown = {(panel.task, panel.model) for panel in panels}
    several = len({model for _, model in shown}) < len(shown)
    return [f"{panel.model}\n{panel.task}" if several else panel.model for panel in panels]


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
    axes: Axes, panel: Panel, styles: Mapping[str, Style], ticks: int, published: Sequence[Published] = ()
) -> None:
    """The curves with ±1.96 standard errors, the floor, and both scales; at most `ticks` numbers on the cost axis."""
    set_scales(axes, panel, ticks, published)
    for label, rows in curves_of(panel):
        style = styles[label]
        cost, value, half = (rows[name].to_numpy(float) for name in ("cost", "value", "stderr"))
        half = LEVEL * np.nan_to_num(half)
        if len(rows) == 1:
            axes.errorbar(cost, value, half, color=style.color, linestyle="none", elinewidth=0.8)
        else:
            axes.fill_between(cost, value - half, value + half, color=style.color, alpha=0.15, linewidth=0)
        axes.plot(cost, value, **style.line2d(single=len(rows) == 1))
    for number in published:
        hollow = _hollow(number, styles)
        hollow.set_data([number.cost], [number.value])
        axes.add_line(hollow)


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


def legend_entries(panels: Sequence[Panel], styles: Mapping[str, Style]) -> dict[str, Line2D]:
    """One entry for every curve and floor of the panels."""
    sizes: dict[str, int] = {}
    for panel in panels:
        for label, rows in curves_of(panel):
            sizes[label] = max(sizes.get(label, 0), len(rows))
    entries = {label: Line2D([], [], **styles[label].line2d(sizes[label] == 1)) for label in sorted(sizes)}
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


def _label_ends(figure: Figure, axes: Axes, panel: Panel, styles: Mapping[str, Style]) -> bool:
    """Name each curve at its right end, and the floor at its left; undo it all if names would collide."""
    texts = [
        axes.annotate(
            label,
            (rows["cost"].iloc[-1], rows["value"].iloc[-1]),
            (5, 0),
            textcoords="offset points",
            va="center",
            fontsize=7,
            color=styles[label].color,
        )
        for label, rows in curves_of(panel)
    ]
    if not math.isnan(panel.floor):
        texts.append(
            axes.annotate(
                panel.floor_name,
                (0.02, panel.floor),
                (0, 2),
                xycoords=axes.get_yaxis_transform(),
                textcoords="offset points",
                fontsize=7,
                color=FLOOR_COLOR,
            )
        )
    figure.draw_without_rendering()
    if collide(axes, texts):
        for text in texts:
            text.remove()
        return False
    return True


def collide(axes: Axes, texts: Sequence[Annotation]) -> bool:
    """Whether a text overlaps another, or a line."""
    boxes = [text.get_window_extent() for text in texts]
    if any(Bbox.intersection(a, b) for i, a in enumerate(boxes) for b in boxes[:i]):
        return True
    for line in axes.lines:
        corners = line.get_transform().transform(line.get_xydata())
        fine = np.linspace(0, len(corners) - 1, 60 * len(corners))
        path = np.stack([np.interp(fine, np.arange(len(corners)), axis) for axis in corners.T], axis=1)
        if any(box.count_contains(path) for box in boxes):
            return True
    return False
