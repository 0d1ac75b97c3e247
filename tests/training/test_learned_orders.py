"""The objectives of a learned order against exact values and exact gradients on a denoiser of five positions."""

import pytest
import torch
from exact_orders import LENGTH, LOG_RATES, TOKENS, VALUES, Lookup, by_enumeration, by_quadrature, by_subsets

from harness.models.tables.race import draw_orders, order_entropy, prefix_log_prob
from harness.training.orders import continuous_time, leave_one_out, order_space

ROWS, REPEATS = 2000, 200
VALUE_RATES = LOG_RATES[:3, None] + torch.tensor([[0.8, -0.3, -0.5], [0.0, 0.6, -0.6], [-0.7, 0.9, -0.2]]).double()


def estimates(objective, lookup, log_rates, tokens=TOKENS, repeats=REPEATS, **settings):
    """Mean and standard error over `repeats` of the value, and of the gradient in log w and in the denoiser."""
    torch.manual_seed(0)
    found = []
    for _ in range(repeats):
        rates = log_rates.clone().requires_grad_()
        lookup.logits = lookup.logits.detach().requires_grad_()
        value = objective(lookup, tokens.expand(ROWS, -1), rates, **settings).mean()
        gradients = torch.autograd.grad(value, [rates, lookup.logits])
        found.append(torch.cat([value.detach()[None], *(each.flatten() for each in gradients)]))
    found = torch.stack(found)
    return found.mean(0), found.std(0) / repeats**0.5


def exact(bound, lookup, log_rates, *args):
    """The same numbers without chance."""
    rates = log_rates.clone().requires_grad_()
    lookup.logits = lookup.logits.detach().requires_grad_()
    value = bound(lookup, rates, *args)
    gradients = torch.autograd.grad(value, [rates, lookup.logits])
    return torch.cat([value.detach()[None], *(each.flatten() for each in gradients)])


def deviations(found, truth):
    mean, stderr = found
    return (mean - truth)[stderr > 0] / stderr[stderr > 0]


def test_enumeration_and_dynamic_programming_agree():
    one, other = (exact(bound, Lookup(), LOG_RATES) for bound in (by_enumeration, by_subsets))
    torch.testing.assert_close(one, other, rtol=0, atol=1e-10)


@pytest.mark.parametrize("objective", [order_space, continuous_time])
def test_value_and_gradients_are_exact_in_the_mean(objective):
    """The value and its derivatives in w within three standard errors, those in the denoiser as normal numbers are."""
    truth, found = exact(by_subsets, Lookup(), LOG_RATES), estimates(objective, Lookup(), LOG_RATES)
    off = deviations(found, truth)
    assert off[: 1 + LENGTH].abs().max() < 3
    assert off.abs().max() < 4.5
    assert 0.7 < off.square().mean() < 1.4


def test_without_the_part_through_the_draw_the_gradient_is_wrong(monkeypatch):
    monkeypatch.setattr("harness.training.orders.leave_one_out", lambda value, _: sum(value.chunk(2)) / 2)
    truth, found = exact(by_subsets, Lookup(), LOG_RATES), estimates(order_space, Lookup(), LOG_RATES, repeats=50)
    off = deviations(found, truth)
    assert off[0].abs() < 3
    assert off[1 : 1 + LENGTH].abs().max() > 50


def test_order_space_has_the_lower_variance():
    one, other = (estimates(each, Lookup(), LOG_RATES, repeats=50)[1] for each in (order_space, continuous_time))
    assert (one[: 1 + LENGTH] < 0.7 * other[: 1 + LENGTH]).all()


@pytest.mark.parametrize("objective", [order_space, continuous_time])
def test_rates_find_a_better_order(objective):
    lookup, rates = Lookup(), torch.zeros(LENGTH, dtype=torch.float64, requires_grad=True)
    before = by_subsets(lookup, rates).item()
    optimizer = torch.optim.Adam([rates], 0.05)
    torch.manual_seed(0)
    for _ in range(100):
        optimizer.zero_grad()
        objective(lookup, TOKENS.expand(256, -1), rates).mean().backward()
        optimizer.step()
    assert by_subsets(lookup, rates).item() < before - 1


