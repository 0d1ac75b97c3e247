"""How much the choice of the sampler matters: best minus worst in each task, beside what chance would make of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from harness.analysis.plots.looks import PAGE, RC, legend_below

_ROW, _MARGIN = 0.3, 0.75
"""Height of a row, and what the axis and the title take, in inches."""
_CHANCE, _EFFECT = "0.87", "#0072B2"


@dataclass(frozen=True)
class EffectRow:
    """One task of one model.

    scale       what the numbers are, such as `points`: rows of one scale share an axis
    difference  best minus worst, and `low` and `high`, the ends of its interval
    chance      what it is at most where all samplers are equally good
    told        the same in words
    """

    model: str
    task: str
    scale: str
    difference: float
    low: float
    high: float
    chance: float
    told: str


def effect_figure(rows: Sequence[EffectRow]) -> Figure:
    """A row for each task, with the effect and its 95 % interval on a bar that is what chance alone makes.

    Whether lower or higher is better: to the right, the choice of the sampler matters more.
    """
    scales = list(dict.fromkeys(row.scale for row in rows))
    parts = [[row for row in rows if row.scale == scale] for scale in scales]
    heights = [_ROW * len(part) + _MARGIN for part in parts]
    with mpl.rc_context({**RC, "axes.grid.axis": "x", "axes.spines.left": False}):
        figure = Figure(figsize=(PAGE, sum(heights) + 0.3), layout="constrained")
        grid = figure.subplots(len(parts), 1, squeeze=False, height_ratios=heights)[:, 0]
        for axes, scale, part in zip(grid, scales, parts, strict=True):
            _draw(axes, scale, part)
        legend_below(
            figure,
            {
                "best minus worst sampler, 95 % interval": Line2D([], [], color=_EFFECT, marker="o"),
                "what equally good samplers reach by chance": Line2D([], [], color=_CHANCE, linewidth=6),
            },
        )
    return figure


def _draw(axes: Axes, scale: str, rows: Sequence[EffectRow]) -> None:
    places = range(len(rows))
    axes.barh(places, [row.chance for row in rows], height=0.55, color=_CHANCE, zorder=1)
    axes.hlines(places, [row.low for row in rows], [row.high for row in rows], color=_EFFECT, linewidth=1.2)
    axes.plot([row.difference for row in rows], places, "o", color=_EFFECT)
    axes.axvline(0, color="0.3", linewidth=0.6)
    several = len({row.model for row in rows}) > 1
    axes.set_yticks(places, [f"{row.model} · {row.task}" if several else row.task for row in rows])
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    for place, row in zip(places, rows, strict=True):
        axes.annotate(row.told, (1.01, place), xycoords=("axes fraction", "data"), va="center", fontsize=7)
    axes.set_xlabel(f"best minus worst ({scale})")
