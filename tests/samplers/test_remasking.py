"""Ancestral sampling and re-masking: against plain loops over one row, and against the laws that the papers state."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from plain import PlainRow
from remasking_loops import ancestral, p2, rcr, remdm, t2m
from scipy import stats
from support import HashDenoiser, jobs, run, tokens
from toys import HandMade

from harness.metrics.exact import goodness_of_fit
from harness.models.exact import chain
from harness.samplers.p2 import P2

SHARP, FLAT = HashDenoiser(prompt=(1, 4)), HashDenoiser(prompt=(3,))
SHARP.weight = SHARP.weight * 2.5
FLAT.weight = FLAT.weight * 0.3
SIZE = 16
STRATEGIES = ["cap", "rescale", "conf", "loop", "forward_backward", "dfm"]


@pytest.fixture(params=["greedy", "drawn"])
def setting(request):
    """A model and a temperature."""
    return {"greedy": (SHARP, 0.0), "drawn": (FLAT, 1.0)}[request.param]


def compare(model, todo, reference):
    """Same commits, tokens and re-masks in the same order but for steps that do nothing, and as many calls."""
    for made in run(model, todo, batch_size=4, trace=True):
        row = PlainRow(model, made.job)
        reference(row)
        assert [e for e in made.trace if e["commit"] or "remask" in e] == [
            e for e in row.trace if e["commit"] or "remask" in e
        ]
        assert made.output.tokens == tuple(row.tokens[row.editable])
        assert made.cost.nfe == row.calls


# --------------------------------------------------------------------------------- token by token, shared uniforms


@pytest.mark.parametrize("budget", [1, 5, 16, 60])
def test_ancestral_is_the_loop_over_all_steps(setting, budget):
    model, temperature = setting
    compare(model, jobs("ancestral", 4, budget=budget, temperature=temperature), lambda row: ancestral(row, budget))


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize(("budget", "eta"), [(1, 0.3), (2, 0.5), (7, 1.0), (20, 0.1)])
def test_remdm(setting, strategy, budget, eta):
    model, temperature = setting
    todo = jobs("remdm", 3, budget=budget, temperature=temperature, strategy=strategy, eta=eta)
    compare(model, todo, lambda row: remdm(row, budget, strategy, eta))


@pytest.mark.parametrize("strategy", ["cap", "conf"])
def test_remdm_from_a_nucleus(strategy):
    todo = jobs("remdm", 3, budget=9, strategy=strategy, eta=0.2, top_p=0.8)
    compare(FLAT, todo, lambda row: remdm(row, 9, strategy, 0.2, top_p=0.8))


def test_remdm_loop_with_other_bounds():
    todo = jobs("remdm", 3, budget=20, strategy="loop", eta=0.3, t_on=0.8, t_off=0.25, alpha_on=0.5)
    compare(FLAT, todo, lambda row: remdm(row, 20, "loop", 0.3, 0.8, 0.25, 0.5))


@pytest.mark.parametrize("score", ["fresh", "current"])
@pytest.mark.parametrize("eta", [0.0, 0.5, 4.0])
@pytest.mark.parametrize("budget", [1, 10, 23])
def test_p2(setting, score, eta, budget):
    model, temperature = setting
    todo = jobs("p2", 2, budget=budget, temperature=temperature, eta=eta, score=score)
    compare(model, todo, lambda row: p2(row, budget, eta, score))


@pytest.mark.parametrize("kind", ["probability", "entropy", "margin"])
@pytest.mark.parametrize(("budget", "block"), [(1, 0), (5, 0), (20, 0), (12, 4), (9, 6)])
def test_rcr(setting, kind, budget, block):
    model, temperature = setting
    todo = jobs("rcr", 2, budget=budget, temperature=temperature, confidence=kind, block=block)
    compare(model, todo, lambda row: rcr(row, budget, kind, block))


RULES = {"low_prob": "low", "t2t_remask": "sure", "logit_diff": "drop"}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("block", [0, 6])
@pytest.mark.parametrize(
    "limits", [{}, {"max_remasks": 5, "least": 1}, {"max_remasks": 3, "ratio": 1.0, "post_steps": 2}]
)
def test_t2m(setting, rule, block, limits):
    model, temperature = setting
    for tau, threshold in [(0.4, 0.2), (0.6, 0.5)]:
        arguments = {"tau": tau, "rule": rule, "block": block, **limits}
        todo = jobs("t2m", 1, temperature=temperature, **arguments, **{RULES[rule]: threshold})
        compare(model, todo, lambda row, a=arguments, x=threshold: t2m(row, threshold=x, **a))


def test_the_references_do_mask_again():
    """Else the comparisons above would say nothing about it."""
    cases = [("remdm", {"strategy": s, "eta": 0.2}, 20) for s in STRATEGIES]
    cases += [("p2", {}, 16), ("rcr", {}, 16), ("rcr", {"block": 4}, 16)]
    cases += [("t2m", {"rule": rule, "least": 1, RULES[rule]: 0.3}, None) for rule in RULES]
    for name, arguments, budget in cases:
        made = run(SHARP if name == "t2m" else FLAT, jobs(name, 8, budget=budget, **arguments), trace=True)
        assert sum(len(e.get("remask", ())) for g in made for e in g.trace) > 2, (name, arguments)


# ------------------------------------------------------------------------------------------------ laws and limits


def masked_after_each_step(made):
    """(N, T) masks left after each step of each sample."""
    return np.array([np.cumsum([len(e.get("remask", ())) - len(e["commit"]) for e in g.trace]) + SIZE for g in made])


def test_reveal_counts_of_ancestral_follow_the_binomials_of_the_posterior():
    """With m masks left at step k of T, the T-step loop reveals Binomial(m, 1/(T − k)) of them."""
    length, steps, count = 3, 4, 3000
    counted = dict.fromkeys((c for c in product(range(length + 1), repeat=steps) if sum(c) == length), 0)
    made = run(HashDenoiser(length=length), jobs("ancestral", count, budget=steps), batch_size=1000, trace=True)
    # The trace has no empty steps, so the law is compared after leaving them out of the enumeration, too.
    expected = {}
    for c in counted:
        masks, probability = length, 1.0
        for k, n in enumerate(c):
            probability *= stats.binom.pmf(n, masks, 1 / (steps - k))
            masks -= n
        key = tuple(n for n in c if n)
        expected[key] = expected.get(key, 0.0) + probability
    observed = dict.fromkeys(expected, 0)
    for g in made:
        observed[tuple(len(e["commit"]) for e in g.trace)] += 1
    keys = list(expected)
    assert stats.chisquare([observed[k] for k in keys], [count * expected[k] for k in keys]).pvalue > 1e-3


def test_ancestral_reports_skipped_steps_as_nominal_cost():
    budget, count = 32, 600
    made = run(HashDenoiser(length=8), jobs("ancestral", count, budget=budget), batch_size=200, trace=True)
    assert {g.cost.nfe_nominal for g in made} == {budget}
    assert all(g.cost.nfe == len(g.trace) == sum(bool(e["commit"]) for e in g.trace) for g in made)
    # A step of T is used by one of L positions with probability 1 − (1 − 1/T)^L.
    assert np.mean([g.cost.nfe for g in made]) == pytest.approx(budget * (1 - (1 - 1 / budget) ** 8), abs=0.15)


SMALL = chain(vocab=2, length=4, branches=2, noise=0.05, seed=3)


def sequences(sampler, count=3000, model=SMALL, **arguments):
    todo = jobs(sampler, count, **arguments)
    for job in todo:
        job.request.condition.clear()
    return torch.tensor(tokens(run(model, todo, batch_size=count)))


def test_first_hitting_is_exact():
    assert goodness_of_fit(sequences("first_hitting"), SMALL.joint) > 1e-3


def test_first_hitting_tells_the_network_the_time_of_the_first_arrival():
    model, seen = HashDenoiser(length=5), []
    model.capabilities |= {"time"}
    plain = model.logits
    model.logits = lambda inputs, index: (seen.append(inputs.time), plain(inputs, index))[1]
    run(model, jobs("first_hitting", 500, conditioned=True), batch_size=500)
    times = torch.stack(seen)
    assert times.shape == (5, 500)
    assert (times[1:] < times[:-1]).all()
    # Of L independent uniform times the largest has the distribution function t^L, the smallest 1 − (1 − t)^L.
    assert stats.kstest(times[0].numpy(), lambda t: t**5).pvalue > 1e-3
    assert stats.kstest(times[4].numpy(), lambda t: 1 - (1 - t) ** 5).pvalue > 1e-3


def test_remdm_without_remasking_is_ancestral_in_distribution():
    def table(*samples):
        cells = [torch.bincount(SMALL.joint.index(x), minlength=16).numpy() for x in samples]
        return stats.chi2_contingency(np.array(cells) + 1e-9).pvalue

    two = sequences("ancestral", budget=2)
    assert table(two, sequences("remdm", budget=2, eta=0.0, seed=1)) > 1e-3
    # The same test tells one step from two, so it has the power to tell samplers apart.
    assert table(two, sequences("ancestral", budget=1, seed=1)) < 1e-6


@pytest.mark.parametrize("strategy", [s for s in STRATEGIES if s != "conf"])
def test_remdm_keeps_the_marginals_of_the_diffusion(strategy):
    """Re-masking at any σ leaves P(masked at s) = 1 − α_s (Wang et al. 2025, theorem 3.1)."""
    steps, count = 20, 250
    made = run(FLAT, jobs("remdm", count, budget=steps, strategy=strategy, eta=0.08), batch_size=250, trace=True)
    share = masked_after_each_step(made).mean(axis=0) / SIZE
    s = 1 - np.arange(1, steps + 1) / steps
    alpha = 1 - s
    if strategy == "loop":
        alpha = np.interp(s, [0, 0.05, 0.55, 1], [1, 0.9, 0.9, 0])
    spread = np.sqrt(alpha * (1 - alpha) / (count * SIZE))
    assert (np.abs(share - (1 - alpha)) <= 4.5 * spread + 1e-12).all()


@pytest.mark.parametrize(("name", "budget"), [("p2", 1), ("p2", 7), ("p2", 40), ("rcr", 1), ("rcr", 7), ("rcr", 40)])
def test_masks_left_follow_the_linear_schedule(name, budget):
    made = run(FLAT, jobs(name, 6, budget=budget), trace=True)
    expected = [SIZE * (budget - k - 1) // budget for k in range(budget)]
    assert (masked_after_each_step(made) == expected).all()
    assert all(g.cost.nfe <= g.cost.nfe_nominal == budget for g in made)


@pytest.mark.parametrize("score", ["fresh", "current"])
def test_p2_masks_again_only_with_eta(score):
    def remasks(eta):
        made = run(SHARP, jobs("p2", 30, budget=12, eta=eta, score=score), trace=True)
        return sum(len(e.get("remask", ())) for g in made for e in g.trace)

    assert remasks(0.0) == 0
    assert 0 < remasks(1.0) < remasks(8.0)


def test_p2_keeps_tokens_against_draws_that_are_certain():
    """Scores of 0 on both sides: with η = 0 the mask stays a mask."""
    model = HashDenoiser(vocab=3, length=10)
    model.weight = torch.zeros_like(model.weight)
    model.weight[0, 2] = 1000.0
    # The others are certain of token 2 as soon as it is visible anywhere.
    model.weight[1:, 2, 2 :: model.vocab_size] = 1000.0
    made = run(model, jobs("p2", 2, budget=5, eta=0.0), trace=True)
    assert all(0 in g.trace[0]["commit"] for g in made)
    assert all("remask" not in entry for g in made for entry in g.trace)


@pytest.mark.parametrize(("eta", "remasked"), [(0.0, False), (0.5, True)])
def test_p2_scores_an_impossible_token_lowest_unless_eta_is_0(eta, remasked):
    hand = HandMade(torch.tensor([[[0.0, 1.0], [0.5, 0.5], [0.5, 0.5]]]), torch.tensor([[0, 2, 2]]), step=1, budget=3)
    edit = P2(eta=torch.tensor([[eta]], dtype=torch.float64), score="current").step(hand.view(), hand.ask)
    assert bool(edit.remask[0, 0]) is remasked


def test_t2m_that_never_masks_again_is_the_threshold_sampler(setting):
    model, temperature = setting
    for block in (0, 5):
        shared = {"temperature": temperature, "tau": 0.6, "block": block}
        one = run(model, jobs("t2m", 4, max_remasks=0, post_steps=0, **shared))
        other = run(model, jobs("threshold", 4, **shared))
        assert tokens(one) == tokens(other)
        assert [g.cost.nfe for g in one] == [g.cost.nfe for g in other]


@pytest.mark.parametrize("block", [0, 4])
def test_t2m_ends_even_if_everything_is_suspicious(block):
    """Every step masks something again until each position has had its turns."""
    limits = {"tau": 1.0, "low": 1.0, "ratio": 1.0, "max_remasks": 4, "post_steps": 10**6}
    for g in run(FLAT, jobs("t2m", 3, block=block, **limits), trace=True):
        remasked = np.bincount([i for e in g.trace for i in e.get("remask", ())], minlength=SIZE)
        assert (remasked == 4).all()
        assert g.cost.nfe_nominal == g.cost.nfe <= 2 * SIZE * 5


def test_rows_of_one_batch_may_have_any_budget_and_parameter():
    def todo():
        for budget in (1, 6, 13):
            yield from jobs("ancestral", 2, budget=budget, cell=f"a{budget}")
            yield from jobs("rcr", 2, budget=budget, cell=f"r{budget}", block=budget % 5)
            yield from jobs("p2", 2, budget=budget, cell=f"p{budget}", eta=budget / 6)
            yield from jobs("remdm", 2, budget=budget, cell=f"m{budget}", strategy="loop", eta=budget / 30)
            yield from jobs("t2m", 2, cell=f"t{budget}", tau=budget / 20, max_remasks=budget % 4, block=budget)
        yield from jobs("first_hitting", 3, cell="f")

    together = list(todo())
    made = run(FLAT, together, batch_size=4)
    for job, generation in zip(together, made, strict=True):
        (alone,) = run(FLAT, [job], batch_size=1)
        assert (alone.output.tokens, alone.cost.nfe) == (generation.output.tokens, generation.cost.nfe)
