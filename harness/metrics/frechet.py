"""Fréchet distance between Gaussians, the formula of FID (Heusel et al. 2017), in float64 and without `sqrtm`."""

from __future__ import annotations

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
    return float(_distances(mu1, _root(sigma1), np.trace(sigma1), mu2[None], sigma2[None])[0])


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
