"""Total variation and χ² against scipy, closed forms, and repeated exact sampling."""

import pytest
import torch
from scipy import stats

from harness.metrics.exact import chi_square, expected_total_variation, goodness_of_fit, total_variation
from harness.models.exact import chain, parity


def draws(probabilities, count, seed):
    """(count, F) cells, each feature drawn on its own."""
    generator = torch.Generator().manual_seed(seed)
    return torch.multinomial(probabilities, count, replacement=True, generator=generator).T


@pytest.mark.parametrize("count", [2, 10, 1000])
def test_floor_is_the_mean_absolute_deviation_of_a_binomial(count):
    probabilities = torch.tensor([[0.5, 0.3, 0.19, 0.01], [1.0, 0.0, 0.0, 0.0], [0.25] * 4], dtype=torch.float64)
    k = torch.arange(count + 1).numpy()
    expected = sum(
        (abs(k - count * p) * stats.binom.pmf(k, count, p)).sum() / (2 * count)
        for p in probabilities.flatten().tolist()
    )
    assert expected_total_variation(probabilities, count) == pytest.approx(expected / 3, rel=1e-9)


def test_value_by_hand():
    cells = torch.tensor([[0], [0], [1], [2]])
    probabilities = torch.tensor([[0.25, 0.25, 0.25, 0.25]], dtype=torch.float64)
    assert total_variation(cells, probabilities).value == pytest.approx(0.25)


def test_value_averages_features():
    cells = torch.tensor([[0, 1], [0, 0], [0, 1], [0, 0]])
    probabilities = torch.tensor([[0.5, 0.5], [0.5, 0.5]], dtype=torch.float64)
    assert total_variation(cells, probabilities).value == pytest.approx(0.25)


def test_standard_error_is_the_jackknife():
    probabilities = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]], dtype=torch.float64)
    cells = draws(probabilities.flip(1), 30, seed=0)
    left_out = [total_variation(torch.cat([cells[:n], cells[n + 1 :]]), probabilities).value for n in range(30)]
    spread = torch.tensor(left_out, dtype=torch.float64).var(correction=0)
    found = total_variation(cells, probabilities)
    assert found.stderr == pytest.approx(float((29 * spread).sqrt()), rel=1e-9)
    parts = torch.tensor(found.parts, dtype=torch.float64)
    assert parts.mean() == pytest.approx(found.value)
    assert parts.std() / 30**0.5 == pytest.approx(found.stderr)
    assert parts[3] - parts[4] == pytest.approx(29 * (left_out[4] - left_out[3]))


def test_standard_error_is_the_spread_over_repetitions():
    joint, wrong = chain(vocab=4, length=8).joint, chain(vocab=4, length=8, seed=1).joint
    sets = wrong.sample(200 * 300, torch.Generator().manual_seed(0)).view(200, 300, 8)
    metrics = [total_variation(joint.pairs(tokens), joint.pair_probabilities()) for tokens in sets]
    spread = float(torch.tensor([metric.value for metric in metrics]).std())
    mean = sum(metric.stderr for metric in metrics) / len(metrics)
    assert mean == pytest.approx(spread, rel=0.2)


@pytest.mark.parametrize("model", [chain(vocab=3, length=5), parity(length=8)])
def test_exact_samples_reach_the_floor(model):
    joint = model.joint
    sets = joint.sample(100 * 500, torch.Generator().manual_seed(0)).view(100, 500, joint.length)
    _, whole = joint.enumerate()
    for cells, probabilities in (
        (joint.pairs, joint.pair_probabilities()),
        (lambda tokens: joint.index(tokens)[:, None], whole[None]),
    ):
        metrics = [total_variation(cells(tokens), probabilities) for tokens in sets]
        mean = sum(metric.value for metric in metrics) / len(metrics)
        assert mean == pytest.approx(metrics[0].floor, rel=0.05)


def test_lost_diversity_and_lost_structure_show():
    joint = chain().joint
    exact = joint.sample(1000, torch.Generator().manual_seed(0))
    mode = exact[joint.log_prob(exact).argmax()].expand_as(exact)
    shuffled = torch.stack([column[torch.randperm(1000)] for column in exact.T], dim=1)
    at_floor, *off = [total_variation(joint.pairs(x), joint.pair_probabilities()) for x in (exact, mode, shuffled)]
    assert at_floor.value < 1.3 * at_floor.floor
    assert all(metric.value > 5 * metric.floor for metric in off)


def test_chi_square_is_that_of_scipy():
    probabilities = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    cells = torch.tensor([0] * 45 + [1] * 38 + [2] * 17)
    assert chi_square(cells, probabilities) == pytest.approx(
        stats.chisquare([45, 38, 17], [50, 30, 20]).pvalue, rel=1e-9
    )


def test_chi_square_pools_rare_cells():
    # Expected 1, 3, 40, 56: the first two give 4, too few, so the third joins them.
    probabilities = torch.tensor([0.56, 0.01, 0.40, 0.03], dtype=torch.float64)
    cells = torch.tensor([0] * 60 + [1] * 4 + [2] * 34 + [3] * 2)
    assert chi_square(cells, probabilities) == pytest.approx(stats.chisquare([40, 60], [44, 56]).pvalue, rel=1e-9)


def test_chi_square_needs_two_cells():
    with pytest.raises(ValueError, match="too few"):
        chi_square(torch.tensor([0, 1, 1]), torch.tensor([0.5, 0.5]))


def test_goodness_of_fit_refuses_another_joint():
    joint, other = chain(vocab=3, length=4).joint, chain(vocab=3, length=4, seed=1).joint
    samples = other.sample(2000, torch.Generator().manual_seed(0))
    assert goodness_of_fit(samples, other) > 1e-3
    assert goodness_of_fit(samples, joint) < 1e-6
