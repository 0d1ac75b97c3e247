"""Correction scores: by enumeration of a tiny joint, by closed forms, and their cost."""

import numpy as np
import pytest
import torch

from harness.bench.correction_scores import SCORES
from harness.bench.corrections import Options, _batch, measure
from harness.bench.injection import Setting, clean_rows, inject
from harness.engine.cost import Meter
from harness.engine.proxy import CountingProxy
from harness.models.base import Row
from harness.models.exact import chain, independent, parity
from harness.task import Request


def scores(model, rows, name):
    meter = Meter(len(rows.canvas.tokens), model.device)
    ask = CountingProxy(model, meter, guided=False)
    ask.bind(rows.canvas, torch.ones(len(rows.canvas.tokens), dtype=torch.bool))
    return SCORES[name](rows, ask), meter


def given(joint, tokens, position, mask_id):
    """p(tokens[position] | the other unmasked tokens), by a sum over all sequences."""
    states, chances = joint.enumerate()
    fits = torch.ones(len(states), dtype=torch.bool)
    for other, token in enumerate(tokens):
        if other != position and token != mask_id:
            fits &= states[:, other] == token
    right = states[:, position] == tokens[position]
    return float(chances[fits & right].sum() / chances[fits].sum())


def test_scores_are_those_of_an_enumeration():
    model = chain(vocab=3, length=6, branches=2, noise=0.1)
    rows = inject(model, clean_rows(model, "exact/chain", 5), Setting(1 / 3, 0.25, 3, 0))
    found = {name: scores(model, rows, name)[0] for name in ("visible", "time_averaged", "leave_one_out", "memory")}
    for row, tokens in enumerate(rows.canvas.tokens.tolist()):
        step = rows.step[row].tolist()
        for i in rows.canvas.visible[row].nonzero().flatten().tolist():
            seen = {t: [x if step[j] < t or j == i else 3 for j, x in enumerate(tokens)] for t in range(rows.steps + 1)}
            now = given(model.joint, tokens, i, 3)
            history = [given(model.joint, seen[t], i, 3) for t in range(step[i] + 1, rows.steps + 1)]
            assert found["visible"][row, i] == pytest.approx(now, rel=1e-5)
            assert found["leave_one_out"][row, i] == pytest.approx(now, rel=1e-5)
            assert found["time_averaged"][row, i] == pytest.approx(np.mean(history), rel=1e-5)
            assert found["memory"][row, i] == pytest.approx(given(model.joint, seen[step[i]], i, 3), rel=1e-5)


def test_a_model_that_repeats_what_it_sees_tells_nothing_at_visible_positions():
    model = chain(visible="one_hot")
    records = measure(model, "exact/chain", Options((0.25,), (0.1,), (0,), 6, 8, 6), lambda line: None)
    by_score = {record["score"]: record for record in records}
    for name in ("visible", "time_averaged"):
        assert by_score[name]["auroc"] == 0.5
        assert by_score[name]["average_precision"] == pytest.approx(2 / 24)
        assert by_score[name]["harm_rate"] == pytest.approx(22 / 24)
    assert by_score["leave_one_out"]["auroc"] > 0.8


def test_independent_tokens_have_the_auroc_of_their_marginals():
    """A right token is drawn from its marginal p, a wrong one is not the draw: (1 − p(y)) / (V − 1)."""
    model = independent(vocab=5, length=12, noise=0.05)
    p = model.joint.conditionals(torch.full((1, 12), 5), torch.ones(1, 12, dtype=torch.bool))[0].exp().numpy()
    less = p[:, :, None, None] > p[None, None]  # (right position, its token, wrong position, its token)
    chance = np.einsum("ix,ixjy,jy->ij", p, less, (1 - p) / 4)
    expected = chance[~np.eye(12, dtype=bool)].mean()
    options = Options((0.5,), (0.2,), (0, 1), 300, 4, 300)
    for record in measure(model, "exact/independent", options, lambda line: None):
        if record["score"] in ("visible", "time_averaged", "leave_one_out", "memory"):
            assert abs(record["auroc"] - expected) < 3.5 * record["auroc_stderr"]
            assert record["auroc_stderr"] < 0.02
        if record["score"] == "random":
            assert abs(record["auroc"] - 0.5) < 3.5 * record["auroc_stderr"]


