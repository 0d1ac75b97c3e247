"""Points of curves: means, standard errors, labels, order."""

import math

import numpy as np
import pytest

from harness.analysis.curves import knob_value, mean_over_seeds, panels, points
from harness.errors import UserError


def test_seeds_without_errors_of_their_own_give_the_classic_standard_error():
    value, stderr = mean_over_seeds(np.array([0.4, 0.6]), np.array([np.nan, np.nan]))
    assert value == pytest.approx(0.5)
    assert stderr == pytest.approx(np.std([0.4, 0.6], ddof=1) / math.sqrt(2))


def test_identical_seeds_do_not_shrink_the_error():
    """A deterministic sampler gives the same outputs for each seed: nothing new was measured."""
    assert mean_over_seeds(np.array([0.5, 0.5, 0.5]), np.array([0.1, 0.1, 0.1])) == pytest.approx((0.5, 0.1))


def test_one_seed_keeps_its_own_error_and_an_unknown_value_counts_for_nothing():
    assert mean_over_seeds(np.array([np.nan, 0.3]), np.array([9.0, 0.2])) == pytest.approx((0.3, 0.2))
    assert all(map(math.isnan, mean_over_seeds(np.array([np.nan]), np.array([0.1]))))


def test_the_error_matches_the_spread_of_repeated_experiments():
    """Documents of differing difficulty, shared by the seeds: the mean squared stderr is the true variance."""
    rng = np.random.default_rng(0)
    documents, seeds, repeats = 50, 5, 4000
    difficulty = rng.normal(0, 1.0, (repeats, 1, documents))
    scores = difficulty + rng.normal(0, 0.7, (repeats, seeds, documents))
    cells = scores.mean(axis=2)
    errors = scores.std(axis=2, ddof=1) / math.sqrt(documents)
    found = [mean_over_seeds(*pair) for pair in zip(cells, errors, strict=True)]
    variance = np.mean([stderr**2 for _, stderr in found])
    assert np.mean([value for value, _ in found]) == pytest.approx(cells.mean())
    assert variance == pytest.approx(cells.mean(axis=1).var(), rel=0.1)
    assert variance == pytest.approx((1 + 0.49 / seeds) / documents, rel=0.05)  # in closed form


def test_a_point_is_the_mean_over_seeds_and_points_go_by_cost(cell, table_of):
    table = table_of(
        cell(nfe=16, tv=0.2, seed=0, documents=100, floor=0.1),
        cell(nfe=4, tv=0.9, seed=0),
        cell(nfe=16, tv=0.4, seed=1, documents=80, floor=0.3),
        cell(sampler="eb", nfe=30.0, tv=0.1, knob="gamma", params={"gamma": 0.01}, budget=math.nan),
        cell(sampler="eb", nfe=9.5, tv=0.3, knob="gamma", params={"gamma": 0.5}, budget=math.nan),
        cell(sampler="eb", nfe=math.nan, tv=0.5, knob="gamma", params={"gamma": 1.0}, budget=math.nan),
        cell(sampler="eb", nfe=3, tv=math.nan, knob="gamma", params={"gamma": 2.0}, budget=math.nan),
    )
    found = points(table, "exact", "pair_tv")
    assert list(found["setting"]) == ["gamma=0.5", "gamma=0.01", "gamma=1", "steps=4", "steps=16"]
    last = found.iloc[-1]
    assert (last["value"], last["seeds"], last["documents"]) == (pytest.approx(0.3), 2, 80)
    assert last["floor"] == pytest.approx(0.2)
    assert last["cost"] == 16
    assert points(table, "exact", "pair_tv", axis="token_forwards")["cost"].iloc[-1] == 256


def test_labels_name_the_parameters_that_differ_within_a_task(cell, table_of):
    table = table_of(
        *(
            cell(sampler="sequential", knob=None, params={"order": order, "same": 1}, budget=math.nan)
            for order in ("random", "confidence")
        ),
        *(cell(sampler="maskgit", params={"tau": tau}) for tau in (0.5, 4.5)),
        *(cell(sampler="margin", temperature=t) for t in (0.0, 1.0)),
        *(cell(sampler="eb", knob="gamma", params={"gamma": g}) for g in (0.1, 1.0)),
        *(cell(sampler="random", guidance=math.nan, model_args=args) for args in ("", "length=4")),
        cell(sampler="random", task="quiz", temperature=0.0, **{"metric.accuracy": 1.0}),
    )
    found = points(table, "exact", "pair_tv")
    assert set(found["label"]) == {
        "sequential (random)",
        "sequential (confidence)",
        "maskgit (tau=0.5)",
        "maskgit (tau=4.5)",
        "margin (temperature=0)",
        "margin (temperature=1)",
        "eb",
        "random",
    }
    assert set(found["model"]) == {"exact/chain", "exact/chain (length=4)"}
    assert list(points(table, "quiz", "accuracy")["label"]) == ["random"]


