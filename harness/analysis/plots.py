"""Quality-versus-compute figures for a two-column paper: one per model and task, and all side by side.

Figures are built without pyplot, so no global state and no display are touched, and the same results give the
same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Annotation
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator
from matplotlib.transforms import Bbox

from harness.analysis.curves import Panel

COLUMN = 3.35
"""Width of one column of a two-column paper, in inches."""
PAGE = 7.0
"""Width of both columns."""
FLOOR_COLOR = "0.45"
FLOOR_LINE = (0, (4, 2))

# Okabe and Ito (2008) without yellow, which is faint on white, and three of Paul Tol's "muted" scheme.
KNOWN = {
    "sequential": ("#000000", "D"),
    "random": ("#56B4E9", "o"),
    "confidence": ("#0072B2", "s"),
    "margin": ("#999933", "v"),
    "entropy": ("#009E73", "^"),
    "threshold": ("#E69F00", "P"),
    "eb": ("#D55E00", "X"),
    "maskgit": ("#CC79A7", "p"),
    "punt": ("#882255", "h"),
    "freecorrection": ("#332288", "d"),
}
COLORS = [color for name, (color, _) in KNOWN.items() if name != "sequential"]
MARKERS = "<>8*H"
LINES: tuple[Literal["-", "--", ":", "-."], ...] = ("-", "--", ":", "-.")
FILLS: tuple[Literal["full", "none", "left", "bottom"], ...] = ("full", "none", "left", "bottom")

RC: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 8,
    "font.family": "DejaVu Sans",  # ships with matplotlib: the same glyphs on every machine
    "font.size": 8,
    "grid.color": "0.9",
    "grid.linewidth": 0.5,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "lines.markeredgewidth": 0.8,
    "pdf.fonttype": 42,  # embedded TrueType: conferences refuse Type 3
    "text.parse_math": False,  # a name may hold a dollar sign
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
}


@dataclass(frozen=True)
class Style:
    """How one curve looks; colour and marker belong to the sampler, line and fill to its variant."""

    color: str
    marker: str
    line: Literal["-", "--", ":", "-."]
    fill: Literal["full", "none", "left", "bottom"]


def assign_styles(panels: Iterable[Panel]) -> dict[str, Style]:
    """Label -> style for all curves of a run: known samplers always look the same, others go by sorted name."""
    variants: dict[str, set[str]] = {}
    for panel in panels:
        for sampler, label in zip(panel.points["sampler"], panel.points["label"], strict=True):
            variants.setdefault(sampler, set()).add(label)
    others = sorted(set(variants) - set(KNOWN))
    looks = {
        **KNOWN,
        # 9 colours against 5 markers: 45 samplers before a pair repeats.
        **{name: (COLORS[i % len(COLORS)], MARKERS[i % len(MARKERS)]) for i, name in enumerate(others)},
    }
    return {
        label: Style(*looks[sampler], LINES[i % len(LINES)], FILLS[i % len(FILLS)])
        for sampler in sorted(variants)
        for i, label in enumerate(sorted(variants[sampler]))
    }


def curve_figure(panel: Panel, styles: Mapping[str, Style]) -> Figure:
    """One panel at column width: names at the ends of the lines where they fit, else a legend below."""
    with mpl.rc_context(RC):
        figure = Figure(figsize=(COLUMN, 2.5), layout="constrained")
        axes = figure.add_subplot()
        _draw(axes, panel, styles, ticks=9)
        axes.set_title(f"{panel.model} on {panel.task}")
        axes.set_xlabel("NFE (sequence-forwards per sample)")
        axes.set_ylabel(metric_label(panel))
        if not _label_ends(figure, axes, panel, styles):
            _legend(figure, [panel], styles)
    return figure


def overview_figure(panels: Sequence[Panel], styles: Mapping[str, Style]) -> Figure:
    """All panels as small multiples at page width, with one legend."""
    rows = math.ceil(len(panels) / 4)
    columns = math.ceil(len(panels) / rows)
    width = COLUMN if columns == 1 else PAGE
    repeated = len({panel.model for panel in panels}) < len(panels)
    with mpl.rc_context({**RC, "lines.markersize": 3.2, "lines.linewidth": 1.0}):
        figure = Figure(figsize=(width, (2.2 if columns == 1 else 1.75) * rows), layout="constrained")
        grid = list(figure.subplots(rows, columns, squeeze=False).flat)
        for index, (axes, panel) in enumerate(zip(grid, panels, strict=False)):
            _draw(axes, panel, styles, ticks=5)
            axes.set_title(f"{panel.model}\n{panel.task}" if repeated else panel.model, fontsize=7)
            if index + columns >= len(panels):
                axes.set_xlabel("NFE per sample", fontsize=7)
            if index % columns == 0 or metric_label(panel) != metric_label(panels[index - 1]):
                axes.set_ylabel(fill(metric_label(panel), 24), fontsize=7)
        for axes in grid[len(panels) :]:
            axes.set_axis_off()
        _legend(figure, panels, styles)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a figure as its suffix says (`.png` or `.pdf`), with no date in it."""
    metadata = {"CreationDate": None} if path.suffix == ".pdf" else {"Software": None}
    with mpl.rc_context(RC):
        figure.savefig(path, dpi=250, metadata=metadata)


