"""Fréchet distance between Gaussians, the formula of FID (Heusel et al. 2017), in float64 and without `sqrtm`."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def gaussian_statistics(features: NDArray[np.floating]) -> tuple[Array, Array]:
    """Mean (d,) and unbiased covariance (d, d), float64, of features (n, d) with n ≥ 2."""
    features = np.asarray(features, dtype=np.float64)
    if features.ndim != 2 or len(features) < 2:
        raise ValueError(f"expected features (n, d) with n >= 2, got shape {features.shape}")
    return features.mean(axis=0), np.atleast_2d(np.cov(features, rowvar=False, ddof=1))


def frechet_distance(mu1: Array, sigma1: Array, mu2: Array, sigma2: Array) -> float:
    """‖μ1 − μ2‖² + tr(Σ1 + Σ2 − 2 (Σ1 Σ2)^½) of means (d,) and covariances (d, d).

    (Σ1 Σ2)^½ has the eigenvalues of the symmetric (Σ1^½ Σ2 Σ1^½)^½: two symmetric eigendecompositions give its trace.
    They stay real and accurate for singular covariances, which fewer samples than features have.
    """
    return frechet_distances(mu1, sigma1, [(mu2, sigma2)])[0]


def frechet_distances(mu: Array, sigma: Array, others: Iterable[tuple[Array, Array]]) -> list[float]:
    """The distances of (`mu`, `sigma`) to each of other means and covariances, for little more than one eigenproblem
    each, and no more than one covariance in memory."""
    root, trace = _root(sigma), np.trace(sigma)
    return [float(_distances(mu, root, trace, mean[None], covariance[None])[0]) for mean, covariance in others]


def frechet_to_few(mu: Array, sigma: Array, features: NDArray[np.floating]) -> float:
    """The distance of (`mu`, `sigma`) to features (n, d), 2 ≤ n, quickly where n is less than d.

    With rows X less their mean, Σ' is XᵀX / (n − 1), and Σ^½ Σ' Σ^½ has the eigenvalues of the (n, n) X Σ Xᵀ / (n − 1),
    and zeros.
    """
    features = np.asarray(features, dtype=np.float64)
    mean = features.mean(axis=0)
    rows = (features - mean) / np.sqrt(len(features) - 1)
    values = np.linalg.eigvalsh(rows @ sigma @ rows.T).clip(min=0)
    return float(((mean - mu) ** 2).sum() + np.trace(sigma) + (rows**2).sum() - 2 * np.sqrt(values).sum())


def frechet_jackknife(features: NDArray[np.floating], mu: Array, sigma: Array) -> Array:
    """(n,) Fréchet distances to the Gaussian (`mu`, `sigma`) of features (n, d), leaving out each row once; n ≥ 3."""
    features = np.asarray(features, dtype=np.float64)
    count = len(features)
    mean, covariance = gaussian_statistics(features)
    centred = features - mean
    means = mean - centred / (count - 1)
    # Leaving out row x takes n / (n − 1) (x − μ)(x − μ)ᵀ from the scatter matrix.
    outer = centred[:, :, None] * centred[:, None, :]
    covariances = ((count - 1) * covariance - count / (count - 1) * outer) / (count - 2)
    return _distances(mu, _root(sigma), np.trace(sigma), means, covariances)


def _root(sigma: Array) -> Array:
    values, vectors = np.linalg.eigh(sigma)
    root: Array = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    return root


def _distances(mu: Array, root: Array, trace: float, means: Array, covariances: Array) -> Array:
    """(b,) distances of b Gaussians from the one with mean `mu`, root of covariance `root`, trace of it `trace`."""
    values = np.linalg.eigvalsh(root @ covariances @ root).clip(min=0)
    gap = ((means - mu) ** 2).sum(axis=-1)
    distances: Array = gap + trace + np.trace(covariances, axis1=-2, axis2=-1) - 2 * np.sqrt(values).sum(axis=-1)
    return distances
