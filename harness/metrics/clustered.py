"""A mean whose items come in groups that are not independent of each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.task import SetMetric


def clustered_mean(totals: Sequence[float], counts: Sequence[int]) -> SetMetric:
    """Mean over all items of all clusters, from each cluster's sum (`totals`) and number of items (`counts`).

    The standard error is the linearised one of a ratio of two sums, with clusters as the independent draws
    (Cochran, Sampling Techniques, 1977, chapter 6). With one item a cluster it is the usual s / √n; for a single
    cluster it is None.
    """
    total, count = np.asarray(totals, dtype=np.float64), np.asarray(counts, dtype=np.float64)
    clusters, items = len(count), count.sum()
    if items == 0:
        raise ValueError("the mean of no items is undefined")
    mean = total.sum() / items
    if clusters == 1:
        return SetMetric(value=float(mean))
    spread = ((total - mean * count) ** 2).sum()
    return SetMetric(value=float(mean), stderr=float(np.sqrt(clusters / (clusters - 1) * spread) / items))
