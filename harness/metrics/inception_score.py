"""Inception score (Salimans et al. 2016, arXiv:1606.03498), streaming."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from harness.metrics.moments import BLOCK

SPLITS = 10


def inception_score(probabilities: NDArray[np.floating], splits: int = SPLITS) -> tuple[float, float]:
    """exp of the mean KL divergence of a picture's classes from those of all, and its standard error.

    `probabilities` (n, C) are cut into `splits` runs of rows, as in the original code; the score is the mean of theirs,
    and the error that of this mean. It falls with the length of a run: compare it at equal n.
    """
    if len(probabilities) < 2 * splits:
        raise ValueError(f"{splits} splits need at least {2 * splits} rows, got {len(probabilities)}")
    edges = [len(probabilities) * split // splits for split in range(splits + 1)]
    scores = [_score(probabilities[start:stop]) for start, stop in pairwise(edges)]
    return float(np.mean(scores)), float(np.std(scores, ddof=1) / np.sqrt(splits)) if splits > 1 else float("nan")


def _score(probabilities: NDArray[np.floating]) -> float:
    total, inner = np.zeros(probabilities.shape[1]), 0.0
    for start in range(0, len(probabilities), BLOCK):
        block = np.asarray(probabilities[start : start + BLOCK], dtype=np.float64)
        total += block.sum(axis=0)
        inner += _x_log_x(block).sum()
    count = len(probabilities)
    return float(np.exp(inner / count - _x_log_x(total / count).sum()))


def _x_log_x(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(x > 0, x * np.log(np.where(x > 0, x, 1)), 0)
