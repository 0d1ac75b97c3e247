"""The Monte-Carlo bound on likelihoods: against joints whose probabilities are known, and draw by draw."""

import math
from dataclasses import replace

import pytest
import torch
from toys import TextDenoiser

from harness.components import make_sampler
from harness.engine.engine import Engine
from harness.engine.generator import Job
from harness.models.base import Row
from harness.models.exact import chain, parity, tree
from harness.samplers import samplers
from harness.spec import Decoding, SamplerSpec
from harness.task import Request

INFO = samplers["likelihood"].info


def job(request, draws=8, seed=0, sample=0, guidance=0.0):
    sampler = make_sampler(SamplerSpec(name="likelihood", args={"draws": draws}))
    return Job("cell", request, sample, sampler, INFO, Decoding(guidance=guidance), None, seed)


def estimates(model, jobs, batch_size=32):
    made = {id(each.job): each for each in Engine(model, batch_size).generate(jobs)}
    return [made[id(each)] for each in jobs]


class Spelling(TextDenoiser):
    """Scores continuations written in digits, and keeps which positions each call hid."""

    def encode(self, request):
        row = super().encode(replace(request, length=len(request.continuation)))
        given = [int(digit) for digit in request.continuation]
        return Row([*row.tokens[: len(row.tokens) - len(given)], *given], row.editable, row.condition)

    def __init__(self, **options):
        super().__init__(**options)
        self.capabilities |= {"likelihood"}


@pytest.mark.parametrize(
    "model",
    [chain(length=6, vocab=4), tree(sections=2, details=2, vocab=4), parity(length=8)],
    ids=["chain", "tree", "parity"],
)
@pytest.mark.parametrize("draws", [1, 3, 8])
def test_the_mean_of_the_bound_is_the_log_probability_where_conditionals_belong_to_a_joint(model, draws):
    joint = model.joint
    drawn = joint.sample(400, torch.Generator().manual_seed(1))
    jobs = [
        job(Request(str(i), continuation=" ".join(map(str, tokens))), draws) for i, tokens in enumerate(drawn.tolist())
    ]
    found = torch.tensor([made.output.logp[0] for made in estimates(model, jobs, 128)], dtype=torch.float64)
    error = found - joint.log_prob(drawn)
    assert abs(error.mean()) < 4 * error.std() / len(error) ** 0.5 + 1e-6


def test_many_draws_come_close():
    model = chain(length=6, vocab=4)
    tokens = model.joint.sample(1, torch.Generator().manual_seed(2))
    (made,) = estimates(model, [job(Request("0", continuation=" ".join(map(str, tokens[0].tolist()))), 300)])
    assert made.output.logp[0] == pytest.approx(float(model.joint.log_prob(tokens)), abs=0.5)
    assert (made.cost.nfe, made.cost.depth, made.cost.output_tokens) == (300, 300, 0)


def test_each_draw_is_as_the_formula_says_and_sizes_are_spread_evenly():
    model, text = Spelling(vocab=6), "142035"
    (made,) = estimates(model, [job(Request("0", prompt="21", continuation=text), draws=len(text))])
    hidden = [call.tokens[0] == model.mask_id for call in model.calls]
    assert sorted(int(mask.sum()) for mask in hidden) == [
        1,
        2,
        3,
        4,
        5,
        6,
    ]  # as many draws as positions
    assert not any(mask[:2].any() for mask in hidden)
    total = 0.0
    for call, mask in zip(list(model.calls), hidden, strict=True):
        logp = model.logits(call, mask.nonzero().squeeze(1))[0].log_softmax(-1)
        truth = torch.tensor([2, 1, *map(int, text)])[mask]
        total += float(logp.gather(1, truth[:, None]).sum()) * len(text) / int(mask.sum()) / len(text)
    assert made.output.logp[0] == pytest.approx(total, abs=1e-5)


def test_one_position_needs_no_luck():
    model = Spelling(vocab=6)
    once, often = estimates(model, [job(Request(str(n), prompt="3", continuation="2"), draws=n) for n in (1, 5)])
    assert once.output.logp[0] == pytest.approx(often.output.logp[0], abs=1e-6)


def test_parts_are_put_together_in_order_and_their_costs_added():
    model = Spelling(vocab=6, bucket=4)
    texts = ["1", "20", "31415", "2"]
    parts = [Request("0", prompt="12", continuation=text) for text in texts]
    (together,) = estimates(model, [job(Request("0", parts=tuple(parts)), draws=3)])
    apart = estimates(model, [job(part, draws=3) for part in parts])
    assert together.output.logp == tuple(made.output.logp[0] for made in apart)
    assert (together.cost.nfe, together.cost.depth) == (12, 3)
    assert together.cost.token_forwards == sum(made.cost.token_forwards for made in apart)
    assert together.cost.flops == sum(made.cost.flops for made in apart)
    assert together.output.tokens == ()


def test_a_text_that_ends_or_is_empty_is_scored_like_any_other():
    texts = ["0120", "0", "", "4"]
    plain, ending = Spelling(vocab=6), Spelling(vocab=6, eos=(0,))
    jobs = [job(Request(str(i), prompt="1", continuation=text), draws=6) for i, text in enumerate(texts)]
    found = [[made.output.logp for made in estimates(model, jobs)] for model in (plain, ending)]
    assert found[0] == found[1]
    assert found[0][2] == (0.0,)


def test_an_estimate_depends_on_its_row_alone():
    model = Spelling(vocab=6, bucket=8)
    jobs = [
        job(Request(str(i), prompt="12"[: i % 3], continuation="31420"[: 1 + i % 5]), 1 + i % 4, seed=i % 2)
        for i in range(12)
    ]
    alone = [estimates(model, [each], 1)[0].output.logp for each in jobs]
    for size in (3, 32):
        assert [made.output.logp for made in estimates(model, jobs[::-1], size)][::-1] == alone
    other = estimates(model, [replace(each, sample=1) for each in jobs])
    assert sum(made.output.logp != logp for made, logp in zip(other, alone, strict=True)) >= 6


def test_a_resumed_run_makes_what_is_left():
    model = Spelling(vocab=6)
    jobs = [job(Request(str(i), parts=tuple(Request(str(i), continuation=t) for t in ("1", "23")))) for i in range(4)]
    left = list(Engine(model, 2).generate(jobs, lambda one: one.request.document in "02"))
    assert sorted(made.job.request.document for made in left) == ["1", "3"]


def test_an_impossible_text_has_no_likelihood():
    model = Spelling(vocab=6)
    (made,) = estimates(model, [job(Request("0", continuation="6"))])  # the mask token itself
    assert made.output.logp == (-math.inf,)


def test_guidance_is_charged_twice():
    (made,) = estimates(Spelling(vocab=6), [job(Request("0", continuation="12"), draws=4, guidance=1.0)])
    assert made.cost.nfe == 8
