"""Learned-order samplers on an exact model with a schedule: orders by closed forms, samples by enumeration."""

from dataclasses import replace
from itertools import permutations

import pytest
import torch
from support import run, tokens
from toys import HandMade, TextDenoiser, dirichlet, job

from harness.catalogue import Catalogue
from harness.components import make_sampler
from harness.errors import UserError
from harness.executors.loader import ModelLoader, check_capabilities
from harness.executors.plan import make_plan
from harness.metrics.exact import chi_square, goodness_of_fit
from harness.models.exact import ExactDenoiser, tree
from harness.samplers import samplers
from harness.spec import SamplerSpec, SuiteFile

JOINT = tree(vocab=2, sections=1, details=3, branches=2, noise=0.02, seed=5).joint
WEIGHTS = torch.tensor([1.0, 6.0, 0.5, 2.0, 0.2], dtype=torch.float64)


class Scheduled(ExactDenoiser):
    """The exact model, which says that its positions were masked at the rates `WEIGHTS`."""

    def __init__(self):
        super().__init__(JOINT, leave_one_out=True)
        self.capabilities = frozenset({"schedule"})

    def encode(self, request):
        return replace(super().encode(request), schedule=WEIGHTS.log().tolist())


def sample(name, budget, count=3000, **args):
    sampler, info = make_sampler(SamplerSpec(name=name, args=args)), samplers[name].info
    return run(Scheduled(), [job(sampler, info, "d", sample=i, budget=budget) for i in range(count)], count, trace=True)


def orders(made):
    """The order in which each sample was written: positions that are written together in any order."""
    return torch.tensor([[i for entry in one.trace for i in entry["commit"]] for one in made])


def race(order):
    """P(order) by Plackett and Luce: at each place w over the sum of what is left."""
    left = list(range(len(WEIGHTS)))
    chance = 1.0
    for position in order:
        chance *= float(WEIGHTS[position] / WEIGHTS[left].sum())
        left.remove(position)
    return chance


@pytest.mark.parametrize(("name", "budget"), [("learned_order", 5), ("learned_ancestral", 10**6)])
def test_orders_are_those_of_the_race_and_samples_are_exact(name, budget):
    made = sample(name, budget)
    assert all(len(entry["commit"]) <= 1 for one in made for entry in one.trace)
    assert goodness_of_fit(torch.tensor(tokens(made)), JOINT) > 1e-3
    listed = list(permutations(range(5)))
    place = {order: i for i, order in enumerate(listed)}
    chances = torch.tensor([race(order) for order in listed], dtype=torch.float64)
    cells = torch.tensor([place[tuple(order)] for order in orders(made).tolist()])
    assert chi_square(cells, chances) > 1e-3
    assert chi_square(cells, torch.full_like(chances, 1 / len(listed))) < 1e-9  # and the test has power


def test_the_fixed_order_falls_with_the_rate():
    made = sample("learned_order", 5, count=20, order="fixed")
    assert (orders(made) == WEIGHTS.argsort(descending=True)).all()
    two = sample("learned_order", 2, count=1, order="fixed")
    assert [set(entry["commit"]) for entry in two[0].trace] == [{0, 1, 3}, {2, 4}]


def test_a_step_of_the_posterior_reveals_each_position_by_its_own_rate():
    made = sample("learned_ancestral", 2)
    first = torch.tensor([[i in one.trace[0]["commit"] and len(one.trace) > 1 for i in range(5)] for one in made])
    both = torch.tensor([len(one.trace) > 1 for one in made])
    # From t = 1 to ½ with probability 1 − (½)^w, if the second step has anything left to do and the first anything.
    chance = 1 - 0.5**WEIGHTS
    left, done = chance.prod(), (1 - chance).prod()
    expected = (chance - left) / (1 - left - done)
    found = first[both].double().mean(0)
    assert (found - expected).abs().max() < 4 * 0.5 / both.sum().sqrt()
    assert both.double().mean().item() == pytest.approx(float(1 - left - done), abs=0.02)


def test_cost_is_that_of_the_steps_that_reveal_something():
    for one in sample("learned_ancestral", 3, count=50):
        assert one.cost.nfe == len(one.trace)
        assert one.cost.nfe_nominal == 3


@pytest.mark.parametrize("name", ["learned_order", "learned_ancestral"])
def test_a_model_without_a_schedule_is_refused_before_anything_runs(name):
    content = {"models": "exact/tree", "tasks": "exact", "samplers": name, "budgets": [2], "limit": 2}
    suite = SuiteFile.model_validate({"name": "one", "sweeps": [content]})
    plan = make_plan(suite, Catalogue(), None, "suite")
    with pytest.raises(UserError, match=f"'{name}'.*needs schedule, which model 'exact/tree' does not offer"):
        check_capabilities(plan, ModelLoader("cpu"))
    hand = HandMade(dirichlet(1, 3, 4))
    with pytest.raises(UserError, match="learned schedule"):
        hand.commits(make_sampler(SamplerSpec(name=name)))


def test_rows_of_other_lengths_are_padded():
    class Text(TextDenoiser):
        def encode(self, request):
            row = super().encode(request)
            return replace(row, schedule=[float(len(row.tokens) - i) for i in range(len(row.tokens))])

    sampler, info = make_sampler(SamplerSpec(name="learned_order", args={"order": "fixed"})), samplers["ancestral"].info
    todo = [job(sampler, info, str(n), length=n, prompt="12", budget=n) for n in (3, 5)]
    made = run(Text(bucket=8), todo, trace=True)
    assert sorted(orders([one]).tolist()[0] for one in made) == [[0, 1, 2], [0, 1, 2, 3, 4]]
