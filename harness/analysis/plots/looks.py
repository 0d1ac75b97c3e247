"""What all figures share: sizes, type, colours, the look of each sampler, and files without a date."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from harness.analysis.curves import Panel
from harness.analysis.leaderboard import in_front

COLUMN = 3.35
"""Width of one column of a two-column paper, in inches."""
PAGE = 7.0
"""Width of both columns."""
BEHIND: dict[str, Any] = {"color": "0.78", "linewidth": 0.6, "marker": ".", "markersize": 2, "zorder": 1.5}
"""How curves look that are there for comparison only."""
FLOOR_COLOR = "0.45"
FLOOR_LINE = (0, (4, 2))
LEVEL = 1.96
"""Standard errors that a band or bar extends to each side: 95 % of a normal distribution."""

# Okabe and Ito (2008) without yellow, which is faint on white, and five of Paul Tol's "muted" scheme.
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
    "dus": ("#44AA99", "v"),
    "factor": ("#117733", "^"),
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
SMALL: dict[Any, Any] = {**RC, "lines.markersize": 3.2, "lines.linewidth": 1.0}
"""The same for small multiples."""


@dataclass(frozen=True)
class Style:
    """How one curve looks; colour and marker belong to the sampler, line and fill to its variant."""

    color: str
    marker: str
    line: Literal["-", "--", ":", "-."]
    fill: Literal["full", "none", "left", "bottom"]

    def line2d(self, single: bool) -> dict[str, Any]:
        """Line properties of a curve, or of the lone marker of a sampler with a single point."""
        return {
            "color": self.color,
            "marker": self.marker,
            "linestyle": "none" if single else self.line,
            "fillstyle": self.fill,
            "markerfacecoloralt": "white",
        }


def assign_styles(panels: Sequence[Panel]) -> dict[str, Style]:
    """Label -> style for all curves of a run, by `styles_of`; those in front differ most."""
    return styles_of(
        (
            (str(sampler), str(label))
            for panel in panels
            for sampler, label in zip(panel.points["sampler"], panel.points["label"], strict=True)
        ),
        in_front(panels),
    )


def styles_of(curves: Iterable[tuple[str, str]], front: Collection[str] = ()) -> dict[str, Style]:
    """Label -> style from (sampler, label): known samplers always look the same; others get, by sorted name but those
    with a label in `front` first, colours that no other sampler here has, as far as these go."""
    variants: dict[str, set[str]] = {}
    for sampler, label in curves:
        variants.setdefault(sampler, set()).add(label)
    looks = dict(KNOWN)
    used: Counter[str] = Counter()
    new: Counter[str] = Counter()
    first = {name for name, labels in variants.items() if not labels.isdisjoint(front)}
    for names in (first, set(variants) - first):
        used.update(KNOWN[name][0] for name in names if name in KNOWN)
        for name in sorted(names - set(KNOWN)):
            color = min(COLORS, key=lambda each: used[each])
            looks[name] = (color, MARKERS[(COLORS.index(color) + new[color]) % len(MARKERS)])
            used[color] += 1
            new[color] += 1
    return {
        label: Style(*looks[sampler], LINES[i % len(LINES)], FILLS[i % len(FILLS)])
        for sampler in sorted(variants)
        for i, label in enumerate(sorted(variants[sampler]))
    }


def power_ticks(axes: Axes, lowest: float, highest: float, ticks: int) -> None:
    """A horizontal axis in powers of two that holds both values (above zero), with at most `ticks` numbers."""
    low, high = math.log2(lowest) - 0.3, math.log2(highest) + 0.3
    powers = range(math.ceil(low), math.floor(high) + 1)
    stride = math.ceil(len(powers) / ticks) or 1
    axes.set_xscale("log", base=2)
    axes.set_xlim(2**low, 2**high)
    axes.xaxis.set_major_locator(FixedLocator([2.0**power for power in powers[::stride]]))
    axes.xaxis.set_major_formatter(FuncFormatter(plain_number))
    axes.xaxis.set_minor_locator(NullLocator())


def share_scale(row: Sequence[Axes]) -> None:
    """Give panels the same vertical axis, the smallest that holds what each shows, unless some are logarithmic."""
    ends = [axes.get_ylim() for axes in row]
    for axes in row if len({axes.get_yscale() for axes in row}) == 1 else ():
        axes.set_ylim(min(low for low, _ in ends), max(high for _, high in ends))


def plain_number(value: float, _position: int | None) -> str:
    """A tick's number without an exponent where that stays short."""
    return f"{value:g}"


def legend_below(figure: Figure, entries: dict[str, Line2D]) -> None:
    """One legend below the axes, as wide as it may be: the figure grows by its height."""
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


def picture(figure: Figure, suffix: str) -> bytes:
    """The bytes of a figure as `.png` or `.pdf`, with no date in them."""
    metadata = {"CreationDate": None} if suffix == ".pdf" else {"Software": None}
    buffer = BytesIO()
    with mpl.rc_context(RC):
        figure.savefig(buffer, format=suffix.removeprefix("."), dpi=250, metadata=metadata)
    return buffer.getvalue()


def save(figure: Figure, path: Path) -> None:
    """Write a figure as its suffix says (`.png` or `.pdf`)."""
    path.write_bytes(picture(figure, path.suffix))
