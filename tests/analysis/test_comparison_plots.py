"""Drawings beside the curves: Pareto, wins, effects, knobs, gains, orders, activity, and what is published."""

import math
from itertools import combinations, pairwise

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.transforms import Bbox

from harness.analysis.curves import panels
from harness.analysis.matched import along_knob, gains
from harness.analysis.plots import KNOWN, PAGE, Published, assign_styles, overview_figure, picture
from harness.analysis.plots.effects import EffectRow, effect_figure
from harness.analysis.plots.looks import styles_of
from harness.analysis.plots.pareto import pareto_figure
from harness.analysis.plots.settings import gain_figure, knob_figure
from harness.analysis.plots.traces import ActivityPanel, OrderPanel, activity_figure, order_figure
from harness.analysis.plots.wins import WinPanel, win_figure
from harness.analysis.traces import Activity, Precedence


def same_bytes(make):
    """The figure, after two of them gave the same file. (That a PDF has no date is seen to in test_plots.)"""
    first, second = make(), make()
    assert picture(first, ".png") == picture(second, ".png")
    return first


def texts(axes):
    return [text.get_text() for text in axes.texts]


def marked(axes):
    return [line for line in axes.lines if line.get_marker() not in ("None", "")]


@pytest.fixture
def one(cell, table_of, tasks):
    table = table_of(
        cell("random", 4, 0.5), cell("random", 8, 0.3), cell("random", 16, 0.25),
        cell("eb", 6, 0.4, budget=None, knob="gamma", params={"gamma": 2.0}),
        cell("eb", 12, 0.2, budget=None, knob="gamma", params={"gamma": 1.0}),
    )  # fmt: skip
    return panels(table, tasks)


def test_the_pareto_stair_goes_through_the_settings_that_none_beats(one):
    figure = same_bytes(lambda: pareto_figure(one, assign_styles(one)))
    (axes,) = figure.axes
    (stair,) = [line for line in axes.lines if line.get_drawstyle() == "steps-post"]
    assert stair.get_xydata()[:-1].tolist() == [[4, 0.5], [6, 0.4], [8, 0.3], [12, 0.2]]  # not 16, 0.25
    assert stair.get_xdata()[-1] == axes.get_xlim()[1]
    assert texts(axes) == ["random steps=4", "eb gamma=2", "random steps=8", "eb gamma=1"]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["eb", "random", "frontier"]


def test_names_on_the_frontier_do_not_cover_one_another(cell, table_of, tasks):
    crowd = panels(table_of(*(cell("random", 4 + i / 50, 0.5 - i / 1000) for i in range(40))), tasks)
    figure = pareto_figure(crowd, assign_styles(crowd))
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert 0 < len(boxes) < 40


def test_published_numbers_are_hollow_named_and_inside(one):
    number = Published("exact", "eb", "nfe", 64, 0.9, "Somebody et al. 2025")
    elsewhere = Published("exact", "eb", "depth", 64, 0.9, "not shown")
    figure = same_bytes(lambda: overview_figure(one, assign_styles(one), published=[number, elsewhere]))
    (axes,) = figure.axes
    (hollow,) = [line for line in axes.lines if line.get_markerfacecolor() == "white"]
    assert hollow.get_xydata().tolist() == [[64, 0.9]]
    assert to_hex(hollow.get_color()) == KNOWN["eb"][0].lower()
    assert axes.get_xlim()[1] > 64
    assert axes.get_ylim()[1] > 0.9
    assert "eb, published: Somebody et al. 2025" in [text.get_text() for text in figure.legends[0].get_texts()]


def test_each_axis_has_a_row_of_its_own(cell, table_of, tasks):
    table = table_of(*(cell(model=m, nfe=n, **{"cost.steps": n / 2}) for m in ("a", "b") for n in (4, 8)))
    both = [panel for axis in ("nfe", "steps") for panel in panels(table, tasks, axis)]
    figure = overview_figure(both, assign_styles(both), columns=2)
    assert [axes.get_title() for axes in figure.axes] == ["a", "b", "", ""]
    assert [axes.get_xlabel() for axes in figure.axes] == ["NFE per sample"] * 2 + ["denoising steps per sample"] * 2
    assert marked(figure.axes[3])[0].get_xdata().tolist() == [2, 4]


def test_the_win_matrix_is_antisymmetric_and_only_what_is_significant_has_colour():
    pairs = pd.DataFrame(
        [("a", "b", -0.2, 0.001), ("a", "c", -0.1, 0.3), ("b", "c", 0.05, 0.01)],
        columns=["first", "second", "difference", "p"],
    )
    figure = same_bytes(lambda: win_figure([WinPanel("model · task", "accuracy", (4, 64), pairs)]))
    (axes,) = figure.axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == ["b", "c", "a"]  # two wins; one loss each, and less of it
    shown = {(names[round(t.get_position()[1])], names[round(t.get_position()[0])]): t.get_text() for t in axes.texts}
    assert shown["b", "a"] == "+0.2"
    assert shown["a", "b"] == "−0.2"
    assert len(shown) == 6
    coloured = np.ma.getmaskarray(axes.images[1].get_array())
    assert {(names[i], names[j]) for i, j in zip(*np.nonzero(~coloured), strict=True)} == {
        ("a", "b"), ("b", "a"), ("b", "c"), ("c", "b"),
    }  # fmt: skip
    assert "mean over 4 to 64 NFE" in axes.get_xlabel()


