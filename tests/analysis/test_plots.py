"""Figures: styles, scales, labels, and what the files hold."""

import math
from itertools import combinations, pairwise

import matplotlib as mpl
import pytest
from matplotlib.colors import to_hex
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from harness.analysis.curves import panels
from harness.analysis.leaderboard import in_front
from harness.analysis.plots import COLORS, KNOWN, assign_styles, curve_figure, metric_label, overview_figure, save
from harness.analysis.plots.each import each_figure
from harness.analysis.plots.labels import apart
from harness.analysis.plots.looks import BEHIND


def one_panel(table, tasks):
    (panel,) = panels(table, tasks)
    return panel


def draw(panel):
    figure = curve_figure(panel, assign_styles([panel]))
    figure.draw_without_rendering()
    return figure, figure.axes[0]


def lines(axes):
    """The drawn curves: x, y, colour; without the floor and error bars."""
    return [line for line in axes.lines if line.get_marker() not in ("None", "")]


def test_a_known_sampler_looks_the_same_in_every_run_and_new_ones_differ(cell, table_of, tasks):
    def styles(*samplers):
        return assign_styles([one_panel(table_of(*(cell(sampler=s) for s in samplers)), tasks)])

    assert styles("random", "new")["random"] == styles("punt", "random", "eb")["random"]
    many = styles(*KNOWN, *(f"new{i:02}" for i in range(45)))
    assert len({(style.color, style.marker) for style in many.values()}) == len(KNOWN) + 45
    assert [many[f"new{i:02}"].color for i in range(len(COLORS))] == COLORS  # by sorted name


def test_variants_share_the_colour_and_differ_in_line_and_fill(cell, table_of, tasks):
    orders = ("a", "b", "c")
    table = table_of(*(cell(sampler="sequential", knob=None, params={"order": order}) for order in orders))
    styles = assign_styles([one_panel(table, tasks)]).values()
    assert len({style.color for style in styles}) == 1
    assert len({(style.fill, style.line) for style in styles}) == 3


def test_curves_are_drawn_by_cost_and_a_lone_point_is_a_marker(cell, table_of, tasks):
    table = table_of(
        cell(nfe=16, tv=0.2),
        cell(nfe=4, tv=0.5),
        cell(sampler="sequential", knob=None, nfe=64, tv=0.15),
        cell(sampler="eb", nfe=math.nan, tv=0.1),
    )
    _, axes = draw(one_panel(table, tasks))
    random, sequential = lines(axes)
    assert random.get_xydata().tolist() == [[4, 0.5], [16, 0.2]]
    assert to_hex(random.get_color()) == KNOWN["random"][0].lower()
    assert sequential.get_linestyle() == "None"
    assert metric_label(one_panel(table, tasks)) == "pair TV ↓"


def test_the_band_is_1_96_standard_errors(cell, table_of, tasks):
    _, axes = draw(one_panel(table_of(cell(nfe=4, tv=0.5, err=0.1), cell(nfe=8, tv=0.4, err=0.0)), tasks))
    (band,) = axes.collections
    heights = band.get_paths()[0].vertices[:, 1]
    assert (heights.min(), heights.max()) == pytest.approx((0.5 - 0.196, 0.5 + 0.196))


@pytest.mark.parametrize(
    ("values", "scale"), [((0.5, 0.01), "log"), ((0.5, 0.2), "linear"), ((0.5, -0.01), "linear"), ((0, 1), "linear")]
)
def test_a_logarithmic_metric_axis_only_where_it_helps(cell, table_of, tasks, values, scale):
    table = table_of(*(cell(nfe=2**i, tv=tv) for i, tv in enumerate(values)))
    assert draw(one_panel(table, tasks))[1].get_yscale() == scale


def test_higher_is_better_stays_linear(cell, table_of, tasks):
    scores = [cell(task="quiz", nfe=2**i, **{"metric.accuracy": a}) for i, a in enumerate((0.01, 0.9))]
    panel = one_panel(table_of(*scores), tasks)
    assert draw(panel)[1].get_yscale() == "linear"
    assert metric_label(panel) == "accuracy (fraction) ↑"


def test_nfe_ticks_are_plain_powers_of_two(cell, table_of, tasks):
    _, axes = draw(one_panel(table_of(*(cell(nfe=n) for n in (1, 6, 64))), tasks))
    assert [text.get_text() for text in axes.get_xticklabels()] == ["1", "2", "4", "8", "16", "32", "64"]


def test_names_at_the_ends_of_lines_unless_they_are_too_crowded(cell, table_of, tasks):
    apart = [cell(s, nfe, tv + 0.01 * nfe, floor=0.05) for s, tv in (("eb", 0.2), ("punt", 0.7)) for nfe in (1, 8)]
    figure, axes = draw(one_panel(table_of(*apart), tasks))
    assert {text.get_text() for text in axes.texts} == {"eb", "punt", "exact samples"}
    assert not figure.legends
    names = [f"s{i}" for i in range(9)]
    together = [cell(s, nfe, 0.5 + 0.01 * nfe, floor=0.05) for s in names for nfe in (1, 8)]
    figure, axes = draw(one_panel(table_of(*together), tasks))
    assert not axes.texts
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [*names, "exact samples"]


