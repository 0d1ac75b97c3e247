"""Precision and recall against scikit-learn's neighbours, and on sets whose faults are known."""

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from harness.metrics.jackknife import jackknife_error
from harness.metrics.precision_recall import precision_recall


def share_within(centres, points, nearest):
    """The share of `points` that lie in a ball around one of the `centres`."""
    radius = NearestNeighbors(n_neighbors=nearest).fit(centres).kneighbors()[0][:, -1]
    distance, index = NearestNeighbors(n_neighbors=len(centres)).fit(centres).kneighbors(points)
    return (distance < radius[index]).any(axis=1).mean()


@pytest.mark.parametrize("nearest", [1, 3])
def test_values_are_those_of_nearest_neighbours(nearest):
    rng = np.random.default_rng(0)
    real, made = rng.normal(size=(150, 4)), rng.normal(0.4, 0.8, size=(60, 4))
    (precision, _), (recall, _) = precision_recall(real, made, nearest=nearest)
    assert precision == share_within(real, made, nearest)
    assert recall == share_within(made, real, nearest)
    assert precision_recall(made, real, nearest=nearest)[0][0] == recall


def test_a_missing_mode_costs_recall_and_noise_costs_precision():
    rng = np.random.default_rng(1)
    real = np.concatenate([rng.normal(size=(100, 2)), rng.normal(20, 1, size=(100, 2))])
    (precision, _), (recall, _) = precision_recall(real, rng.normal(size=(200, 2)))
    assert precision > 0.9
    assert 0.4 < recall <= 0.5
    (precision, _), _ = precision_recall(real, rng.uniform(-50, 50, size=(200, 2)))
    assert precision < 0.1


def test_standard_errors_are_those_of_a_mean_and_of_the_jackknife_at_fixed_radii():
    rng = np.random.default_rng(2)
    real, made = rng.normal(size=(80, 3)), rng.normal(0.5, 1, size=(25, 3))
    (precision, error), (_, of_recall) = precision_recall(real, made)
    assert error == pytest.approx(
        np.std(np.repeat([0, 1], [25 - round(25 * precision), round(25 * precision)]), ddof=1) / 5
    )
    radius = NearestNeighbors(n_neighbors=3).fit(made).kneighbors()[0][:, -1]
    inside = np.linalg.norm(real[:, None] - made, axis=2) < radius
    left_out = np.array([np.delete(inside, row, axis=1).any(axis=1).mean() for row in range(25)])
    assert of_recall == pytest.approx(jackknife_error(left_out))


def test_too_few_rows_are_refused():
    with pytest.raises(ValueError, match="more than 3 rows each, got 9 and 3"):
        precision_recall(np.zeros((9, 2)), np.zeros((3, 2)))
