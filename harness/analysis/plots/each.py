"""Many curves that no single set of axes can show: one small panel for each, with all others behind it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from textwrap import fill

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from harness.analysis.curves import Panel
from harness.analysis.plots.curves import AXES, curves_of, draw_panel, legend_entries, metric_label
from harness.analysis.plots.looks import PAGE, SMALL, Style, legend_below

_COLUMNS = 6


def each_figure(panel: Panel, styles: Mapping[str, Style]) -> Figure:
    """The curves of one panel at page width, in order of their names, on the same scales."""
    labels = [label for label, _ in curves_of(panel)]
    rows = math.ceil(len(labels) / _COLUMNS)
    with mpl.rc_context({**SMALL, "xtick.labelsize": 6, "ytick.labelsize": 6}):
        figure = Figure(figsize=(PAGE, 0.5 + 1.05 * rows), layout=ConstrainedLayoutEngine(w_pad=0.01, h_pad=0.01))
        grid = figure.subplots(rows, _COLUMNS, squeeze=False, sharex=True, sharey=True)
        for index, axes in enumerate(grid.flat):
            if index >= len(labels):
                axes.set_axis_off()
                continue
            draw_panel(axes, panel, styles, ticks=4, front=[labels[index]])
            axes.set_title(fill(labels[index], 22), fontsize=6, color=styles[labels[index]].color, pad=2)
            axes.tick_params(labelbottom=index >= (rows - 1) * _COLUMNS, labelleft=index % _COLUMNS == 0)
        figure.suptitle(f"{panel.model} on {panel.task}", fontsize=8)
        for axes in grid[-1]:
            axes.set_xlabel(f"{AXES[panel.axis]} per sample", fontsize=6)
        figure.supylabel(metric_label(panel), fontsize=7)
        entries = legend_entries([panel], styles, front=[])
        entries["the other samplers"] = entries.pop(f"{len(labels)} others")
        legend_below(figure, entries)
    return figure