def test_cells_that_differ_in_anything_at_all_are_never_averaged(cell, table_of):
    same = {"task_args": "size=4", "dtype": "float32", "revision": None, "semantics": "a=1"}
    variants = [{}, {"task_args": "size=8"}, {"dtype": "bfloat16"}, {"revision": "abc"}, {"semantics": "a=2"}]
    table = table_of(
        *(cell(tv=i / 10, seed=s, **{**same, **v}) for i, v in enumerate(variants) for s in (0, 1)),
        cell(sampler="gone", knob=None, budget=1),
        cell(sampler="gone", knob=None, budget=2),
        cell(sampler="eb", **same),
        cell(sampler="eb", model="digits", **{**same, "revision": "def"}),
    )
    found = points(table, "exact", "pair_tv")
    mine = found[found["sampler"] == "random"]
    assert sorted(mine["value"]) == [0.0, 0.1, 0.2, 0.3, 0.4]
    assert set(mine["seeds"]) == {2}
    assert len(set(mine["label"])) == len(variants)
    assert list(found[found["sampler"] == "gone"]["setting"]) == ["steps=1", "steps=2"]
    assert list(found[found["sampler"] == "eb"]["label"]) == ["eb", "eb"]


def test_an_argument_of_the_task_that_moves_with_the_knob_is_a_part_of_the_setting(cell, table_of):
    moving = [cell(nfe=length / 2, task_args=f"max_tokens={length}") for length in (128, 256, 512)]
    found = points(table_of(*moving), "exact", "pair_tv")
    assert set(found["label"]) == {"random"}
    assert list(found["setting"]) == [
        "steps=64, max_tokens=128",
        "steps=128, max_tokens=256",
        "steps=256, max_tokens=512",
    ]
    assert [knob_value(setting) for setting in found["setting"]] == [64, 128, 256]
    # A second budget at one of the lengths: each length is a curve.
    found = points(table_of(*moving, cell(nfe=128, task_args="max_tokens=512")), "exact", "pair_tv")
    assert set(found["label"]) == {f"random (max_tokens={length})" for length in (128, 256, 512)}
    assert set(found["setting"]) == {"steps=64", "steps=128", "steps=256"}
    # Beside another option, in the same brackets.
    both = [cell(nfe=8, temperature=t, task_args=f"max_tokens={n}") for t in (0.0, 1.0) for n in (128, 256)]
    assert "random (temperature=1, max_tokens=128)" in set(points(table_of(*both), "exact", "pair_tv")["label"])


def test_arguments_that_all_cells_of_a_task_have_are_not_in_their_names(cell, table_of):
    cells = [cell(nfe=8, task_args=f"count=9,operation={name},seed=0") for name in ("copy", "sort")]
    assert set(points(table_of(*cells), "exact", "pair_tv")["label"]) == {
        "random (operation=copy)",
        "random (operation=sort)",
    }


def test_the_columns_of_the_store_with_missing_values_of_any_kind(cell, table_of):
    table = table_of(cell(protocol=None), cell(sampler="eb", knob=None, budget=None, protocol="default"))
    table["budget"] = table["budget"].astype("Int64")
    found = points(table, "exact", "pair_tv")
    assert list(zip(found["task"], found["setting"], strict=True)) == [("exact", ""), ("exact", "steps=8")]


def test_protocols_are_kept_apart(cell, table_of, tasks):
    table = table_of(cell(protocol="default", tv=0.1), cell(protocol="strict", tv=0.3))
    assert [(p.task, p.points["value"].item()) for p in panels(table, tasks)] == [
        ("exact", 0.1),
        ("exact@strict", 0.3),
    ]


def test_several_models_share_a_panel_and_several_metrics_have_their_own(cell, table_of, tasks):
    extra = {"metric.validity": 0.4}
    table = table_of(
        cell(model="a", tv=0.1, **extra),
        cell(model="b", tv=0.2, **extra),
        cell(model="b", sampler="eb", knob=None, budget=None, tv=0.3, **extra),
        cell(model="c", tv=0.4, **extra),
    )
    found = panels(table, tasks, metrics={"exact": ["pair_tv", "validity"]}, together={"b": "student", "a": "teacher"})
    assert [(panel.metric.key, panel.model) for panel in found] == [
        ("pair_tv", "b and a"),
        ("pair_tv", "c"),
        ("validity", "b and a"),
        ("validity", "c"),
    ]
    shared, alone = found[:2]
    assert dict(zip(shared.points["label"], shared.points["value"], strict=True)) == {
        "random, teacher": 0.1,
        "random, student": 0.2,
        "eb, student": 0.3,
    }
    assert list(alone.points["label"]) == ["random"]


def test_an_absent_metric_gives_no_points_and_a_wrong_axis_is_named(cell, table_of):
    table = table_of(cell())
    assert points(table, "exact", "validity").empty
    assert points(table, "other", "pair_tv").empty
    with pytest.raises(UserError, match=r"'nfes'.*Did you mean 'nfe'"):
        points(table, "exact", "pair_tv", axis="nfes")
