"""Kernel distance against the unbiased estimator over whole sets, by scikit-learn's kernel."""

import numpy as np
import pytest
import torch
from sklearn.metrics.pairwise import polynomial_kernel

from harness.metrics.kernel import kernel_distance


def unbiased_mmd(x, y):
    def within(kernel):
        count = len(kernel)
        return (kernel.sum() - np.trace(kernel)) / (count * (count - 1))

    kernel = {
        (a, b): polynomial_kernel(p, q, degree=3, coef0=1)
        for a, p in zip("xy", (x, y), strict=True)
        for b, q in zip("xy", (x, y), strict=True)
    }
    return within(kernel["x", "x"]) + within(kernel["y", "y"]) - 2 * kernel["x", "y"].mean()


def sets(seed=0, shift=0.5, count=120):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(400, 8)), rng.normal(shift, 1.0, size=(count, 8))


def test_mean_over_subsets_estimates_the_whole():
    real, generated = sets()
    value, _ = kernel_distance(real, generated, subsets=2000, subset_size=50)
    assert value == pytest.approx(unbiased_mmd(real, generated), rel=0.02)


def test_standard_error_is_that_of_repeated_sets():
    real, _ = sets()
    runs = [kernel_distance(real, sets(seed, count=120)[1]) for seed in range(1, 41)]
    spread = np.std([value for value, _ in runs], ddof=1)
    claimed = np.mean([error for _, error in runs])
    assert 0.7 * spread < claimed < 2 * spread


def test_seed_decides_and_the_global_generator_is_left_alone():
    real, generated = sets()
    before = torch.get_rng_state()
    assert kernel_distance(real, generated) == kernel_distance(real, generated)
    assert kernel_distance(real, generated) != kernel_distance(real, generated, seed=1)
    assert torch.equal(before, torch.get_rng_state())


def test_too_few_rows_are_refused():
    with pytest.raises(ValueError, match="at least 4"):
        kernel_distance(*sets(count=3))
