"""Two curves of a stored run against each other, where the truth is plain."""

import math

import numpy as np
import pytest
from scipy.stats import binomtest
from stored_run import DISTANCE, QUIZ, add_cell, named, new_run, verdicts

from harness.analysis.compare_text import comparison_json, comparison_text
from harness.analysis.frame import cell_frame
from harness.analysis.paired.panels import compare_panels
from harness.errors import UserError
from harness.store import MetricValue
from harness.store.files import decode

TASKS = {"quiz": QUIZ}
STEPS = (2, 4, 8, 16)


@pytest.fixture
def run(tmp_path):
    return new_run(tmp_path / "run")


def add_curve(run, sampler, chances, steps=STEPS, seed=0, **more):
    found = {}
    for number, (chance, budget) in enumerate(zip(chances, steps, strict=True)):
        found[budget] = verdicts(chance, documents=200, seed=100 * seed + number)
        add_cell(run, found[budget], sampler, budget, seed=seed, **more)
    return found


def compared(run, a="a", b="b", **options):
    found, problems = compare_panels(cell_frame(run), TASKS, a, b, resamples=2000, **options)
    assert not problems
    (panel,) = found
    return panel


def test_at_each_setting_the_difference_and_mcnemars_p_are_those_of_the_verdicts(run):
    a, b = add_curve(run, "a", (0.2, 0.4, 0.6, 0.7)), add_curve(run, "b", (0.4, 0.5, 0.6, 0.7))
    panel = compared(run)
    assert [row.setting_a for row in panel.comparison.at_settings] == [f"steps={budget}" for budget in STEPS]
    for row, budget in zip(panel.comparison.at_settings, STEPS, strict=True):
        first, second = (np.array(list(each[budget].values())) for each in (a, b))
        assert row.difference.value == pytest.approx(second.mean() - first.mean())
        paired = (second.astype(float) - first).std() / math.sqrt(200)
        assert row.difference.stderr == pytest.approx(paired, rel=0.1)
        assert row.unpaired == pytest.approx(math.hypot(first.std(), second.std()) / math.sqrt(200), rel=0.1)
        wins, losses = (second & ~first).sum(), (first & ~second).sum()
        assert row.test == "McNemar"
        assert row.p == pytest.approx(binomtest(wins, wins + losses).pvalue if wins + losses else 1)
        assert row.holm >= row.p


def test_a_sampler_that_is_twice_as_fast_is_told_so(run):
    chances = (0.2, 0.35, 0.5, 0.6)
    add_curve(run, "a", chances)
    add_curve(run, "b", chances, steps=(1, 2, 4, 8))
    found = compared(run).comparison
    assert found.span == (2, 8)
    for row in found.at_costs:
        assert row.speed_up.value == pytest.approx(0.5)
    assert found.at_costs[1].b.value == pytest.approx(found.at_costs[2].a.value)
    assert found.at_costs[3].b is None  # B was not measured there
    assert found.area.low > 0
    text = comparison_text(compared(run))
    assert "B is better on average over NFE 2 to 8" in text
    assert "B needs 0.50x the NFE [0." in text


def test_a_sampler_against_itself_shows_nothing(run):
    add_curve(run, "a", (0.2, 0.5, 0.6, 0.7))
    add_curve(run, "b", (0.2, 0.5, 0.6, 0.7))
    found = compared(run).comparison
    assert (found.area.low, found.area.value, found.area.high) == (0, 0, 0)
    assert [row.p for row in found.at_settings] == [1] * 4
    assert "No difference is shown on average" in comparison_text(compared(run))


def test_quality_that_is_not_reached_is_told_with_the_share_that_reaches_it(run):
    add_curve(run, "a", (0.3, 0.5, 0.6, 0.68))
    add_curve(run, "b", (0.3, 0.4, 0.6, 0.65))
    row = compared(run).comparison.at_costs[3]
    assert row.speed_up.value == math.inf
    assert 0 < row.reached < 0.5
    assert row.speed_up.high == math.inf
    text = comparison_text(compared(run))
    assert "B as measured does not reach A's best quality" in text
    assert "not reached" in text.splitlines()[-6]
    add_curve(run, "bad", (0.1, 0.1, 0.1, 0.1))
    assert compared(run, b="bad").comparison.at_costs[3].reached == 0


