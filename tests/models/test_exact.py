"""The exact joints and denoisers against enumeration of the whole space."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats

from harness.errors import UserError
from harness.metrics.exact import goodness_of_fit
from harness.models import models
from harness.models.base import Inputs
from harness.models.exact import chain, independent, joint_of, parity, tree
from harness.spec import ModelSpec
from harness.task import Request

SMALL = {
    "chain": chain(vocab=3, length=5, branches=2, noise=0.05, seed=3),
    "chain of two": chain(vocab=2, length=6, branches=2, noise=1e-4, seed=1),
    "tree": tree(vocab=2, sections=2, details=2, branches=1, noise=0.02, seed=5),
    "one section": tree(vocab=3, sections=1, details=3, branches=2, noise=1e-4, seed=2),
    "parity": parity(vocab=3, length=4, group=2, noise=0.03),
    "wide parity": parity(vocab=2, length=6, group=3, noise=1e-4),
    "independent": independent(vocab=4, length=4, noise=0.01, seed=4),
}
DEFAULT = {"chain": chain, "tree": tree, "parity": parity, "independent": independent}


@pytest.fixture(params=SMALL)
def joint(request):
    return SMALL[request.param].joint


def inputs(tokens, mask_id, valid=None):
    valid = torch.ones_like(tokens, dtype=torch.bool) if valid is None else valid
    return Inputs(tokens, valid, torch.arange(tokens.shape[1]).expand_as(tokens))


def by_enumeration(joint, patterns):
    """(P, L, V) leave-one-out conditionals, by summing over all sequences; `vocab` stands for the mask."""
    states, probabilities = joint.enumerate()
    agrees = (patterns[:, None] == states) | (patterns[:, None] == joint.vocab)  # (P, S, L)
    conditionals = torch.zeros(*patterns.shape, joint.vocab, dtype=torch.float64)
    for i in range(joint.length):
        rest = agrees[:, :, [j for j in range(joint.length) if j != i]].all(-1).double() * probabilities
        for value in range(joint.vocab):
            conditionals[:, i, value] = rest[:, states[:, i] == value].sum(-1)
    return conditionals / conditionals.sum(-1, keepdim=True)


def test_conditionals_are_those_of_enumeration_for_every_pattern(joint):
    patterns = torch.tensor(list(itertools.product(range(joint.vocab + 1), repeat=joint.length)))
    got = joint.conditionals(patterns, patterns == joint.vocab)
    assert torch.isfinite(got).all()
    torch.testing.assert_close(got.exp(), by_enumeration(joint, patterns), rtol=1e-9, atol=1e-12)


def test_probabilities_sum_to_one_and_give_the_entropy(joint):
    _, probabilities = joint.enumerate()
    assert len(probabilities) == joint.space
    assert float(probabilities.sum()) == pytest.approx(1, abs=1e-12)
    assert joint.entropy() == pytest.approx(stats.entropy(probabilities.numpy()), rel=1e-12)


def test_index_is_the_place_in_the_enumeration(joint):
    states, _ = joint.enumerate()
    assert torch.equal(joint.index(states), torch.arange(joint.space))


def test_pair_probabilities_are_marginals_of_the_enumeration(joint):
    states, probabilities = joint.enumerate()
    cells = joint.pairs(states)
    marginals = torch.stack([torch.bincount(c, probabilities, minlength=joint.vocab**2) for c in cells.T])
    torch.testing.assert_close(joint.pair_probabilities(), marginals, rtol=0, atol=1e-12)


def test_samples_fit_the_joint(joint):
    samples = joint.sample(20_000, torch.Generator().manual_seed(0))
    assert goodness_of_fit(samples, joint) > 1e-3


def test_one_position_at_a_time_in_random_order_reproduces_the_joint(joint):
    generator = torch.Generator().manual_seed(1)
    count = 10_000
    tokens = torch.full((count, joint.length), joint.vocab)
    order = torch.rand(tokens.shape, generator=generator).argsort(1)
    rows = torch.arange(count)
    for position in order.T:
        conditionals = joint.conditionals(tokens, tokens == joint.vocab)[rows, position].exp()
        tokens[rows, position] = torch.multinomial(conditionals, 1, generator=generator).squeeze(1)
    assert goodness_of_fit(tokens, joint) > 1e-3


def test_all_positions_at_once_do_not_reproduce_a_dependent_joint(joint):
    if joint is SMALL["independent"].joint:
        pytest.skip("independent tokens may be drawn at once")
    masked = torch.ones(1, joint.length, dtype=torch.bool)
    conditionals = joint.conditionals(torch.zeros_like(masked, dtype=torch.int64), masked)[0].exp()
    tokens = torch.multinomial(conditionals, 10_000, replacement=True, generator=torch.Generator().manual_seed(2)).T
    assert goodness_of_fit(tokens, joint) < 1e-6


@pytest.mark.parametrize("name", ["chain", "tree", "parity"])
def test_valid_is_the_support_without_noise(name):
    nearly_clean = {
        "chain": chain(vocab=4, length=4, branches=2, noise=1e-12),
        "tree": tree(vocab=3, sections=2, details=1, branches=1, noise=1e-12),
        "parity": parity(vocab=3, length=6, group=3, noise=1e-12),
    }[name].joint
    states, probabilities = nearly_clean.enumerate()
    valid = nearly_clean.valid(states)
    assert 0 < int(valid.sum()) < nearly_clean.space
    assert float(probabilities[valid].min()) > 1e-6
    assert float(probabilities[~valid].max()) < 1e-11


def test_parity_is_the_stated_mixture():
    joint, noise = parity(vocab=3, length=3, group=3, noise=0.1).joint, 0.1
    eta = 1 - (1 - noise) ** 3
    for state, probability in zip(*joint.enumerate(), strict=True):
        expected = eta / 27 + (1 - eta) / 9 * (int(state.sum()) % 3 == 0)
        assert float(probability) == pytest.approx(expected, rel=1e-12)


def test_chain_is_stationary_with_the_stated_number_of_successors():
    joint = chain(vocab=6, length=5, branches=2, noise=1e-12, seed=7).joint
    pairs = joint.pair_probabilities().view(4, 6, 6)
    for pair in pairs:
        torch.testing.assert_close(pair, pairs[0], rtol=0, atol=1e-9)
    torch.testing.assert_close(pairs[0].sum(0), pairs[0].sum(1), rtol=0, atol=1e-9)
    assert (pairs[0] > 1e-9).sum(1).tolist() == [2] * 6


def test_tree_ties_details_of_a_section_together_and_sections_to_the_root():
    joint = tree(vocab=4, sections=2, details=3, branches=1, noise=1e-12).joint
    tokens = joint.sample(4000, torch.Generator().manual_seed(0)).numpy()
    assert joint.length == 9
    for head, details in ((1, (2, 3, 4)), (5, (6, 7, 8))):
        assert all(len(np.unique(tokens[tokens[:, 0] == root, head])) == 1 for root in np.unique(tokens[:, 0]))
        for value in np.unique(tokens[:, head]):
            assert all(len(np.unique(tokens[tokens[:, head] == value, detail])) == 1 for detail in details)


@pytest.mark.parametrize("name", DEFAULT)
def test_other_seeds_give_other_joints(name):
    if name == "parity":
        pytest.skip("has no drawn parameters")
    first, again, other = (DEFAULT[name](seed=seed).joint for seed in (0, 0, 1))
    assert torch.equal(first.pair_probabilities(), again.pair_probabilities())
    assert not torch.allclose(first.pair_probabilities(), other.pair_probabilities())


@pytest.mark.parametrize("size", [1, 7, 64])
@pytest.mark.parametrize("model", [*(f() for f in DEFAULT.values()), chain(vocab=7, length=9), parity(5, 20, 5)])
def test_logits_do_not_depend_on_the_batch(model, size):
    generator = torch.Generator().manual_seed(0)
    tokens = model.joint.sample(200, generator)
    share = torch.rand(200, 1, generator=generator)
    tokens = tokens.masked_fill(torch.rand(tokens.shape, generator=generator) < share, model.mask_id)

    def logits(rows):
        return model.logits(inputs(rows, model.mask_id), torch.arange(rows.numel()))[0]

    assert torch.equal(torch.cat([logits(rows) for rows in tokens.split(size)]), logits(tokens))


def test_wide_trees_and_least_noise_stay_finite():
    joint = tree(vocab=2, sections=1, details=200, branches=1, noise=1e-12).joint
    # No value of the head fits these details: every message contradicts another.
    tokens = torch.randint(2, (50, joint.length), generator=torch.Generator().manual_seed(0))
    for masked in (torch.zeros_like(tokens, dtype=torch.bool), (torch.arange(joint.length) < 2).expand_as(tokens)):
        logp = joint.conditionals(tokens, masked)
        assert torch.isfinite(logp).all()
        torch.testing.assert_close(logp.exp().sum(-1), torch.ones(tokens.shape, dtype=torch.float64))


@pytest.mark.parametrize("name", DEFAULT)
def test_default_models_are_registered_and_consistent(name):
    model = models[f"exact/{name}"].load()()
    joint = joint_of(ModelSpec(name=f"exact/{name}"))
    samples = joint.sample(4000, torch.Generator().manual_seed(0))
    nll = -joint.log_prob(samples)
    assert model.joint.entropy() == joint.entropy()
    assert abs(float(nll.mean()) - joint.entropy()) < 4 * float(nll.std()) / math.sqrt(4000)
    assert float(joint.valid(samples).double().mean()) > 0.99


def test_logits_hold_the_mask_at_minus_infinity_and_leave_one_out():
    model = SMALL["chain"]
    tokens = torch.tensor([[0, 3, 1, 3, 2]])
    logits, extra = model.logits(inputs(tokens, model.mask_id), torch.tensor([2, 3]))
    expected = by_enumeration(model.joint, tokens)[0, [2, 3]]
    assert logits.dtype == torch.float64
    assert not extra
    assert logits[:, model.mask_id].tolist() == [float("-inf")] * 2
    torch.testing.assert_close(logits[:, :-1].exp(), expected)


def test_one_hot_changes_visible_positions_only():
    arguments = {"vocab": 3, "length": 4, "branches": 2}
    one_hot, leave_one_out = chain(**arguments, visible="one_hot"), chain(**arguments)
    tokens = torch.tensor([[0, 3, 1, 3]])
    got = one_hot.logits(inputs(tokens, 3), torch.arange(4))[0]
    assert got[0].exp().tolist() == [1, 0, 0, 0]
    assert got[2].exp().tolist() == [0, 1, 0, 0]
    assert torch.equal(got[[1, 3]], leave_one_out.logits(inputs(tokens, 3), torch.tensor([1, 3]))[0])


def test_hidden_and_padded_positions_are_summed_out():
    model = SMALL["chain"]
    tokens = torch.tensor([[0, 1, 2, 3, 1]])
    valid = torch.tensor([[True, False, True, True, True]])
    index = torch.tensor([1, 3])
    expected = model.logits(inputs(torch.tensor([[0, 3, 2, 3, 1]]), 3), index)[0]
    assert torch.equal(model.logits(inputs(tokens, 3, valid), index)[0], expected)

    padded = torch.cat([tokens, torch.tensor([[3, 3]])], dim=1).repeat(2, 1)
    attended = torch.cat([valid, torch.tensor([[False, False]])], dim=1).repeat(2, 1)
    got = model.logits(inputs(padded, 3, attended), torch.tensor([1, 3, 8, 10]))[0]
    assert torch.equal(got, expected.repeat(2, 1))


def test_encode_is_all_mask_and_decode_its_inverse():
    model = SMALL["tree"]
    row = model.encode(Request("0000"))
    assert (set(row.tokens), len(row.tokens), all(row.editable)) == ({2}, 7, True)
    assert model.decode([0, 1, 1]).tokens == (0, 1, 1)
    assert model.flops(torch.tensor([7]), torch.tensor([7])) is None


@pytest.mark.parametrize(
    "request_", [Request("a", prompt="Hello"), Request("a", length=5), Request("a", condition={"label": 1})]
)
def test_requests_that_the_model_cannot_serve(request_):
    with pytest.raises(UserError, match="document 'a'"):
        SMALL["tree"].encode(request_)


def test_guidance_is_refused():
    with pytest.raises(UserError, match="guidance"):
        SMALL["tree"].unconditional(inputs(torch.zeros(1, 7, dtype=torch.int64), 2))


@pytest.mark.parametrize(
    ("factory", "arguments", "message"),
    [
        (chain, {"branches": 9}, "exact/chain: branches=9 must be from 1 to 8"),
        (chain, {"noise": 0.0}, "noise=0.0"),
        (tree, {"sections": 0}, "sections=0"),
        (parity, {"length": 30}, "length=30 must be a multiple of group=4"),
        (parity, {"group": 1}, "group=1"),
        (independent, {"seed": -1}, "seed=-1"),
    ],
)
def test_sizes_out_of_range(factory, arguments, message):
    with pytest.raises(UserError, match=message):
        factory(**arguments)


def test_large_spaces_are_not_enumerated():
    with pytest.raises(ValueError, match="too many"):
        chain().joint.enumerate()
