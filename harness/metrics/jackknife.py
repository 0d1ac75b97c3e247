"""The jackknife: how statistics of a whole set vary that are no mean over it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness.task import SetMetric


def jackknife_error(left_out: NDArray[np.floating]) -> float:
    """Standard error from the n values of a statistic, each with one sample left out; a common offset is irrelevant."""
    return float(np.sqrt((len(left_out) - 1) * np.var(left_out)))


def jackknife(value: float, left_out: NDArray[np.floating], floor: float | None = None) -> SetMetric:
    """A statistic of n samples from its `value` and its values with each sample left out (n,).

    Its parts are Tukey's pseudo-values, moved so that their mean is the value itself: the jackknife's correction of the
    bias is not made.
    """
    parts = value + (len(left_out) - 1) * (left_out.mean() - left_out)
    return SetMetric(value, jackknife_error(left_out), floor, parts.tolist())