def test_a_common_factor_of_the_rates_changes_nothing():
    one, other = (exact(by_subsets, Lookup(), LOG_RATES + shift) for shift in (0.0, 0.7))
    torch.testing.assert_close(one, other)
    assert one[1 : 1 + LENGTH].sum().abs() < 1e-12


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_with_equal_schedules_the_bound_does_not_depend_on_the_schedule(power):
    equal = torch.full_like(LOG_RATES, power).log()
    truth = exact(by_subsets, Lookup(), torch.zeros_like(LOG_RATES))[0]
    mean, stderr = estimates(continuous_time, Lookup(), equal, repeats=50)
    assert (mean[0] - truth).abs() < 3 * stderr[0]


def test_what_is_cut_off_is_made_up_for():
    """A position whose rate is nearly 0 is masked until the end: without the second part it would count for nothing."""
    rates = torch.tensor([1.0, 1.0, 1.0, 1.0, -12.0]).double()
    truth = exact(by_subsets, Lookup(), rates)[0]
    mean, stderr = estimates(continuous_time, Lookup(), rates, repeats=50)
    assert (mean[0] - truth).abs() < max(3 * stderr[0], 2e-3)
    assert stderr[0] < 0.05


def test_rates_of_values():
    lookup, tokens = Lookup(3), TOKENS[:3]
    truth = exact(by_quadrature, lookup, VALUE_RATES, tokens)
    off = deviations(estimates(continuous_time, lookup, VALUE_RATES, tokens), truth)
    assert off[:10].abs().max() < 3.5
    assert off.abs().max() < 4.5


def test_rates_of_values_that_are_equal_are_those_of_positions():
    tokens = torch.randint(VALUES, (500, LENGTH), generator=torch.Generator().manual_seed(0))
    drawn = []
    for rates in (LOG_RATES, LOG_RATES[:, None].expand(-1, VALUES)):
        torch.manual_seed(0)
        drawn.append(continuous_time(Lookup(), tokens, rates))
    torch.testing.assert_close(*drawn)
    torch.testing.assert_close(
        by_quadrature(Lookup(), LOG_RATES[:, None].expand(-1, VALUES), start=1e-60),
        by_subsets(Lookup()),
        rtol=1e-5,
        atol=0,
    )


def test_rates_of_values_in_closed_form():
    """One position: ∫ t^(w−1) [w (−log μ + …)] dt is −log μ + (Σ w_v μ_v) / w − 1."""
    lookup, tokens = Lookup(1), torch.tensor([2])
    logp = lookup.logits[0, 0].log_softmax(-1)
    rates = torch.tensor([[0.5, -0.5, 0.2]]).double()
    expected = -logp[2] + (rates[0].exp() * logp.exp()).sum() / rates[0, 2].exp() - 1
    torch.testing.assert_close(by_quadrature(lookup, rates, tokens, start=1e-60), expected, rtol=1e-5, atol=0)


def test_drawn_orders_are_those_of_their_probability():
    orders = draw_orders(LOG_RATES, 50_000, torch.Generator().manual_seed(0))
    first = torch.bincount(orders[:, 0]).double() / len(orders)
    assert (first - LOG_RATES.softmax(0)).abs().max() < 4 * 0.5 / len(orders) ** 0.5
    log_prob = prefix_log_prob(orders, LOG_RATES)
    listed, counts = orders.unique(dim=0, return_counts=True)
    chances = prefix_log_prob(listed, LOG_RATES)[:, -1].exp()
    assert len(listed) == 120
    assert chances.sum() == pytest.approx(1)
    assert (counts / len(orders) - chances).abs().max() < 0.004
    assert (log_prob[:, 0] == 0).all()
    entropy = -(chances * chances.log()).sum() / torch.tensor(120.0).log()
    assert order_entropy(LOG_RATES) == pytest.approx(float(entropy), abs=0.005)
    assert order_entropy(torch.zeros(7)) == pytest.approx(1)


def test_two_draws_without_a_difference_have_no_gradient_through_the_draw():
    log_prob = torch.randn(6, requires_grad=True)
    leave_one_out(torch.tensor([1.0, 2, 3, 1, 2, 3]), log_prob).sum().backward()
    assert (log_prob.grad == 0).all()
