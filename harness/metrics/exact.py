"""How far samples are from a distribution that is known exactly."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from harness.metrics.jackknife import jackknife
from harness.task import SetMetric


def total_variation(cells: Tensor, probabilities: Tensor) -> SetMetric:
    """Total variation ½ Σ_c |k_c / N − p_c| between empirical and true distribution, averaged over F features.

    Args:
        cells: (N, F) int64, the cell of each sample in each feature, N ≥ 2.
        probabilities: (F, C) float64, the true distribution of each feature over its cells.

    The standard error is the jackknife's over samples; close to the floor, where the absolute value is not smooth, it
    is up to twice too wide. The floor is the expected value for N exact samples.
    """
    count, features = cells.shape
    counts = torch.stack([torch.bincount(column, minlength=probabilities.shape[1]) for column in cells.T])
    value = 0.5 * (counts / count - probabilities).abs().sum(-1).mean()

    # Without sample n, all counts are over N − 1, and those of its own cells are one less.
    fewer = (counts / (count - 1) - probabilities).abs()
    change = ((counts - 1) / (count - 1) - probabilities).abs() - fewer
    own = change[torch.arange(features), cells].mean(-1)  # (N,)
    without = 0.5 * (fewer.sum(-1).mean() + own)
    return jackknife(float(value), without.double().numpy(), expected_total_variation(probabilities, count))


def expected_total_variation(probabilities: Tensor, count: int) -> float:
    """The mean `total_variation` of `count` exact samples; no simulation.

    A count is binomial, and E|k − np| = 2 ν (1 − p) P(k = ν) with ν = ⌊np⌋ + 1 (de Moivre, 1730; see Diaconis and
    Zabell, "Closed form summation for classical distributions", 1991).
    """
    p = probabilities.double()
    n = torch.tensor(float(count), dtype=torch.float64)
    v = (n * p).floor() + 1
    log_choose = torch.lgamma(n + 1) - torch.lgamma(v + 1) - torch.lgamma(n - v + 1)
    log_pmf = log_choose + torch.xlogy(v, p) + torch.special.xlog1py(n - v + 1, -p)  # times 1 − p already
    deviation = 2 * v * log_pmf.exp()
    return float(0.5 * deviation.sum(-1).mean() / count)


def chi_square(cells: Tensor, probabilities: Tensor) -> float:
    """p-value of Pearson's χ² test that `cells` (N,) int64 are draws from `probabilities` (C,).

    Cells with fewer than 5 expected draws are pooled, smallest first, until the pool has 5 as well. Raises ValueError
    where that leaves a single cell.
    """
    expected, order = (probabilities.double() * len(cells)).sort()
    observed = torch.bincount(cells, minlength=len(probabilities))[order].double()
    pooled = int((expected < 5).sum())
    if pooled:
        pooled = max(pooled, int((expected.cumsum(0) < 5).sum()) + 1)
        expected = torch.cat([expected[:pooled].sum(0, keepdim=True), expected[pooled:]])
        observed = torch.cat([observed[:pooled].sum(0, keepdim=True), observed[pooled:]])
    freedom = len(expected) - 1
    if freedom == 0:
        raise ValueError(f"{len(cells)} samples are too few: no two cells expect 5 each")
    statistic = ((observed - expected).square() / expected).sum()
    return float(torch.special.gammaincc(statistic.new_tensor(freedom / 2), statistic / 2))


class Enumerable(Protocol):
    """A distribution over token sequences that can be listed."""

    def enumerate(self) -> tuple[Tensor, Tensor]:
        """All sequences and their probabilities (space,)."""

    def index(self, tokens: Tensor) -> Tensor:
        """(N,) int64: the place of sequences (N, L) in that list."""


def goodness_of_fit(tokens: Tensor, joint: Enumerable) -> float:
    """p-value of the hypothesis that the sequences `tokens` (N, L) are samples of `joint`; see `chi_square`."""
    _, probabilities = joint.enumerate()
    return chi_square(joint.index(tokens), probabilities)
