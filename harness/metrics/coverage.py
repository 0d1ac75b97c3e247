"""Coverage: the share of real data that has a generated neighbour (Naeem et al. 2020)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness.metrics.jackknife import jackknife_error


def coverage(real: NDArray[np.floating], generated: NDArray[np.floating], *, nearest: int = 5) -> tuple[float, float]:
    """Share of the real features (m, d) whose ball holds a generated one (n, d), and its jackknife standard error.

    The ball of a real row reaches to its `nearest`-th neighbour among the other real rows. Unlike a distance between
    Gaussians it sees a mode that is missing, and unlike recall no generated outlier inflates it. It grows with n / m.
    """
    from scipy.spatial.distance import cdist  # type: ignore[import-untyped]

    if len(real) <= nearest:
        raise ValueError(f"expected more than {nearest} real rows, got {len(real)}")
    radius = np.partition(cdist(real, real), nearest, axis=1)[:, nearest]
    inside = cdist(real, generated) < radius[:, None]
    # A ball that one generated row alone covers is lost when that row is left out.
    alone = inside[inside.sum(axis=1) == 1].sum(axis=0)
    return float(inside.any(axis=1).mean()), jackknife_error(-alone / len(real))
