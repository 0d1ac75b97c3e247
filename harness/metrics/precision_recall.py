"""Precision and recall of a set of samples (Kynkäänniemi et al. 2019): how much looks real, and how much is missed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness.metrics.jackknife import jackknife_error


def precision_recall(
    real: NDArray[np.floating], generated: NDArray[np.floating], *, nearest: int = 3
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Each with a standard error, from features (m, d) and (n, d) with m, n > `nearest`.

    Precision is the share of generated rows within the ball of a real one, which reaches to its `nearest`-th neighbour
    among the other real rows; its error is that of a mean. Recall is the same with the sets exchanged, so that its
    balls grow where there are few generated rows: compare it at equal n. Its jackknife error leaves out balls and keeps
    the radii of the others.
    """
    from scipy.spatial.distance import cdist  # type: ignore[import-untyped]

    if min(len(real), len(generated)) <= nearest:
        raise ValueError(f"expected more than {nearest} rows each, got {len(real)} and {len(generated)}")
    between = cdist(real, generated)
    found = (between < _radii(cdist(real, real), nearest)[:, None]).any(axis=0)
    precision = float(found.mean())
    covers = between < _radii(cdist(generated, generated), nearest)
    # A real row within one ball alone is lost when that ball is left out.
    alone = covers[covers.sum(axis=1) == 1].sum(axis=0)
    recall = float(covers.any(axis=1).mean())
    error = float(np.sqrt(precision * (1 - precision) / (len(generated) - 1)))
    return (precision, error), (recall, jackknife_error(-alone / len(real)))


def _radii(distances: NDArray[np.floating], nearest: int) -> NDArray[np.floating]:
    """(n,) distance of each row to its `nearest`-th neighbour, of distances (n, n) within a set."""
    radii: NDArray[np.floating] = np.partition(distances, nearest, axis=1)[:, nearest]
    return radii
