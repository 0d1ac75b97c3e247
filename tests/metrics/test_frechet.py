"""Fréchet distance against closed forms and against torchmetrics."""

import numpy as np
import pytest
import torch

from harness.metrics.frechet import frechet_distance, frechet_jackknife, frechet_to_few, gaussian_statistics


def gaussian(rng, size):
    mixing = rng.normal(size=(size, size))
    return rng.normal(size=size), mixing @ mixing.T / size


def test_diagonal_gaussians_have_a_closed_form():
    rng = np.random.default_rng(0)
    a, b = rng.uniform(0.1, 4, 6), rng.uniform(0.1, 4, 6)
    mu1, mu2 = rng.normal(size=6), rng.normal(size=6)
    expected = ((mu1 - mu2) ** 2).sum() + ((np.sqrt(a) - np.sqrt(b)) ** 2).sum()
    assert frechet_distance(mu1, np.diag(a), mu2, np.diag(b)) == pytest.approx(expected, rel=1e-12)


def test_commuting_gaussians_have_a_closed_form():
    rng = np.random.default_rng(1)
    basis, _ = np.linalg.qr(rng.normal(size=(8, 8)))
    a, b = rng.uniform(0, 4, 8), rng.uniform(0, 4, 8)
    a[:3] = 0  # singular, as covariances of few samples are
    expected = ((np.sqrt(a) - np.sqrt(b)) ** 2).sum()
    got = frechet_distance(np.zeros(8), (basis * a) @ basis.T, np.zeros(8), (basis * b) @ basis.T)
    assert got == pytest.approx(expected, rel=1e-7)


def test_two_by_two_covariances_have_a_closed_form():
    # tr (A B)^½ = √(tr AB + 2 √det AB) for positive 2 x 2 matrices.
    rng = np.random.default_rng(2)
    (mu1, a), (mu2, b) = gaussian(rng, 2), gaussian(rng, 2)
    root = np.sqrt(np.trace(a @ b) + 2 * np.sqrt(np.linalg.det(a) * np.linalg.det(b)))
    expected = ((mu1 - mu2) ** 2).sum() + np.trace(a + b) - 2 * root
    assert frechet_distance(mu1, a, mu2, b) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("count", [2, 5, 8, 30])
def test_few_rows_are_as_far_as_their_statistics(count):
    rng = np.random.default_rng(count)
    rows, (mu, sigma) = rng.normal(size=(count, 8)), gaussian(rng, 8)
    expected = frechet_distance(mu, sigma, *gaussian_statistics(rows))
    assert frechet_to_few(mu, sigma, rows) == pytest.approx(expected, rel=1e-6)


def test_it_is_a_symmetric_distance():
    rng = np.random.default_rng(3)
    one, two = gaussian(rng, 12), gaussian(rng, 12)
    assert frechet_distance(*one, *two) == pytest.approx(frechet_distance(*two, *one), rel=1e-10)
    assert frechet_distance(*one, *one) == pytest.approx(0, abs=1e-10)


def test_features_as_torchmetrics_has_it():
    from torchmetrics.image.fid import FrechetInceptionDistance

    class Features(torch.nn.Module):
        num_features = 16

        def forward(self, images):
            return images.flatten(1)

    rng = np.random.default_rng(4)
    real = rng.normal(size=(200, 16)) @ rng.normal(size=(16, 16))
    generated = rng.normal(0.3, 1.5, size=(90, 16))
    metric = FrechetInceptionDistance(feature=Features(), input_img_size=(1, 4, 4)).set_dtype(torch.float64)
    for features, is_real in ((real, True), (generated, False)):
        metric.update(torch.from_numpy(features).view(-1, 1, 4, 4), real=is_real)
    ours = frechet_distance(*gaussian_statistics(real), *gaussian_statistics(generated))
    assert ours == pytest.approx(metric.compute().item(), rel=1e-6)


@pytest.mark.parametrize("count", [9, 40])
def test_jackknife_leaves_out_one_row_at_a_time(count):
    rng = np.random.default_rng(5)
    features = rng.normal(size=(count, 12)).astype(np.float32)
    mu, sigma = gaussian(rng, 12)
    expected = [
        frechet_distance(mu, sigma, *gaussian_statistics(np.delete(features, row, axis=0))) for row in range(count)
    ]
    np.testing.assert_allclose(frechet_jackknife(features, mu, sigma), expected, rtol=1e-6)


@pytest.mark.parametrize("shape", [(1, 4), (4,)])
def test_too_few_features_are_refused(shape):
    with pytest.raises(ValueError, match="n >= 2"):
        gaussian_statistics(np.zeros(shape))
