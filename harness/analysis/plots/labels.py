"""Names beside the right ends of curves, moved apart where they would overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text

_WIDEST = 0.3
"""Share of the figure's width that names may take."""
_FARTHEST = 0.15
"""Share of the height of the axes that a name may be moved by."""
_GAP = 1.15
"""Distance of neighbouring names, in heights of a name."""


@dataclass(frozen=True)
class End:
    """Where a curve ends, in data, and its name; `cost` None for a line across the whole axes."""

    name: str
    cost: float | None
    value: float
    color: str


def label_ends(figure: Figure, axes: Axes, ends: Sequence[End]) -> bool:
    """Write the names right of the axes, each with a thin line to its end; none, and False, where that is not clear."""
    texts = [_write(axes, end) for end in ends]
    figure.draw_without_rendering()  # makes room for them
    box = axes.get_window_extent()
    boxes = [Text.get_window_extent(text) for text in texts]
    height = _GAP * max(each.height for each in boxes) / box.height
    texts.sort(key=lambda text: float(text.xyann[1]))
    wanted = [float(text.xyann[1]) for text in texts]
    places = apart(wanted, height, -0.05, 1.05)
    moved = max(abs(a - b) for a, b in zip(wanted, places, strict=True))
    if moved > _FARTHEST or max(each.width for each in boxes) > _WIDEST * figure.bbox.width:
        for text in texts:
            text.remove()
        return False
    for text, place in zip(texts, places, strict=True):
        text.xyann = (text.xyann[0], place)
    return True


def _write(axes: Axes, end: End) -> Annotation:
    """The name at the height of the end."""
    edge, _ = axes.get_xlim()[1], axes.get_ylim()  # to ask for them settles the scales
    cost = edge if end.cost is None else end.cost
    spot = axes.transData.transform((cost, end.value))
    height = float(axes.transAxes.inverted().transform(spot)[1])
    return axes.annotate(
        end.name, (cost, end.value), (1.03, height), textcoords="axes fraction", va="center", fontsize=7,
        color=end.color, annotation_clip=False,
        arrowprops={"arrowstyle": "-", "linewidth": 0.5, "color": end.color, "alpha": 0.6, "shrinkA": 1,
                    "shrinkB": 3, "relpos": (0, 0.5)},
    )  # fmt: skip


def apart(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places as near as can be to the `wanted` ones, in ascending order, at least `gap` apart and from `low` to `high`.

    Neighbours that would overlap stand together around the mean of what they want.
    """
    groups: list[list[float]] = []

    def middle(group: list[float]) -> float:
        half = gap * len(group) / 2
        return min(max(sum(group) / len(group), low + half), high - half)

    for place in wanted:
        groups.append([place])
        while (
            len(groups) > 1 and middle(groups[-1]) - middle(groups[-2]) < gap * (len(groups[-1]) + len(groups[-2])) / 2
        ):
            groups[-2:] = [groups[-2] + groups[-1]]
    return [middle(group) + gap * (i - (len(group) - 1) / 2) for group in groups for i in range(len(group))]
