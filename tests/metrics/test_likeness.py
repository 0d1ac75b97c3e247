"""FID and its like of features, against clean-fid's formula and against leaving out by hand."""

import warnings
from itertools import pairwise

import numpy as np
import pytest
from cleanfid.fid import frechet_distance as official

from harness.metrics import likeness as module
from harness.metrics.frechet import gaussian_statistics
from harness.metrics.likeness import likeness
from harness.metrics.moments import Moments
from harness.metrics.real_pictures import Real

WIDTH = 8


def features(count, seed, shift=0.0):
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(WIDTH, WIDTH))
    return (np.abs(rng.normal(size=(count, WIDTH)) @ mixing) + shift).astype(np.float32)


def real(rows):
    moments = Moments.of(rows)
    return Real(moments.mean, moments.covariance, rows, moments)


def clean_fid(a, b):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return official(*gaussian_statistics(a), *gaussian_statistics(b))


@pytest.mark.parametrize("count", [200, 2000])
def test_fid_is_clean_fids_on_the_same_features(count):
    made, reference = features(count, 0, shift=0.3), features(1500, 1)
    assert likeness(made, real(reference))["fid"].value == pytest.approx(clean_fid(made, reference), rel=1e-6)


def test_with_fewer_pictures_than_features_it_is_the_limit_of_clean_fids():
    """Which adds 1e-6 to covariances that are singular."""
    rng = np.random.default_rng(0)
    made, reference = rng.normal(size=(6, 20)), rng.normal(size=(300, 20))
    found = likeness(made.astype(np.float32), real(reference.astype(np.float32)))["fid"].value
    assert found == pytest.approx(clean_fid(made, reference), rel=1e-3)


def test_the_error_is_the_jackknifes_over_ten_groups():
    made, reference = features(64, 0, shift=0.2), features(500, 1)
    edges = [64 * group // 10 for group in range(11)]
    left_out = [clean_fid(np.delete(made, slice(start, stop), axis=0), reference) for start, stop in pairwise(edges)]
    error = np.sqrt(9 / 10 * ((left_out - np.mean(left_out)) ** 2).sum())
    assert likeness(made, real(reference))["fid"].stderr == pytest.approx(error, rel=1e-5)


def test_the_error_is_as_large_as_sets_differ():
    reference = real(features(4000, 1))
    alone = Real(reference.mean, reference.covariance)
    found = [likeness(features(300, seed, shift=0.3), alone)["fid"] for seed in range(2, 42)]
    spread = np.std([each.value for each in found], ddof=1)
    assert 0.5 < np.mean([each.stderr for each in found]) / spread < 2


def test_the_floor_is_real_pictures_against_the_others(monkeypatch):
    monkeypatch.setattr(module, "MOST", 300)
    reference = features(1000, 1)
    found = likeness(features(100, 0, shift=0.5), real(reference))
    order = np.random.default_rng(0).permutation(1000)
    expected = clean_fid(reference[np.sort(order[:100])], reference[order[100:]])
    assert found["fid"].floor == pytest.approx(expected, rel=1e-5)
    assert found["fid"].floor < found["fid"].value
    assert set(found) == {"fid", "kid", "precision", "recall"}
    assert abs(found["kid"].floor) < found["kid"].value
    assert found["precision"].floor > 0.5


def test_statistics_alone_give_the_distance_alone():
    reference = features(1000, 1)
    statistics = Real(*gaussian_statistics(reference))
    made = features(100, 0)
    found = likeness(made, statistics)
    assert set(found) == {"fid"}
    assert found["fid"].floor is None
    assert found["fid"].value == pytest.approx(likeness(made, real(reference))["fid"].value, rel=1e-9)


def test_small_sets_have_no_error():
    assert likeness(features(19, 0), real(features(50, 1)))["fid"].stderr is None
