"""On models whose joint is known and small, samples against the whole enumerated distribution.

Each p-value comes from 3,000 samples and a fixed seed. That this is power enough is itself tested: the same test
refuses what one parallel step makes.
"""

from dataclasses import replace

import pytest
import torch
from support import jobs, run, tokens
from toys import job

from harness.components import make_sampler
from harness.metrics.exact import chi_square, goodness_of_fit
from harness.models.exact import chain, independent, parity, tree
from harness.samplers import samplers
from harness.spec import SamplerSpec

COUNT = 3000
STRUCTURED = {
    "chain": chain(vocab=3, length=4, branches=2, noise=0.02, seed=3),
    "tree": tree(vocab=2, sections=1, details=3, branches=2, noise=0.02, seed=5),
    "parity": parity(vocab=2, length=6, group=3, noise=0.02),
}
FASTEST = {
    "random": {},
    "confidence": {},
    "margin": {},
    "entropy": {},
    "maskgit": {},
    "llada": {},
    "dream": {},
    "pc": {},
    "ancestral": {},
    "remdm": {},
    "p2": {},
    "rcr": {},
    "freecorrection": {},
    "freecorrection_loo": {},
    "freedave": {},
    "threshold": {"tau": 0.0},
    "localleap": {"tau": 0.0},
    "slowfast": {"tau": 0.0},
    "hierarchy": {"tau": 0.0},
    "t2m": {"tau": 0.0, "max_remasks": 0, "post_steps": 0},
    "factor": {"f": 1e6},
    "eb": {"gamma": 1e6},
    "saber": {"n": 6},
    "punt": {"epsilon": 1e9},
    "punt_batched": {"epsilon": 1e9},
}

SLOWEST = {
    "random": {},
    "confidence": {},
    "margin": {},
    "entropy": {},
    "dream": {},
    "threshold": {"tau": 1.0},
    "klass": {"tau": 1.0},
    "localleap": {"tau": 1.0, "relaxed": 1.0},
    "slowfast": {"tau": 1.0},
    "hierarchy": {"tau": 1.0, "low": 1.0},
    "factor": {"f": 0.0},
    "eb": {"gamma": 0.0},
    "dus": {"block": 1},
    "punt": {"epsilon": 0.0},
}
BIASED = {
    "llada": {},
    "pc": {},
    "maskgit": {"choice_temperature": 0.0},
    "credit": {"tau": 1.0},
}


def sample(model, name, budget=None, count=COUNT, **args):
    sampler, info = make_sampler(SamplerSpec(name=name, args=args)), samplers[name].info
    todo = [job(sampler, info, "d", sample=i, budget=budget) for i in range(count)]
    return torch.tensor(tokens(run(model, todo, batch_size=count)))


def slowest(model, name, args):
    return sample(model, name, budget=model.joint.length if samplers[name].info.knob == "steps" else None, **args)


@pytest.fixture(params=STRUCTURED)
def model(request):
    return STRUCTURED[request.param]


def product_of_marginals(joint):
    states, probabilities = joint.enumerate()
    marginals = [torch.bincount(states[:, i], probabilities, minlength=joint.vocab) for i in range(joint.length)]
    return torch.stack([marginals[i][states[:, i]] for i in range(joint.length)]).prod(0)


@pytest.mark.parametrize("order", ["confidence", "left_to_right", "random"])
def test_one_position_a_step_is_exact_in_every_order(model, order):
    assert goodness_of_fit(sample(model, "sequential", order=order), model.joint) > 1e-3


@pytest.mark.parametrize("name", SLOWEST)
def test_one_position_a_step_is_exact_where_the_order_ignores_the_draw(name):
    model = STRUCTURED["chain"]
    assert goodness_of_fit(slowest(model, name, SLOWEST[name]), model.joint) > 1e-3


@pytest.mark.parametrize("name", BIASED)
def test_one_position_a_step_is_biased_where_the_draw_decides_the_order_or_its_odds_are_changed(name):
    model = STRUCTURED["chain"]
    made = slowest(model, name, BIASED[name])
    assert goodness_of_fit(made, model.joint) < 1e-9
    # Towards likely sequences: more likely on average than true ones are.
    assert float(model.joint.log_prob(made).mean()) > 0.05 - model.joint.entropy()


def test_one_step_is_a_product_of_marginals_and_the_test_sees_it(model):
    made = sample(model, "random", budget=1)
    product = product_of_marginals(model.joint)
    assert chi_square(model.joint.index(made), product) > 1e-3
    assert goodness_of_fit(made, model.joint) < 1e-9  # the power of all tests here
    assert chi_square(model.joint.index(sample(model, "sequential")), product) < 1e-9


@pytest.mark.parametrize("name", FASTEST)
def test_the_fastest_setting_of_every_sampler_is_the_same_one_step(model, name):
    budget = 1 if samplers[name].info.knob == "steps" else None
    made = sample(model, name, budget=budget, count=60, **FASTEST[name])
    assert torch.equal(made, sample(model, "random", budget=1, count=60))


def test_independent_tokens_may_be_unmasked_at_once():
    model = independent(vocab=3, length=4, seed=4)
    assert goodness_of_fit(sample(model, "random", budget=1), model.joint) > 1e-3


def trace_of(model, name, **args):
    (one,) = jobs(name, 1, **args)
    (made,) = run(model, [replace(one, request=replace(one.request, condition={}))], trace=True)
    return [entry["commit"] for entry in made.trace]


def test_punt_sees_that_tokens_are_independent():
    assert trace_of(independent(vocab=3, length=16), "punt", epsilon=1e-4) == [list(range(16))]


@pytest.mark.parametrize(
    ("name", "args", "expected"),
    [
        ("threshold", {"tau": 0.9}, [[0], [1], [2], [3]]),
        ("eb", {"gamma": 0.1}, [[0], [1, 2], [3]]),
        ("punt", {"epsilon": 0.1}, [[0, 2], [1, 3]]),
    ],
)
def test_two_pairs_of_coins_that_settle_one_another(name, args, expected):
    # A coin whose partner is known has no entropy; another pair's coin is free, which only the probe can see.
    assert trace_of(parity(vocab=2, length=4, group=2, noise=1e-9), name, **args) == expected
