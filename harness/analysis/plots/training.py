"""What trainings that are compared measured on their way."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import fill

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from harness.analysis.plots.looks import LEVEL, PAGE, SMALL, Style, legend_below, plain_number


def training_figure(
    curves: Mapping[str, pd.DataFrame], axis: str, numbers: Mapping[str, str], styles: Mapping[str, Style]
) -> Figure:
    """A panel for each number against what the training had cost, with ±1.96 standard errors over seeds.

    curves   name to the rows of `training.along_training`
    axis     what to call the cost
    numbers  column to what to call it; a scale is logarithmic where all is above zero and spans a decade
    """
    columns = min(len(numbers), 3)
    rows = -(-len(numbers) // columns)
    with mpl.rc_context(SMALL):
        figure = Figure(figsize=(PAGE, 1.9 * rows), layout="constrained")
        grid = list(figure.subplots(rows, columns, squeeze=False).flat)
        for axes, (column, label) in zip(grid, numbers.items(), strict=False):
            for name, found in curves.items():
                half = LEVEL * np.nan_to_num(found[f"{column}.stderr"].to_numpy(float))
                value = found[column].to_numpy(float)
                color = styles[name].color
                axes.fill_between(found["cost"], value - half, value + half, color=color, alpha=0.15, linewidth=0)
                axes.plot(found["cost"], value, **styles[name].line2d(single=False))
            values = np.concatenate([found[column].to_numpy(float) for found in curves.values()])
            if values.min() > 0 and values.max() / values.min() > 10:
                axes.set_yscale("log", nonpositive="clip")
                axes.yaxis.set_major_locator(LogLocator(subs=(1, 3)))
                axes.yaxis.set_major_formatter(FuncFormatter(plain_number))
                axes.yaxis.set_minor_locator(NullLocator())
            axes.set_ylabel(fill(label, 28), fontsize=7)
            axes.set_xlabel(axis, fontsize=7)
            axes.ticklabel_format(axis="x", style="sci", scilimits=(-2, 4))
        for axes in grid[len(numbers) :]:
            axes.set_axis_off()
        legend_below(figure, {name: Line2D([], [], **styles[name].line2d(single=False)) for name in curves})
    return figure