@pytest.mark.parametrize(
    "wanted", [[0.5], [0.1, 0.9], [0.5, 0.5, 0.5], [0, 0.01, 0.02, 0.97, 1], [0.2, 0.3, 0.31, 0.6]]
)
def test_names_are_moved_apart_no_further_than_they_must(wanted):
    places = apart(wanted, 0.1, -0.05, 1.05)
    assert all(b - a >= 0.1 - 1e-9 for a, b in pairwise(places))
    assert min(places) >= -0.05 + 0.05 - 1e-9
    assert max(places) <= 1.05 - 0.05 + 1e-9
    if all(b - a >= 0.1 for a, b in pairwise(wanted)):
        assert places == pytest.approx(wanted)
    if wanted == [0.5, 0.5, 0.5]:
        assert places == pytest.approx([0.4, 0.5, 0.6])


def test_names_of_curves_that_end_apart_are_right_of_the_axes_and_do_not_touch(cell, table_of, tasks):
    ends = (0.50, 0.52, 0.54, 0.8)
    rows = [cell(f"s{i}", nfe, tv if nfe == 8 else 0.9) for i, tv in enumerate(ends) for nfe in (1, 8)]
    figure, axes = draw(one_panel(table_of(*rows), tasks))
    assert not figure.legends
    boxes = [Text.get_window_extent(text) for text in axes.texts]
    assert len(boxes) == 4
    assert all(box.x0 > axes.get_window_extent().x1 and box.x1 <= figure.bbox.x1 for box in boxes)
    assert not any(Bbox.intersection(a, b) for a, b in combinations(boxes, 2))


def crowd(cell, table_of, tasks, count=20):
    """`s00` is the best one at each cost, then `s01`, …; the last one is best where nobody else is."""
    rows = [cell(f"s{i:02}", nfe, 0.1 + i / 100 + 1 / nfe) for i in range(count - 1) for nfe in (2, 8)]
    return one_panel(table_of(*rows, cell("lone", 64, 0.05)), tasks)


def test_of_many_curves_those_in_front_have_colour_and_the_others_are_grey(cell, table_of, tasks):
    panel = crowd(cell, table_of, tasks)
    front = in_front([panel])
    assert front == ["s00", "lone", *(f"s{i:02}" for i in range(1, 7))]
    figure, axes = draw(panel)
    grey = [line for line in lines(axes) if line.get_color() == BEHIND["color"]]
    assert len(grey) == 12
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [*sorted(front), "12 others"]
    styles = assign_styles([panel])
    assert len({styles[label].color for label in front}) == 8
    few = crowd(cell, table_of, tasks, 5)
    assert in_front([few]) == sorted(set(few.points["label"]))


def test_each_of_many_curves_has_a_panel_with_the_others_behind_it(cell, table_of, tasks):
    panel = crowd(cell, table_of, tasks)
    figure = each_figure(panel, assign_styles([panel]))
    shown = [axes for axes in figure.axes if axes.axison]
    assert [axes.get_title() for axes in shown] == sorted(set(panel.points["label"]))
    for axes in shown:
        assert sum(line.get_color() != BEHIND["color"] for line in lines(axes)) == 1
        assert len(lines(axes)) == 20
        assert axes.get_xlim() == shown[0].get_xlim()


def test_the_legend_stays_inside_and_below_the_axes(cell, table_of, tasks):
    rows = [cell(f"sampler-number-{i}", nfe, 0.5, floor=0.4) for i in range(12) for nfe in (1, 8)]
    panel = one_panel(table_of(*rows), tasks)
    for figure in (draw(panel)[0], overview_figure([panel] * 5, assign_styles([panel]))):
        figure.draw_without_rendering()
        legend = figure.legends[0].get_window_extent()
        assert legend.x0 >= 0
        assert legend.x1 <= figure.bbox.width
        for axes in figure.axes:
            assert axes.get_tightbbox() is None or axes.get_tightbbox().y0 >= legend.y1


def test_the_overview_shows_each_panel_once_and_nothing_else(cell, table_of, tasks):
    models = [f"exact/{i}" for i in range(5)]
    found = panels(table_of(*(cell(model=model, nfe=n) for model in models for n in (1, 4))), tasks)
    figure = overview_figure(found, assign_styles(found))
    assert [axes.get_title() for axes in figure.axes if axes.axison] == models
    bottom = figure.axes[2:5]  # 3 + 2 panels: the last of each column names the NFE axis
    assert [axes.get_xlabel() for axes in bottom] == ["NFE per sample"] * 3


def test_real_data_names_the_floor_of_other_models(cell, table_of, tasks):
    panel = one_panel(table_of(cell(model="digits", floor=0.1)), tasks)
    assert panel.floor_name == "real data"


def test_hostile_names_are_drawn_as_they_are(cell, table_of, tasks):
    rows = [cell(name, nfe, 0.5, model=r"$\frac{$") for name in ("$x_{$", "_hidden", "a\\b") for nfe in (1, 4)]
    _, axes = draw(one_panel(table_of(*rows), tasks))
    assert axes.get_title() == r"$\frac{$ on exact"
    assert {text.get_text() for text in axes.texts} == {"$x_{$", "_hidden", "a\\b"}


def test_files_embed_truetype_fonts_carry_no_date_and_leave_settings_alone(cell, table_of, tasks, tmp_path):
    before = dict(mpl.rcParams)
    panel = one_panel(table_of(cell(nfe=1), cell(nfe=8, tv=0.01, floor=0.01)), tasks)
    for suffix in ("pdf", "png"):
        save(curve_figure(panel, assign_styles([panel])), tmp_path / f"a.{suffix}")
        save(curve_figure(panel, assign_styles([panel])), tmp_path / f"b.{suffix}")
        assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()
    pdf = (tmp_path / "a.pdf").read_bytes()
    assert b"/FontFile2" in pdf
    assert b"/Type3" not in pdf
    assert b"CreationDate" not in pdf
    assert b"Software" not in (tmp_path / "a.png").read_bytes()
    assert dict(mpl.rcParams) == before
