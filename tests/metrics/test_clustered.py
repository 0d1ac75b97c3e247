"""The clustered mean against scipy and against what a repeated item must not change."""

import numpy as np
import pytest
from scipy.stats import sem

from harness.metrics.clustered import clustered_mean


def test_single_items_give_the_usual_standard_error():
    values = np.random.default_rng(0).normal(size=50)
    metric = clustered_mean(values.tolist(), [1] * 50)
    assert metric.value == pytest.approx(values.mean())
    assert metric.stderr == pytest.approx(sem(values))


def test_copies_inside_a_cluster_add_no_certainty():
    totals, counts = [1.0, 0.0, 2.0, 1.0], [2, 1, 3, 1]
    once = clustered_mean(totals, counts)
    twice = clustered_mean([2 * each for each in totals], [2 * each for each in counts])
    assert (once.value, once.stderr) == pytest.approx((twice.value, twice.stderr))


def test_unequal_clusters_match_a_simulation():
    # 4,000 data sets of 60 clusters: the spread of the means is what the standard error estimates.
    rng = np.random.default_rng(1)
    means, errors = [], []
    for _ in range(4000):
        counts = rng.integers(1, 4, size=60)
        rates = rng.beta(1, 1, size=60)
        metric = clustered_mean(rng.binomial(counts, rates).tolist(), counts.tolist())
        means.append(metric.value)
        errors.append(metric.stderr)
    assert np.mean(errors) == pytest.approx(np.std(means), rel=0.05)


def test_one_cluster_has_no_standard_error():
    assert clustered_mean([3.0], [4]).value == 0.75
    assert clustered_mean([3.0], [4]).stderr is None


def test_no_items_is_an_error():
    with pytest.raises(ValueError, match="no items"):
        clustered_mean([], [])