def test_lower_is_better_and_a_metric_of_the_set_goes_by_its_own_errors(run):
    for sampler, factor in (("a", 1.0), ("b", 0.5)):
        for steps in STEPS:
            fid = MetricValue(factor * 80 / steps, 50, 0.5)
            add_cell(run, verdicts(0.5, 50), sampler, steps, metrics={"fid": fid})
    panel = compared(run, metric="fid")
    assert panel.metric == DISTANCE
    rows = panel.comparison.at_settings
    assert [row.test for row in rows] == ["normal"] * 4
    assert rows[0].difference.stderr == pytest.approx(0.5 * math.sqrt(2), rel=0.1)
    speed_up = panel.comparison.at_costs[2].speed_up  # 10 of A at 8 steps is B's at 4
    assert speed_up.value == pytest.approx(0.5)
    text = comparison_text(panel)
    assert "B is better on average" in text
    assert "belongs to the whole set" in text
    assert "±1 point" not in text


def test_several_seeds_or_clusters_are_tested_by_sign_flips(run):
    for seed in (0, 1, 2):
        add_curve(run, "a", (0.2, 0.3, 0.4, 0.5), seed=seed)
        add_curve(run, "b", (0.4, 0.5, 0.6, 0.6), seed=seed)
    found = compared(run)
    assert {row.test for row in found.comparison.at_settings} == {"sign flips"}
    assert found.paired.values.shape == (8, 3, 200)
    assert 0 <= found.comparison.seed_share <= 1
    assert "3 seeds in common" in comparison_text(found)


def test_two_settings_of_one_curve_can_be_compared(run):
    add_curve(run, "a", (0.3, 0.5, 0.6, 0.4))
    panel = compared(run, "a@steps=8", "a@steps=16")
    (row,) = panel.comparison.at_settings
    assert (row.setting_a, row.setting_b) == ("steps=8", "steps=16")
    assert row.difference.high < 0
    assert "B is worse: -" in comparison_text(panel)
    assert "At one setting each" in comparison_text(panel)


def test_one_cost_can_be_asked_for(run):
    add_curve(run, "a", (0.2, 0.4, 0.6, 0.7))
    add_curve(run, "b", (0.4, 0.5, 0.6, 0.7))
    (row,) = compared(run, at=2 * math.sqrt(2)).comparison.at_costs
    rows = compared(run).comparison.at_costs
    assert row.a.value == pytest.approx((rows[0].a.value + rows[1].a.value) / 2)
    with pytest.raises(UserError, match=r"--at 99: a was measured from nfe 2 to 16"):
        compared(run, at=99)


def test_the_screen_is_a_hundred_columns_wide_and_the_numbers_are_json(run):
    options = {"long_parameter_name": 0.123456}
    add_curve(run, "a", (0.2, 0.4, 0.6, 0.7), **options)
    add_curve(run, "a", (0.2, 0.4, 0.6, 0.7), long_parameter_name=1)
    add_curve(run, "b", (0.2,) * 10, steps=range(2, 12))
    label = "a (long_parameter_name=0.123456)"
    panel = compared(run, label, "b")
    assert max(map(len, comparison_text(panel).splitlines())) <= 100
    content = decode(comparison_json([panel], []).encode())
    (row,) = content["panels"]
    assert (row["a"]["label"], row["documents"], row["seeds"]) == (label, 200, [0])
    assert row["at_costs"][3]["speed_up"]["value"] == "Infinity"
    assert row["seed_share"] is None


def test_names_that_are_not_there_are_named(run):
    add_curve(run, "alpha", (0.2, 0.4, 0.6, 0.7))
    add_cell(run, {"other": 1.0}, "beta", 2)
    table = cell_frame(run)
    assert set(named(run)["label"]) == {"alpha", "beta"}
    for arguments, message in (
        (("alpa", "beta"), r"A is 'alpa': no such curve. Did you mean 'alpha'"),
        (("alpha", "alpha@steps=3"), r"alpha has no such setting. Did you mean 'steps="),
        (("alpha", "alpha"), r"both 'alpha'"),
        (("alpha", "beta"), r"quiz · toy: cannot compare by accuracy and nfe: beta @ steps=2, seed 0: has 1 of 200"),
    ):
        with pytest.raises(UserError, match=message):
            compare_panels(table, TASKS, *arguments)
    with pytest.raises(UserError, match=r"--task quizz: not in the results. Did you mean 'quiz'"):
        compare_panels(table, TASKS, "alpha", "beta", task="quizz")
    with pytest.raises(UserError, match=r"--axis nef: no such cost. Did you mean 'nfe'"):
        compare_panels(table, TASKS, "alpha", "beta", axis="nef")
    with pytest.raises(UserError, match=r"no metric 'fidd'.*Did you mean 'fid'"):
        compare_panels(table, TASKS, "alpha", "beta", metric="fidd")