def test_one_error_under_a_parity_check_is_one_of_its_group():
    """Its three companions are as doubtful as it, the twelve others are not: (12 + 3/2) / 15, and a guess among 4."""
    model = parity(length=16, group=4, noise=1e-9)
    records = measure(model, "exact/parity", Options((0.0,), (0.05,), (0, 1), 4, 4, 4), lambda line: None)
    for record in records:
        if record["score"] in ("visible", "leave_one_out"):
            assert record["auroc"] == pytest.approx(13.5 / 15)
            assert record["harm_rate"] == pytest.approx(3 / 4)


class Bag:
    """One layer of attention: the odds of a token are one plus how often it is among those attended to."""

    vocab_size, mask_id, length_bucket, eos_ids = 6, 5, 1, frozenset()
    capabilities = frozenset({"positions", "attention_bias"})
    device = torch.device("cpu")

    def encode(self, request):
        return Row((5,) * 10, (True,) * 10)

    def logits(self, inputs, index):
        attends = inputs.valid[:, None].expand(-1, inputs.tokens.shape[1], -1).double()
        if inputs.attention_bias is not None:
            attends = attends * inputs.attention_bias.exp()
        odds = 1 + attends @ torch.nn.functional.one_hot(inputs.tokens, 6).double()
        odds[..., 5] = 0
        return odds.log().flatten(0, 1)[index], {}

    def flops(self, tokens, predicted):
        return None


def test_in_one_layer_the_shadow_is_leave_one_out():
    model = Bag()
    draws = chain(vocab=5, length=10)
    rows = inject(model, clean_rows(draws, "exact/chain", 4), Setting(0.4, 0.4, 5, 0))
    shadow, meter = scores(model, rows, "shadow")
    alone, _ = scores(model, rows, "leave_one_out")
    own, _ = scores(model, rows, "visible")
    for row, tokens in enumerate(rows.canvas.tokens.tolist()):
        for i in rows.canvas.visible[row].nonzero().flatten().tolist():
            count = tokens.count(tokens[i])
            assert shadow[row, i] == pytest.approx(count / (5 + 5), rel=1e-5)
            assert alone[row, i] == pytest.approx(count / (5 + 5), rel=1e-5)
            assert own[row, i] == pytest.approx((count + 1) / (5 + 6), rel=1e-5)
    assert (meter.token_forwards == 10 + 6).all()


@pytest.mark.parametrize(
    ("name", "forwards", "depth"),
    [("visible", 1, 1), ("time_averaged", 6, 6), ("leave_one_out", 24, 2), ("memory", 6, 6), ("random", 0, 0)],
)
def test_the_harness_counts_what_a_score_asks(name, forwards, depth):
    model = chain()
    rows = inject(model, clean_rows(model, "exact/chain", 3), Setting(0.25, 0.1, 8, 0))
    _, meter = scores(model, rows, name)
    assert (meter.nfe == forwards).all()
    assert (meter.depth == depth).all()
    assert (meter.token_forwards == 32 * forwards).all()


def test_a_score_that_the_model_cannot_serve_is_unknown():
    records = measure(chain(), "exact/chain", Options((0.0,), (0.1,), (0,), 2, 8, 2), lambda line: None)
    (record,) = [record for record in records if record["score"] == "shadow"]
    assert record.get("auroc") is None
    assert record.get("nfe") is None


def test_the_batch_changes_nothing():
    model = chain(length=16)
    clean, setting = clean_rows(model, "exact/chain", 4), Setting(0.25, 0.2, 4, 1)
    for name in SCORES:
        if name != "shadow":
            together = _batch(model, inject(model, clean, setting), name)
            alone = [_batch(model, inject(model, [row], setting), name) for row in clean]
            for key, values in together.items():
                assert values.tolist() == [part[key].item() for part in alone]


def test_the_standard_error_is_that_of_a_bootstrap_over_documents():
    model = chain(length=16)
    clean = clean_rows(model, "exact/chain", 30)
    seeds = (0, 1)
    runs = np.stack([_batch(model, inject(model, clean, Setting(0.25, 0.2, 4, s)), "visible")["auroc"] for s in seeds])
    draws = np.random.default_rng(0).integers(0, 30, size=(4000, 30))
    expected = runs.mean(axis=0)[draws].mean(axis=1).std()
    records = measure(model, "exact/chain", Options((0.25,), (0.2,), seeds, 30, 4, 30), lambda line: None)
    assert records[0]["auroc_stderr"] == pytest.approx(expected, rel=0.08)


def test_documents_are_drawn_one_by_one():
    model = chain()
    assert clean_rows(model, "exact/chain", 2)[1].request == Request("draw-1")
    few, many = (clean_rows(model, "exact/chain", count) for count in (2, 9))
    assert torch.equal(few[1].tokens, many[1].tokens)
