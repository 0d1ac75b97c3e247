"""Every sampler, batched, against a plain loop over one row: same commits, same tokens, same number of calls."""

import pytest
from plain import PlainRow, entropy_bound, free_correction, maskgit, punt, sequential, threshold, top_k
from support import HashDenoiser, jobs, run

SHARP, FLAT = HashDenoiser(prompt=(1, 4)), HashDenoiser(prompt=(3,))
SHARP.weight = SHARP.weight * 2.5
FLAT.weight = FLAT.weight * 0.3


@pytest.fixture(params=[(SHARP, 1.0), (FLAT, 0.0)], ids=["sharp", "greedy"])
def setting(request):
    """A model and a token temperature."""
    return request.param


def compare(model, todo, reference):
    for made in run(model, todo, batch_size=4, trace=True):
        row = PlainRow(model, made.job)
        reference(row)
        assert made.trace == row.trace
        assert made.output.tokens == tuple(row.tokens[row.editable])
        assert made.cost.nfe == row.calls


@pytest.mark.parametrize("kind", ["confidence", "margin", "entropy", "random"])
@pytest.mark.parametrize(("budget", "block"), [(1, 0), (5, 0), (16, 0), (20, 0), (4, 4), (12, 4), (6, 6), (32, 8)])
def test_top_k(setting, kind, budget, block):
    todo = jobs(kind, 3, budget=budget, temperature=setting[1], block=block)
    compare(setting[0], todo, lambda row: top_k(row, kind, budget, block))


@pytest.mark.parametrize("order", ["confidence", "left_to_right", "random"])
def test_sequential(setting, order):
    todo = jobs("sequential", 3, temperature=setting[1], order=order)
    compare(setting[0], todo, lambda row: sequential(row, order))


@pytest.mark.parametrize(("tau", "block"), [(0.0, 0), (0.4, 0), (0.8, 0), (1.0, 0), (0.5, 5)])
def test_threshold(setting, tau, block):
    todo = jobs("threshold", 3, temperature=setting[1], tau=tau, block=block)
    compare(setting[0], todo, lambda row: threshold(row, tau, block))


@pytest.mark.parametrize("proxy", ["entropy", "confidence", "margin"])
@pytest.mark.parametrize(("gamma", "block"), [(0.0, 0), (0.3, 0), (2.0, 0), (1e6, 0), (1.0, 5)])
def test_entropy_bound(setting, proxy, gamma, block):
    todo = jobs("eb", 2, temperature=setting[1], gamma=gamma, proxy=proxy, block=block)
    compare(setting[0], todo, lambda row: entropy_bound(row, gamma, proxy, block))


@pytest.mark.parametrize("budget", [1, 2, 5, 16, 40])
@pytest.mark.parametrize("choice_temperature", [0.0, 4.5])
def test_maskgit(setting, budget, choice_temperature):
    todo = jobs("maskgit", 3, budget=budget, temperature=setting[1], choice_temperature=choice_temperature)
    compare(setting[0], todo, lambda row: maskgit(row, budget, choice_temperature))


@pytest.mark.parametrize("budget", [1, 2, 7, 16])
@pytest.mark.parametrize("anneal", ["constant", "compounding", "linspace"])
def test_maskgit_as_models_of_pictures_anneal_it(setting, budget, anneal):
    todo = jobs("maskgit", 3, budget=budget, temperature=setting[1], choice_temperature=1.0, anneal=anneal)
    compare(setting[0], todo, lambda row: maskgit(row, budget, 1.0, anneal))


@pytest.mark.parametrize("budget", [1, 2, 5, 10, 16])
@pytest.mark.parametrize("gate", ["literal", "fixed"])
def test_free_correction(setting, budget, gate):
    settings = {"cap": 4.0, "unit": "tokens", "gate": gate}
    todo = jobs("freecorrection", 3, budget=budget, temperature=setting[1], **settings)
    compare(setting[0], todo, lambda row: free_correction(row, budget, (4, 2, 1), gate == "literal", 1.0))


@pytest.mark.parametrize(("epsilon", "block"), [(0.0, 0), (0.02, 0), (0.2, 0), (1.0, 0), (1e9, 0), (0.2, 5)])
def test_punt(setting, epsilon, block):
    todo = jobs("punt", 3, temperature=setting[1], epsilon=epsilon, block=block)
    compare(setting[0], todo, lambda row: punt(row, epsilon, block))


def test_the_references_see_structure():
    # Were all trajectories trivial, the comparisons above would say little.
    steps = {len(one.trace) for one in run(SHARP, jobs("punt", 6, epsilon=0.2), trace=True)}
    assert len(steps) > 1
    assert max(steps) < 16