def metric_label(panel: Panel) -> str:
    """The metric's name, unit, and an arrow towards better: `pair TV ↓`."""
    metric = panel.metric
    unit = f" ({metric.unit})" if metric.unit else ""
    return f"{metric.label}{unit} {'↑' if metric.direction == 'higher' else '↓'}"


def plottable(points: pd.DataFrame) -> pd.DataFrame:
    """The points that have a place on a logarithmic NFE axis."""
    found: pd.DataFrame = points[np.isfinite(points["cost"]) & (points["cost"] > 0)]
    return found


def _curves(panel: Panel) -> list[tuple[str, pd.DataFrame]]:
    return [(str(label), rows) for label, rows in plottable(panel.points).groupby("label", sort=True)]


def _draw(axes: Axes, panel: Panel, styles: Mapping[str, Style], ticks: int) -> None:
    """The curves with ±1.96 standard errors, the floor, and both scales; at most `ticks` numbers on the NFE axis."""
    _set_scales(axes, panel, ticks)
    if not math.isnan(panel.floor):
        axes.axhline(panel.floor, color=FLOOR_COLOR, linestyle=FLOOR_LINE, linewidth=0.8, zorder=1)
    for label, rows in _curves(panel):
        style = styles[label]
        cost, value, half = (rows[name].to_numpy(float) for name in ("cost", "value", "stderr"))
        half = 1.96 * np.nan_to_num(half)
        if len(rows) == 1:
            axes.errorbar(cost, value, half, color=style.color, linestyle="none", elinewidth=0.8)
        else:
            axes.fill_between(cost, value - half, value + half, color=style.color, alpha=0.15, linewidth=0)
        axes.plot(cost, value, **_look(style, single=len(rows) == 1))


def _look(style: Style, single: bool) -> dict[str, Any]:
    """Line properties of a curve, or of the lone marker of a sampler with a single point."""
    return {
        "color": style.color,
        "marker": style.marker,
        "linestyle": "none" if single else style.line,
        "fillstyle": style.fill,
        "markerfacecoloralt": "white",
    }


def _set_scales(axes: Axes, panel: Panel, ticks: int) -> None:
    """NFE in powers of two; the metric logarithmic where lower is better and it spans a decade."""
    shown = plottable(panel.points)
    low, high = math.log2(shown["cost"].min()) - 0.3, math.log2(shown["cost"].max()) + 0.3
    powers = range(math.ceil(low), math.floor(high) + 1)
    stride = math.ceil(len(powers) / ticks) or 1
    axes.set_xscale("log", base=2)
    axes.set_xlim(2**low, 2**high)
    axes.xaxis.set_major_locator(FixedLocator([2.0**power for power in powers[::stride]]))
    axes.xaxis.set_major_formatter(FuncFormatter(_plain_number))
    axes.xaxis.set_minor_locator(NullLocator())

    levels = [*shown["value"], *([] if math.isnan(panel.floor) else [panel.floor])]
    bottom, top = min(levels), max(levels)
    if panel.metric.direction == "lower" and bottom > 0 and top / bottom > 10:
        axes.set_yscale("log", nonpositive="clip")
        axes.set_ylim(bottom / 1.6, top * 1.6)
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 3) if top / bottom < 1e3 else (1,)))
        axes.yaxis.set_major_formatter(FuncFormatter(_plain_number))
        axes.yaxis.set_minor_locator(NullLocator())
    else:
        axes.margins(y=0.07)


def _plain_number(value: float, _position: int | None) -> str:
    return f"{value:g}"


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
        for label, rows in _curves(panel)
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
    if _collide(axes, texts):
        for text in texts:
            text.remove()
        return False
    return True


def _collide(axes: Axes, texts: Sequence[Annotation]) -> bool:
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


def _legend(figure: Figure, panels: Sequence[Panel], styles: Mapping[str, Style]) -> None:
    """One legend for every curve and floor of the panels, below the axes: the figure grows by its height."""
    sizes: dict[str, int] = {}
    for panel in panels:
        for label, rows in _curves(panel):
            sizes[label] = max(sizes.get(label, 0), len(rows))
    entries = {label: Line2D([], [], **_look(styles[label], sizes[label] == 1)) for label in sorted(sizes)}
    floors = sorted({panel.floor_name for panel in panels if not math.isnan(panel.floor)})
    if floors:
        entries[" / ".join(floors)] = Line2D([], [], color=FLOOR_COLOR, linestyle=FLOOR_LINE, linewidth=0.8)
    for columns in range(len(entries), 0, -1):
        legend = figure.legend(
            list(entries.values()),
            list(entries),
            loc="outside lower center",
            ncols=columns,
            handlelength=2,
            columnspacing=1,
        )
        size = legend.get_window_extent()
        if size.width <= figure.bbox.width or columns == 1:
            figure.set_figheight(figure.get_figheight() + size.height / figure.dpi)
            return
        legend.remove()
