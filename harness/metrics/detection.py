"""How well a score finds the wrong tokens of a row: each number is that of one row, as a sampler re-masks row by row.

Scores are confidences: low = doubtful. Rows are short and many, so that comparing all pairs of a row at once is much
quicker than a library's call for each row.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]
Flags = NDArray[np.bool_]


def auroc(confidence: Scores, wrong: Flags) -> Scores:
    """(B,): the probability that a wrong token has less confidence than a right one, a tie counting half.

    `confidence` (B, N) of N tokens a row, `wrong` (B, N); every row has tokens of both kinds, else ValueError.
    """
    _check(wrong)
    wrong_one, other = confidence[:, :, None], confidence[:, None, :]
    pairs = wrong[:, :, None] & ~wrong[:, None, :]
    ahead = (wrong_one < other) + (wrong_one == other) / 2
    share: Scores = (ahead * pairs).sum(axis=(1, 2)) / pairs.sum(axis=(1, 2))
    return share


def average_precision(confidence: Scores, wrong: Flags) -> Scores:
    """(B,): mean over the wrong tokens of the share of wrong ones among all with at most as much confidence."""
    _check(wrong)
    chosen = confidence[:, None, :] <= confidence[:, :, None]  # (B, N, N): the second were taken along with the first
    precision = (chosen & wrong[:, None, :]).sum(axis=2) / chosen.sum(axis=2)
    mean: Scores = (precision * wrong).sum(axis=1) / wrong.sum(axis=1)
    return mean


def harm_rate(confidence: Scores, wrong: Flags) -> Scores:
    """(B,): share of right tokens among those re-masked, if the least confident are re-masked, as many as are wrong.

    Equal tokens are taken at random: the value is the expected one.
    """
    _check(wrong)
    count = wrong.sum(axis=1, keepdims=True)
    limit = np.take_along_axis(np.sort(confidence, axis=1), count - 1, axis=1)
    below, tied = confidence < limit, confidence == limit
    # The places that the tokens below leave go to tied ones at random.
    drawn = (count - below.sum(axis=1, keepdims=True)) / tied.sum(axis=1, keepdims=True)
    found = ((below + tied * drawn) * wrong).sum(axis=1)
    harm: Scores = 1 - found / count[:, 0]
    return harm


def _check(wrong: Flags) -> None:
    if not (wrong.any(axis=1) & ~wrong.all(axis=1)).all():
        raise ValueError("each row needs a wrong token and a right one")
