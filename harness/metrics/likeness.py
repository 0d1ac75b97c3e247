"""How like a set of pictures is to real ones, by their features: Fréchet and kernel distance, precision, recall."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from harness.metrics.frechet import frechet_distance, frechet_distances, frechet_to_few
from harness.metrics.jackknife import jackknife_error
from harness.metrics.kernel import kernel_distance
from harness.metrics.moments import Moments
from harness.metrics.precision_recall import precision_recall
from harness.metrics.real_pictures import Real
from harness.task import SetMetric

GROUPS = 10
"""Of pictures, each left out once for the error of the Fréchet distance."""
MOST = 10_000
"""Rows of each side that kernel distance, precision and recall look at, drawn by chance from a fixed seed."""
LEAST = 4
KID_SUBSET = 1000
NEAREST = 3

Rows = NDArray[np.float32]


def likeness(features: Rows, real: Real) -> dict[str, SetMetric]:
    """`fid`, and with real features `kid`, `precision` and `recall`, of features (n, d) with n of at least four.

    The floor is what real pictures reach in place of the generated ones: as many as these, or half of the real ones
    where there are fewer, against the others.
    """
    found = {"fid": _frechet(features, real)}
    if real.features is None or real.moments is None:
        return found
    found |= _by_rows(_some(features), _some(real.features))
    floors = _floors(real.features, real.moments, len(features))
    return {key: replace(metric, floor=floors.get(key)) for key, metric in found.items()}


def _frechet(features: Rows, real: Real) -> SetMetric:
    """The distance, and its error by the jackknife over groups of pictures that follow each other."""
    runs = list(pairwise(len(features) * group // GROUPS for group in range(GROUPS + 1)))
    if len(features) <= features.shape[1]:
        rows = [features, *(np.delete(features, slice(*run), axis=0) for run in runs)]
        distance, *left_out = (frechet_to_few(real.mean, real.covariance, each) for each in rows)
    else:
        groups = [Moments.of(features[start:stop]) for start, stop in runs]
        whole = sum(groups[1:], groups[0])
        sets = [whole, *(whole - group for group in groups)]
        told = ((each.mean, each.covariance) for each in sets)
        distance, *left_out = frechet_distances(real.mean, real.covariance, told)
    return SetMetric(distance, jackknife_error(np.array(left_out)) if len(features) >= 2 * GROUPS else None)


def _by_rows(ours: Rows, theirs: Rows) -> dict[str, SetMetric]:
    if min(len(ours), len(theirs)) < LEAST:
        return {}
    kid, error = kernel_distance(theirs, ours, subset_size=KID_SUBSET)
    precision, recall = precision_recall(theirs, ours, nearest=NEAREST)
    return {"kid": SetMetric(kid, error), "precision": SetMetric(*precision), "recall": SetMetric(*recall)}


def _floors(real: Rows, moments: Moments, count: int) -> dict[str, float]:
    """What real pictures reach against the other real pictures."""
    held_out = min(count, len(real) // 2)
    if held_out < LEAST:
        return {}
    order = np.random.default_rng(0).permutation(len(real))
    rows = real[np.sort(order[:held_out])]
    ours = Moments.of(rows)
    others = moments - ours
    if held_out <= real.shape[1]:
        distance = frechet_to_few(others.mean, others.covariance, rows)
    else:
        distance = frechet_distance(others.mean, others.covariance, ours.mean, ours.covariance)
    by_rows = _by_rows(_some(rows), real[np.sort(order[held_out:][:MOST])])
    return {"fid": distance, **{key: metric.value for key, metric in by_rows.items()}}


def _some(features: Rows) -> Rows:
    if len(features) <= MOST:
        return np.asarray(features)
    return features[np.sort(np.random.default_rng(0).choice(len(features), MOST, replace=False))]
