"""Coverage against scikit-learn's neighbours and its expectation in Naeem et al. 2020."""

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from harness.metrics.coverage import coverage
from harness.metrics.jackknife import jackknife_error


def by_neighbours(real, generated, nearest):
    radius = NearestNeighbors(n_neighbors=nearest).fit(real).kneighbors()[0][:, -1]
    closest = NearestNeighbors(n_neighbors=1).fit(generated).kneighbors(real)[0][:, 0]
    return (closest < radius).mean()


@pytest.mark.parametrize("nearest", [1, 5])
def test_value_is_that_of_nearest_neighbours(nearest):
    rng = np.random.default_rng(0)
    real, generated = rng.normal(size=(150, 4)), rng.normal(0.4, 0.8, size=(60, 4))
    assert coverage(real, generated, nearest=nearest)[0] == by_neighbours(real, generated, nearest)


def test_expectation_for_equal_distributions():
    # Of the n + m − 1 others, the k nearest to a real row are all real with probability C(m − 1, k) / C(n + m − 1, k).
    count, other, nearest = 60, 30, 5
    missed = np.prod([(count - 1 - i) / (count + other - 1 - i) for i in range(nearest)])
    rng = np.random.default_rng(1)
    values = [
        coverage(rng.normal(size=(count, 3)), rng.normal(size=(other, 3)), nearest=nearest)[0] for _ in range(300)
    ]
    assert np.mean(values) == pytest.approx(1 - missed, abs=4 * np.std(values) / np.sqrt(len(values)))


def test_a_missing_mode_is_seen():
    rng = np.random.default_rng(2)
    real = np.concatenate([rng.normal(size=(50, 2)), rng.normal(20, 1, size=(50, 2))])
    assert coverage(real, rng.normal(size=(500, 2)))[0] <= 0.5


def test_standard_error_is_the_jackknife():
    rng = np.random.default_rng(3)
    real, generated = rng.normal(size=(80, 3)), rng.normal(size=(25, 3))
    left_out = np.array([coverage(real, np.delete(generated, row, axis=0))[0] for row in range(25)])
    assert coverage(real, generated)[1] == pytest.approx(jackknife_error(left_out))


def test_jackknife_of_a_mean_is_its_standard_error():
    sample = np.random.default_rng(4).normal(size=30)
    left_out = np.array([np.delete(sample, row).mean() for row in range(30)])
    assert jackknife_error(left_out) == pytest.approx(sample.std(ddof=1) / np.sqrt(30))


def test_too_few_real_rows_are_refused():
    with pytest.raises(ValueError, match="more than 5"):
        coverage(np.zeros((5, 2)), np.zeros((5, 2)))