def test_effects_stand_on_what_chance_makes_and_each_scale_has_its_axis():
    rows = [
        EffectRow("model", "short", "points", 1.0, -0.5, 2.5, 2.0, "+1.0 points\na over b"),
        EffectRow("model", "long", "points", 8.0, 5.0, 11.0, 3.0, "+8.0 points\nc over b"),
        EffectRow("model", "captions", "CIDEr", 0.2, 0.1, 0.3, 0.1, "+0.20\nc over a"),
    ]
    figure = same_bytes(lambda: effect_figure(rows))
    points, cider = figure.axes
    assert [label.get_text() for label in points.get_yticklabels()] == ["short", "long"]
    assert [bar.get_width() for bar in points.patches] == [2.0, 3.0]
    assert marked(points)[0].get_xdata().tolist() == [1.0, 8.0]
    assert texts(cider) == ["+0.20\nc over a"]
    assert (points.get_xlabel(), cider.get_xlabel()) == ("best minus worst (points)", "best minus worst (CIDEr)")


def test_the_wins_among_many_samplers_fit_a_page_with_their_names_and_without_numbers():
    names = [f"sampler (option={i:02})" for i in range(35)]
    pairs = pd.DataFrame(
        [(a, b, j - i, 0.01) for (i, a), (j, b) in combinations(enumerate(names), 2)],
        columns=["first", "second", "difference", "p"],
    )
    figure = win_figure([WinPanel("model · task", "accuracy", (4, 64), pairs)])
    figure.draw_without_rendering()
    (axes,) = figure.axes
    assert figure.get_figwidth() <= PAGE
    assert not axes.texts
    boxes = [label.get_window_extent() for label in axes.get_yticklabels()]
    assert all(box.x0 >= 0 for box in boxes)
    assert not any(Bbox.intersection(a, b) for a, b in pairwise(boxes))


def test_the_knob_figure_shows_value_cost_and_the_baseline_at_that_cost(cell, table_of, tasks):
    punt = [
        cell("punt", nfe, tv, err=0.1, budget=None, knob="epsilon", params={"epsilon": e})
        for e, nfe, tv in ((0.1, 8, 0.3), (0.01, 16, 0.2))
    ]
    (panel,) = panels(table_of(*punt, cell("random", 4, 0.5), cell("random", 16, 0.3)), tasks)
    rows = along_knob(panel, "punt", ["random"])
    figure = same_bytes(lambda: knob_figure([(panel, rows)], "punt", "epsilon", ["random"], assign_styles([panel])))
    above, below = figure.axes
    random, own = marked(above)
    assert own.get_xydata().tolist() == [[0.01, 0.2], [0.1, 0.3]]
    assert random.get_ydata().tolist() == pytest.approx([0.3, 0.4])
    assert marked(below)[0].get_xydata().tolist() == [[0.01, 16], [0.1, 8]]
    assert below.get_xlabel() == "epsilon"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["punt", "random at the same NFE"]


def test_the_gain_figure_has_bars_of_1_96_standard_errors(cell, table_of, tasks):
    table = table_of(cell("punt", 8, 0.3, err=0.3), cell("random", 8, 0.5, err=0.4))
    (panel,) = panels(table, tasks)
    rows = gains([(16, panel), (64, panel)], "punt", "steps=8", ["random"])
    styles = styles_of([("punt", "punt"), ("random", "random")])
    figure = same_bytes(lambda: gain_figure([(panel, rows)], "punt (steps=8)", styles))
    (axes,) = figure.axes
    assert axes.containers[0].lines[0].get_xydata().tolist() == [[16, pytest.approx(0.2)], [64, pytest.approx(0.2)]]
    bar = axes.containers[0].lines[2][0].get_segments()[0]
    assert bar[:, 1].tolist() == pytest.approx([0.2 - 1.96 * 0.5, 0.2 + 1.96 * 0.5])


def test_the_order_figure_has_a_line_or_a_picture_for_each_sampler():
    times = np.array([[0.1, 0.9, 0.5, 0.5], [0.5, 0.5, math.nan, 0.2]])
    early = [Precedence(0.1, 0, 0.6, 0, share, 0.01) for share in (0.9, 0.25)]
    rows = OrderPanel("tree", ["a", "b"], times, structure=[0], structure_name="heads", precedence=early)
    grid = OrderPanel("digits", ["a", "b"], times, grid=(2, 2))
    figure = same_bytes(lambda: order_figure([rows, grid]))
    heat, beside, *pictures = [axes for axes in figure.axes if axes.axison]
    assert np.ma.filled(heat.images[0].get_array(), np.nan) == pytest.approx(times, nan_ok=True)
    assert [label.get_text() for label in heat.get_yticklabels()] == ["a", "b"]
    assert texts(beside) == ["0.90", "0.25"]
    assert beside.get_xlabel() == "P(heads before others)"
    assert [axes.get_title() for axes in pictures[:2]] == ["a", "b"]
    assert pictures[0].images[0].get_array().tolist() == [[0.1, 0.9], [0.5, 0.5]]


def test_the_activity_figure_shows_masking_again_only_where_it_is_done():
    still = Activity(np.array([2.0, 1.0]), np.zeros(2), np.zeros(2), np.zeros(2))
    moved = Activity(np.array([2.0, 2.0]), np.zeros(2), np.array([0.0, 1.0]), np.zeros(2))
    panels = [ActivityPanel("one", {"random": still, "eb": moved}), ActivityPanel("two", {"random": still})]
    styles = styles_of([("random", "random"), ("eb", "eb")])
    figure = same_bytes(lambda: activity_figure(panels, styles))
    above, above_two, below, below_two = figure.axes
    assert [line.get_ydata().tolist() for line in marked(above)] == [[2, 1], [2, 2]]
    assert [line.get_ydata().tolist() for line in marked(below)] == [[0, 1]]
    assert len(marked(above_two)) == 1
    assert not below_two.axison
    assert len(activity_figure(panels[1:], styles).axes) == 1
