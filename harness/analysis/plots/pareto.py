"""All settings of all samplers on one task, and those of them that nothing cheaper or equally cheap is better than."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox

from harness.analysis.curves import Panel
from harness.analysis.leaderboard import frontier, in_front
from harness.analysis.plots.curves import curves_of, legend_entries, plottable, set_scales, small_multiples
from harness.analysis.plots.looks import BEHIND, LEVEL, SMALL, Style, legend_below

_OFFSETS = ((6, 8), (6, -8), (-6, 8), (-6, -8), (14, 18), (14, -18), (-14, 18), (-14, -18))
"""Where the name of a point may stand, in points from it; the first free place is taken."""
_FRONTIER: dict[str, Any] = {"color": "0.25", "linewidth": 0.9, "zorder": 2}


def pareto_figure(panels: Sequence[Panel], styles: Mapping[str, Style]) -> Figure:
    """One set of axes a panel: every setting as a marker with ±1.96 standard errors, the frontier as a stair with the
    names of its settings, where there is room for them. Of many samplers, those in front have colour."""
    front = in_front(panels)

    def draw(axes: Axes, panel: Panel) -> None:
        set_scales(axes, panel, ticks=6)
        for label, rows in curves_of(panel):
            if label not in front:
                axes.plot(rows["cost"], rows["value"], **{**BEHIND, "linestyle": "none"})
                continue
            look = styles[label].line2d(single=True)
            half = LEVEL * np.nan_to_num(rows["stderr"].to_numpy(float))
            axes.errorbar(rows["cost"], rows["value"], half, elinewidth=0.5, alpha=0.75, **look)
        best = _best(panel)
        edge = axes.get_xlim()[1]
        axes.step([*best["cost"], edge], [*best["value"], best["value"].iloc[-1]], where="post", **_FRONTIER)

    with mpl.rc_context(SMALL):
        figure = small_multiples(panels, draw, columns=min(len(panels), 3), height=2.5)
        entries = legend_entries(panels, styles, front)
        for line in entries.values():
            if line.get_marker() not in ("None", ""):
                line.set_linestyle("none")
        legend_below(figure, {**entries, "frontier": Line2D([], [], **_FRONTIER)})
        figure.draw_without_rendering()
        for axes, panel in zip(figure.axes, panels, strict=False):
            _name_frontier(axes, panel, styles, front)
    return figure


def _best(panel: Panel) -> pd.DataFrame:
    return frontier(plottable(panel.points), panel.metric.direction == "higher")


def _name_frontier(axes: Axes, panel: Panel, styles: Mapping[str, Style], front: Collection[str]) -> None:
    """The setting of each point of the frontier, and the sampler where it changes along it, beside the points."""
    marks = plottable(panel.points)
    spots = axes.transData.transform(marks[["cost", "value"]].to_numpy(float))
    taken: list[Bbox] = [Bbox.from_bounds(x - 4, y - 4, 8, 8) for x, y in spots]
    previous = None
    for row in _best(panel).to_dict("records"):
        name = row["label"] if row["label"] != previous else ""
        previous = row["label"]
        text = " ".join(
            part for part in (name, row["setting"].partition("=")[2] if not name else row["setting"]) if part
        )
        color = styles[row["label"]].color if row["label"] in front else "0.35"
        _place(axes, text, (row["cost"], row["value"]), color, taken)


def _place(axes: Axes, text: str, point: tuple[float, float], color: str, taken: list[Bbox]) -> Annotation | None:
    """Write `text` beside a point where it covers nothing in `taken`, and add its box; None where there is no room."""
    inside = axes.get_window_extent().padded(-2)
    for x, y in _OFFSETS:
        made = axes.annotate(
            text, point, (x, y), textcoords="offset points", fontsize=6, color=color,
            ha="left" if x > 0 else "right", va="center",
            arrowprops={"arrowstyle": "-", "linewidth": 0.4, "color": color, "shrinkA": 0, "shrinkB": 2},
        )  # fmt: skip
        made.get_window_extent()  # puts the text in its place
        box = Text.get_window_extent(made)  # without the line to the point
        if (
            inside.contains(box.x0, box.y0)
            and inside.contains(box.x1, box.y1)
            and not any(Bbox.intersection(box, other) for other in taken)
        ):
            taken.append(box)
            return made
        made.remove()
    return None
