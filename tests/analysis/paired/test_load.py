"""From stored scores to matrices on common documents."""

import math

import numpy as np
import pytest
from stored_run import ACCURACY, DISTANCE, add_cell, named, new_run, paired

from harness.analysis.paired.load import load
from harness.analysis.paired.resample import resample
from harness.store import CellStore, MetricValue


@pytest.fixture
def run(tmp_path):
    return new_run(tmp_path / "run")


def scores(count, value=1.0):
    return {f"{i:03d}": value for i in range(count)}


def test_only_documents_that_all_have_are_compared_and_samples_are_averaged(run):
    add_cell(
        run, {"a": [True, False], "b": True, "c": False, "x": True}, "one", 4, nfe={"a": 3, "b": 5, "c": 7, "x": 9}
    )
    add_cell(run, {"y": True, "c": True, "b": None, "a": False}, "two", 4)
    found = paired(run)
    assert found.documents == ("a", "c")
    assert found.labels == ("one", "two")
    np.testing.assert_array_equal(found.values[:, 0], [[0.5, 0], [0, 1]])
    np.testing.assert_array_equal(found.costs, [[3, 7], [4, 4]])


def test_a_cell_with_less_than_half_of_the_documents_is_named_and_left_out(run):
    add_cell(run, scores(10), "one", 2)
    add_cell(run, scores(5), "two", 2)
    add_cell(run, scores(4), "two", 4)
    found = paired(run)
    assert (found.labels, len(found.documents)) == (("one", "two"), 5)
    assert found.left_out == {"two @ steps=4, seed 0": "has 4 of 10 documents"}


def test_seeds_in_common_are_kept_apart_and_without_any_each_setting_is_a_mean(run):
    for seed in (0, 1, 2):
        add_cell(run, scores(4, seed), "one", 2, seed=seed)
    for seed in (1, 2):
        add_cell(run, scores(4, 10 + seed), "two", 2, seed=seed)
    found = paired(run)
    assert found.seeds == (1, 2)
    np.testing.assert_array_equal(found.values[:, :, 0], [[1, 2], [11, 12]])
    add_cell(run, scores(4, 7), "three", 2, seed=9)
    found = paired(run)
    assert found.seeds == ()
    np.testing.assert_array_equal(found.values[:, :, 0], [[1], [7], [11.5]])


def test_clusters_and_strata_come_with_the_scores(run):
    groups = {"000": {"cluster": "x"}, "002": {"cluster": "x"}, "003": {"stratum": "t"}}
    add_cell(run, scores(4), "one", 2, groups=groups)
    cell = CellStore.open(next(run.root.glob("cells/*")))
    assert cell.read_groups("s") == groups
    assert cell.read_scores("s")[("000", 0)] == {"accuracy": 1.0}
    design = paired(run).design
    assert design.cluster.tolist() == [0, 1, 0, 2]
    assert len(set(design.stratum[[0, 1]])) == 1
    assert design.stratum[2] != design.stratum[0]


def test_what_cannot_be_averaged_is_left_out_with_the_reason(run):
    add_cell(run, {"a": 1.0, "b": math.inf}, "endless", 2)
    add_cell(run, {"a": None, "b": math.nan}, "unknown", 2)
    add_cell(run, scores(2), "free", None, nfe=0)
    add_cell(run, {"a": 1.0, "b": 0.0}, "one", 2)
    found = paired(run)
    assert found.labels == ("one",)
    assert {name.split(" @ ")[0]: why for name, why in found.left_out.items()} == {
        "endless": "accuracy is infinite for some documents",
        "unknown": "accuracy is unknown",
        "free": "nfe is unknown",
    }
    assert paired(run, axis="flops") is None


def test_cells_that_look_alike_are_not_mixed(run):
    add_cell(run, {"a": 1.0}, "eb", 2)
    add_cell(run, {"a": 0.0}, "eb", 4)  # its knob is not `steps`: both have the setting gamma=none
    found = paired(run)
    assert found.values.shape == (1, 1, 1)
    (name,) = found.left_out
    assert name.startswith("eb @ gamma=none, seed 0, cell ")


def test_without_a_common_document_there_is_nothing(run):
    add_cell(run, {"a": 1.0}, "one", 2)
    add_cell(run, {"b": 1.0}, "two", 2)
    assert paired(run) is None
    assert load(named(run).iloc[:0], ACCURACY).rows.empty


def test_a_metric_of_the_set_varies_by_its_stored_error_and_needs_equal_sets(run):
    for sampler, count in (("one", 20), ("two", 20), ("three", 19)):
        add_cell(run, scores(count), sampler, 2, metrics={"fid": MetricValue(5.0, count, 0.25)})
    add_cell(run, scores(20), "four", 2, metrics={"fid": MetricValue(7.0, 20, None)})
    found = paired(run, DISTANCE)
    assert found.left_out == {"three @ steps=2, seed 0": "has 19 of 20 documents"}
    resampled = resample(found, 4000)
    names = list(found.labels)
    one, two, four = (resampled.quality[:, names.index(name)] for name in ("one", "two", "four"))
    assert (one[0], four[0]) == (5, 7)
    assert one[1:].std() == pytest.approx(0.25, rel=0.05)
    assert abs(np.corrcoef(one[1:], two[1:])[0, 1]) < 0.05
    assert np.isnan(four[1:]).all()


def test_a_metric_of_the_set_with_parts_for_all_cells_is_paired_by_them(run):
    rng = np.random.default_rng(0)
    shared = rng.standard_normal(50)
    for sampler in ("one", "two"):
        parts = 5 + shared + 0.1 * rng.standard_normal(50)
        parts += 5 - parts.mean()
        fid = {"fid": MetricValue(5.0, 50, float(parts.std() / np.sqrt(50)))}
        add_cell(run, scores(50), sampler, 2, metrics=fid, parts={"fid": parts})
    found = paired(run, DISTANCE)
    assert (found.basis, found.stderrs) == ("resampled parts of documents", None)
    one, two = resample(found, 4000).quality.T
    assert one[0] == two[0] == 5
    assert one[1:].std() == pytest.approx(1 / np.sqrt(50), rel=0.2)
    assert (one - two)[1:].std() < 0.2 * one[1:].std()
    add_cell(run, scores(50), "three", 2, metrics=fid)  # scored before there were parts
    assert paired(run, DISTANCE).basis == "stored standard errors"
