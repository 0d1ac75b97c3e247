"""Sums of features against numpy's mean and covariance, however they are cut up."""

import numpy as np
import pytest

from harness.metrics import moments
from harness.metrics.frechet import frechet_distance, gaussian_statistics
from harness.metrics.moments import Moments


def features(count, width=6, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(count, width)) @ rng.normal(size=(width, width)) + 3).astype(np.float32)


def test_a_stream_of_blocks_has_the_moments_of_the_whole(monkeypatch):
    rows = features(103)
    monkeypatch.setattr(moments, "BLOCK", 10)
    found = Moments.of(rows)
    mean, covariance = gaussian_statistics(rows)
    np.testing.assert_allclose(found.mean, mean, rtol=1e-10)
    np.testing.assert_allclose(found.covariance, covariance, rtol=1e-9)


def test_parts_merge_and_split_whatever_their_order():
    rows, other = features(90), features(40, seed=1)
    whole = Moments.of(rows)
    parts = [Moments.of(rows[start:stop]) for start, stop in ((50, 90), (0, 1), (1, 50))]
    merged = parts[0] + parts[1] + parts[2]
    assert merged.count == 90
    np.testing.assert_allclose(merged.covariance, whole.covariance, rtol=1e-9)
    left = whole - parts[0]
    np.testing.assert_allclose(left.covariance, np.cov(rows[:50], rowvar=False), rtol=1e-9)
    streamed = frechet_distance(merged.mean, merged.covariance, *gaussian_statistics(other))
    at_once = frechet_distance(*gaussian_statistics(rows), *gaussian_statistics(other))
    assert streamed == pytest.approx(at_once, rel=1e-9)


def test_one_row_has_no_covariance():
    with pytest.raises(ValueError, match="at least two features, got 1"):
        _ = Moments.of(features(1)).covariance
