"""Ranks, their intervals, and who is tied, against enumeration and plain cases."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from stored_run import DISTANCE, QUIZ, add_cell, named, new_run, verdicts

from harness.analysis.frame import cell_frame
from harness.analysis.paired.aup import aup
from harness.analysis.paired.ranking import _effect, rank, rank_all, tie_groups
from harness.analysis.ranking_tables import across_table, ranking_frame, ranking_json, ranking_latex, ranking_markdown
from harness.analysis.ranking_words import words
from harness.store import MetricValue
from harness.store.files import decode

ACCURACY = QUIZ.metrics[0]


@pytest.fixture
def run(tmp_path):
    return new_run(tmp_path / "run")


def add_curve(run, sampler, chances, steps=(2, 4, 8), seed=0, documents=150):
    for number, (chance, budget) in enumerate(zip(chances, steps, strict=True)):
        add_cell(run, verdicts(chance, documents, seed=100 * seed + number), sampler, budget)


def ranked(run, metric=ACCURACY):
    return rank(named(run), metric, resamples=2000)


def test_areas_are_the_means_over_log_cost_and_order_the_samplers(run):
    add_curve(run, "good", (0.5, 0.6, 0.7))
    add_curve(run, "bad", (0.2, 0.3, 0.4))
    add_curve(run, "twin", (0.5, 0.6, 0.7))  # the same answers as `good`
    found = ranked(run)
    assert [(each.label, each.rank, each.group) for each in found.standings] == [
        ("good", 1, "a"),
        ("twin", 1, "a"),
        ("bad", 3, "b"),
    ]
    assert [(each.low, each.high) for each in found.standings] == [(1, 1), (1, 1), (3, 3)]
    shares = [np.mean(list(verdicts(chance, 150, seed=n).values())) for n, chance in enumerate((0.5, 0.6, 0.7))]
    trapezoids = (shares[0] / 2 + shares[1] + shares[2] / 2) / 2  # costs are equally far apart in logarithms
    assert found.standings[0].quality.value == pytest.approx(trapezoids)
    assert found.standings[0].aup == pytest.approx(aup([16, 8, 4], [100 * s for s in shares], 100 * max(shares)))
    assert found.standings[0].gain.value == pytest.approx(shares[2] - shares[0])
    assert (found.span, found.documents, found.seeds) == ((2, 8), 150, 1)


def test_the_samplers_effect_is_best_minus_worst_beside_what_chance_makes(run):
    add_curve(run, "good", (0.5, 0.6, 0.7))
    add_curve(run, "bad", (0.2, 0.3, 0.4), seed=7)
    add_curve(run, "middle", (0.4, 0.5, 0.6), seed=9)
    found = ranked(run)
    effect, quality = found.effect, {each.label: each.quality.value for each in found.standings}
    assert (effect.best, effect.worst) == ("good", "bad")
    assert effect.difference.value == pytest.approx(quality["good"] - quality["bad"])
    assert effect.difference.low < effect.difference.value < effect.difference.high
    assert 0 < effect.chance < effect.difference.low
    assert "Sampler effect, best minus worst: +" in " ".join(words(found))


def test_samplers_of_the_same_answers_have_no_effect(run):
    add_curve(run, "one", (0.5, 0.6, 0.7))
    add_curve(run, "twin", (0.5, 0.6, 0.7))
    assert "best minus worst: none, all samplers are equal." in " ".join(words(ranked(run)))


def test_equal_samplers_differ_by_more_than_chance_in_a_twentieth_of_runs():
    random = np.random.default_rng(0)
    beyond = []
    for _ in range(400):
        values = random.random((100, 4)) < 0.5  # documents, samplers
        drawn = random.multinomial(100, [0.01] * 100, 400) / 100
        means = np.vstack([values.mean(axis=0), drawn @ values])
        effect = _effect({f"s{i}": means[:, i] for i in range(4)}, sign=1)
        beyond.append(effect.difference.value > effect.chance)
    assert 0.02 <= np.mean(beyond) <= 0.09


def test_ranks_that_noise_could_swap_have_wide_intervals(run):
    for number in range(4):
        add_curve(run, f"s{number}", (0.5, 0.5, 0.5), seed=number, documents=60)
    found = ranked(run)
    assert {each.group for each in found.standings} == {"a"}
    assert max(each.high for each in found.standings) - min(each.low for each in found.standings) >= 2
    assert all(each.low <= each.rank <= each.high for each in found.standings)


def test_a_curve_that_shares_no_octave_with_the_others_is_not_ranked(run):
    add_curve(run, "a", (0.2, 0.4, 0.6))
    add_curve(run, "b", (0.3, 0.4, 0.6))
    add_curve(run, "far", (0.3, 0.4, 0.6), steps=(32, 64, 128))
    add_cell(run, verdicts(0.9, 150), "point", 8)
    found = ranked(run)
    assert {each.label for each in found.standings} == {"a", "b"}
    assert found.unranked == {"far": "measured from 32 to 128 only", "point": "one cost only"}


def test_a_lone_curve_has_nobody_to_be_ranked_against_but_tells_what_compute_gives(run):
    add_cell(run, verdicts(0.5), "a", 8)
    assert ranked(run) is None
    assert rank_all(cell_frame(run), {"quiz": QUIZ}) == []
    add_cell(run, verdicts(0.9), "a", 2)
    (found,) = rank_all(cell_frame(run), {"quiz": QUIZ}, resamples=1000)
    (standing,) = found.standings
    assert (standing.rank, standing.group, found.pairs) == (1, "a", ())
    text = " ".join(words(found))
    assert "There is no other sampler to rank a against." in text
    assert f"most expensive setting: significantly worse, {100 * standing.gain.value:.1f} points [" in text


def test_as_many_curves_are_ranked_as_share_an_octave(run):
    """Each end of the shared range is held by two curves, so that leaving out any single one changes nothing."""
    for name in "abc":
        add_curve(run, name, (0.2, 0.4, 0.6), steps=(2, 8, 32))
    for name in ("low", "lower"):
        add_curve(run, name, (0.2, 0.4, 0.6), steps=(2, 3, 5))
    for name in ("high", "higher"):
        add_curve(run, name, (0.2, 0.4, 0.6), steps=(16, 24, 32))
    found = ranked(run)
    assert len(found.standings) == 5
    assert {"a", "b", "c"} < {each.label for each in found.standings}
    assert found.span in ((2, 5), (16, 32))


def test_at_a_budget_those_are_ranked_that_begin_within_it_and_none_has_to_spend_it(run):
    add_curve(run, "long", (0.2, 0.5, 0.8), steps=(2, 8, 32))
    add_cell(run, verdicts(0.7, 150), "point", 4)
    add_curve(run, "late", (0.2, 0.5, 0.8), steps=(16, 24, 32))
    found = rank(named(run), ACCURACY, at=8, resamples=500)
    share = np.mean(list(verdicts(0.7, 150).values()))
    assert {each.label: each.quality.value for each in found.standings} == {
        "point": pytest.approx(share),
        "long": pytest.approx(np.mean(list(verdicts(0.5, 150, seed=1).values()))),
    }
    assert [each.label for each in found.standings] == ["point", "long"]
    assert found.unranked == {"late": "measured from 16 on"}
    assert (found.at, found.span) == (8, (8, 8))
    between = rank(named(run), ACCURACY, at=4, resamples=500)
    ends = [np.mean(list(verdicts(chance, 150, seed=n).values())) for n, chance in enumerate((0.2, 0.5))]
    assert {each.label: each.quality.value for each in between.standings}["long"] == pytest.approx(np.mean(ends))
    assert "at NFE 4" in ranking_markdown([between])


def test_one_table_tells_the_ranks_on_all_tasks(run, tmp_path):
    add_curve(run, "good", (0.5, 0.6, 0.7))
    add_curve(run, "bad", (0.2, 0.3, 0.4))
    first = ranked(run)
    assert across_table([first]) is None
    second = replace(first, task="other", standings=first.standings[:1])
    table = across_table([first, second])
    assert table.headers == ["sampler", "mean rank", "tasks", "quiz", "other"]
    assert table.rows == [["good", "1.0", "2", "1 (1)", "1 (1)"], ["bad", "2.0", "1", "2 (2)", "–"]]
    assert table.values[1] == ["bad", 2.0, 1, 2, None]
    assert "### All tasks" in ranking_markdown([first, second])


def test_a_damaged_cell_is_left_out_and_named(run):
    add_curve(run, "a", (0.2, 0.4, 0.6))
    add_curve(run, "b", (0.3, 0.4, 0.6))
    table = named(run)
    row = table[(table["label"] == "a") & (table["setting"] == "steps=2")].iloc[0]
    scores = Path(row["folder"]) / "scores" / "s.jsonl"
    scores.write_text("damage\n" + scores.read_text())
    found = rank(table, ACCURACY, resamples=200)
    assert len(found.standings) == 2
    (why,) = found.left_out.values()
    assert "s.jsonl, line 1" in why


def test_lower_is_better_and_unknown_errors_are_not_ranked(run):
    for sampler, factor, stderr in (("a", 2.0, 0.1), ("b", 1.0, 0.1), ("c", 0.5, None)):
        for steps in (2, 8):
            add_cell(run, {"x": 1.0}, sampler, steps, metrics={"fid": MetricValue(factor * 8 / steps, 1, stderr)})
    found = ranked(run, DISTANCE)
    assert [(each.label, each.rank) for each in found.standings] == [("b", 1), ("a", 2)]
    assert found.unranked == {"c": "the standard error of a setting is unknown"}
    assert found.basis == "stored standard errors"
    (pair,) = found.pairs
    assert (pair.difference > 0) == (pair.first == "b")
    assert pair.p < 1e-6


@pytest.mark.parametrize("seed", range(30))
def test_labels_share_a_letter_exactly_where_they_are_not_different(seed):
    rng = np.random.default_rng(seed)
    labels = [f"s{i}" for i in range(rng.integers(1, 8))]
    different = [pair for pair in itertools.combinations(labels, 2) if rng.random() < 0.5]
    letters = {label: set(text.split()) for label, text in tie_groups(labels, different).items()}
    assert all(letters.values())
    for pair in itertools.combinations(labels, 2):
        assert (pair in different) == (not letters[pair[0]] & letters[pair[1]])
    assert "a" in letters[labels[0]]


def test_tables_say_the_same_in_words_and_numbers(run):
    add_curve(run, "<b>rises</b>", (0.4, 0.5, 0.7))
    add_curve(run, "falls_&_falls", (0.7, 0.4, 0.2))
    rankings = rank_all(cell_frame(run), {"quiz": QUIZ}, resamples=1000)
    text = ranking_markdown(rankings)
    assert "<b>" not in text
    assert "setting: significantly better for \\<b\\>rises\\</b\\>; significantly worse for falls\\_&\\_falls." in text
    frame = ranking_frame(rankings)
    assert list(frame["rank"]) == [1, 2]
    assert (frame["schema"] == 2).all()
    content = decode(ranking_json(rankings).encode())
    assert content["schema"] == 2
    standing = content["rankings"][0]["standings"][0]
    assert standing["quality"]["value"] == frame["quality"][0]
    latex = ranking_latex(rankings)
    assert r"falls\_\&\_falls" in latex
    assert "$-$" in latex
    assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") == 1
    assert frame["aup"].notna().all()
