"""What traces show: the order in which positions are settled, and what each step does."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from harness.analysis.plots.looks import COLUMN, LEVEL, PAGE, RC, SMALL, Style, legend_below
from harness.analysis.traces import Activity, Array, Precedence

_COLORS = "cividis"
"""Made to look alike with and without colour blindness (Nuñez et al. 2018); dark is early."""
_GRID_COLUMNS = 6
_BAR = 0.6
"""Height of the colour bar with its label, in inches."""


@dataclass(frozen=True)
class OrderPanel:
    """One model on one task.

    title       its names
    names       (K,) of the samplers with their settings
    times       (K, L) mean commit times, NaN where a position was never written
    grid        (height, width) where the positions are a picture
    structure   positions that carry the structure, and their name; empty where none are named
    precedence  (K,) how early they are committed; empty without a structure
    """

    title: str
    names: Sequence[str]
    times: Array
    grid: tuple[int, int] | None = None
    structure: Sequence[int] = ()
    structure_name: str = ""
    precedence: Sequence[Precedence] = ()


@dataclass(frozen=True)
class ActivityPanel:
    """One model on one task: what each step does, by the label of the sampler."""

    title: str
    curves: Mapping[str, Activity]


def order_figure(panels: Sequence[OrderPanel]) -> Figure:
    """Position x sampler as a heat map, dark where a position gets its last token early; a picture for each sampler
    where the positions are one. Beside it, where a structure is named, the share of pairs in which its position comes
    before another one, with ±1.96 standard errors."""
    heights = [_height(panel) for panel in panels]
    norm = Normalize(0, 1)
    with mpl.rc_context({**RC, "axes.grid": False}):
        figure = Figure(figsize=(PAGE, sum(heights) + _BAR), layout="constrained")
        parts = figure.subfigures(len(panels) + 1, 1, squeeze=False, height_ratios=(*heights, _BAR))[:, 0]
        for part, panel in zip(parts, panels, strict=False):
            part.suptitle(panel.title, fontsize=8)
            (_draw_rows if panel.grid is None else _draw_pictures)(part, panel, norm)
        place = parts[-1].add_axes((0.3, 0.72, 0.4, 0.17))
        bar = figure.colorbar(ScalarMappable(norm, _COLORS), cax=place, orientation="horizontal")
        bar.set_label("mean time of a position's last commit: 0 first step, 1 last step", fontsize=7)
        bar.outline.set_visible(False)
    return figure


def activity_figure(panels: Sequence[ActivityPanel], styles: Mapping[str, Style]) -> Figure:
    """Tokens committed at each step above; below, those masked again, where any sampler does so."""
    revises = any(curve.remasked.any() for panel in panels for curve in panel.curves.values())
    with mpl.rc_context(SMALL):
        rows = 2 if revises else 1
        figure = Figure(figsize=(COLUMN if len(panels) == 1 else PAGE, 1.1 + 1.2 * rows), layout="constrained")
        grid = figure.subplots(rows, len(panels), squeeze=False, sharex="col")
        for column, panel in enumerate(panels):
            grid[0][column].set_title(panel.title, fontsize=7)
            for label, curve in panel.curves.items():
                _draw_steps(grid[0][column], curve.committed, curve.committed_stderr, styles[label])
                if revises and curve.remasked.any():
                    _draw_steps(grid[1][column], curve.remasked, curve.remasked_stderr, styles[label])
            used = [axes for axes in grid[:, column] if axes.lines]
            for axes in used:
                axes.set_ylim(bottom=0)
                axes.yaxis.set_major_locator(MaxNLocator(5, steps=(1, 2, 5, 10)))
                axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
            used[-1].set_xlabel("step", fontsize=7)
            used[-1].tick_params(labelbottom=True)
            for axes in grid[len(used) :, column]:
                axes.set_axis_off()
        for line, name in zip(grid, ("tokens committed", "tokens masked again"), strict=False):
            next(axes for axes in line if axes.axison).set_ylabel(name, fontsize=7)
        figure.align_ylabels()
        labels = dict.fromkeys(label for panel in panels for label in panel.curves)
        legend_below(figure, {label: Line2D([], [], **styles[label].line2d(single=False)) for label in labels})
    return figure


def _draw_steps(axes: Axes, mean: Array, stderr: Array, style: Style) -> None:
    steps = np.arange(1, len(mean) + 1)
    half = LEVEL * np.nan_to_num(stderr)
    axes.fill_between(steps, mean - half, mean + half, color=style.color, alpha=0.15, linewidth=0)
    axes.plot(steps, mean, **style.line2d(single=False), markevery=max(1, len(mean) // 16), clip_on=False)


def _height(panel: OrderPanel) -> float:
    if panel.grid is None:
        return 0.7 + 0.2 * len(panel.names)
    return 0.3 + 1.25 * math.ceil(len(panel.names) / _GRID_COLUMNS)


def _draw_rows(part: SubFigure, panel: OrderPanel, norm: Normalize) -> None:
    """One line a sampler; ticks above at the structure, and its precedence at the right."""
    if panel.precedence:
        axes, beside = part.subplots(1, 2, width_ratios=(3.2, 1))
        _draw_precedence(beside, panel)
    else:
        axes = part.subplots()
    axes.imshow(panel.times, cmap=_COLORS, norm=norm, aspect="auto", interpolation="nearest")
    axes.set_yticks(range(len(panel.names)), panel.names)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("position", fontsize=7)
    axes.spines[:].set_visible(False)
    if panel.structure:
        top = axes.secondary_xaxis("top")
        top.set_xticks(list(panel.structure), ["▾"] * len(panel.structure), fontsize=6)
        top.tick_params(length=0, pad=0)
        top.spines[:].set_visible(False)


def _draw_precedence(axes: Axes, panel: OrderPanel) -> None:
    shares = [each.before for each in panel.precedence]
    halves = [LEVEL * np.nan_to_num(each.before_stderr) for each in panel.precedence]
    lines = range(len(shares))
    axes.axvline(0.5, color="0.6", linewidth=0.8, linestyle="--", zorder=1)
    axes.errorbar(shares, lines, xerr=halves, fmt="o", color="black", markersize=3.5, elinewidth=0.8)
    for line, share in zip(lines, shares, strict=True):
        axes.annotate(f"{share:.2f}", (1.12, line), va="center", ha="right", fontsize=7, annotation_clip=False)
    axes.set_ylim(len(shares) - 0.5, -0.5)
    axes.set_xlim(0, 1.14)
    axes.set_xticks((0, 0.5, 1))
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(f"P({panel.structure_name} before others)", fontsize=7)


def _draw_pictures(part: SubFigure, panel: OrderPanel, norm: Normalize) -> None:
    """One picture a sampler."""
    assert panel.grid is not None
    rows = math.ceil(len(panel.names) / _GRID_COLUMNS)
    grid = list(part.subplots(rows, _GRID_COLUMNS, squeeze=False).flat)
    for axes, name, times in zip(grid, panel.names, panel.times, strict=False):
        axes.imshow(times.reshape(panel.grid), cmap=_COLORS, norm=norm, interpolation="nearest")
        axes.set_title(name, fontsize=6)
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_visible(False)
    for axes in grid[len(panel.names) :]:
        axes.set_axis_off()
