"""Kernel distance (KID, Bińkowski et al. 2018) of features, by torchmetrics."""

from __future__ import annotations

import warnings

import numpy as np
import torch
from numpy.typing import NDArray


def kernel_distance(
    real: NDArray[np.floating],
    generated: NDArray[np.floating],
    *,
    subsets: int = 100,
    subset_size: int = 100,
    seed: int = 0,
) -> tuple[float, float]:
    """Unbiased squared MMD of features (m, d) and (n, d) under the cubic polynomial kernel, and its standard error.

    The mean over `subsets` random pairs of subsets of equal size s, drawn from `seed` alone, with s at most
    `subset_size`, n / 2 and m / 2. The error is their spread times √(s / (n − s)), the delete-d jackknife (Shao & Wu
    1989); the draws of real rows add to it, so it is rather too large. n and m are at least 4.
    """
    from torchmetrics.image.kid import KernelInceptionDistance

    count = len(generated)
    size = min(subset_size, len(real) // 2, count // 2)
    if size < 2:
        raise ValueError(f"expected at least 4 rows of features, got {len(real)} and {count}")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Metric `Kernel Inception Distance` will save", category=UserWarning)
        # Features go in where torchmetrics expects images.
        metric = KernelInceptionDistance(feature=torch.nn.Identity(), subsets=subsets, subset_size=size)
    metric.update(torch.from_numpy(np.asarray(real, dtype=np.float64)), real=True)
    metric.update(torch.from_numpy(np.asarray(generated, dtype=np.float64)), real=False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        mean, spread = metric.compute()
    return float(mean), float(spread) * float(np.sqrt(size / (count - size)))
