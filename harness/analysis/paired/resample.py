"""All settings of a panel under the same resamples: their quality and their cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.analysis.paired.bootstrap import RESAMPLES, Array, resampled_means, seed_shifts
from harness.analysis.paired.estimators import Curve, sorted_curve
from harness.analysis.paired.load import Paired

_METRIC_OF_SET, _SEEDS = 1, 2
"""Streams of random numbers beside that of the documents."""


@dataclass(frozen=True)
class Resampled:
    """`quality` and `cost` (1 + R, K) of the K settings of `paired`; row 0 is what was measured."""

    paired: Paired
    quality: Array
    cost: Array

    def curve(self, places: Sequence[int]) -> Curve:
        """The curve of the settings at these places among the K."""
        return sorted_curve(self.cost[:, places], self.quality[:, places])


def resample(paired: Paired, resamples: int = RESAMPLES, seed: int = 0) -> Resampled:
    """Documents and, where there are several, seeds, with replacement.

    A metric of the whole set is no mean over documents, and most are biased on resampled sets (a Fréchet distance
    rises where images repeat). It varies around its value by the mean of its resampled parts, which is its linear
    approximation; where there are none, by its stored standard error (normal, independent between settings), unknown
    (NaN) where that is.
    """
    settings = len(paired.settings)
    values = paired.values.mean(axis=1)
    means = resampled_means(np.concatenate([values, paired.costs]).T, paired.design, resamples, seed)
    quality, cost = means[:, :settings], means[:, settings:]
    if paired.stderrs is None:
        quality += seed_shifts(paired.values, resamples, seed + _SEEDS)
    else:
        noise = np.random.default_rng(seed + _METRIC_OF_SET).standard_normal((resamples, settings))
        quality[1:] += noise * paired.stderrs
    if paired.of_set is not None:
        quality += paired.of_set - quality[0]
    return Resampled(paired, quality, cost)
