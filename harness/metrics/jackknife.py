"""The jackknife: a standard error for statistics of a whole set that are no mean over it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def jackknife_error(left_out: NDArray[np.floating]) -> float:
    """Standard error from the n values of a statistic, each with one sample left out; a common offset is irrelevant."""
    return float(np.sqrt((len(left_out) - 1) * np.var(left_out)))
