"""The training of the model `mini`: its batches, its loss, and its attention in half the precision."""

import dataclasses
import json
import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from harness.miniworld import layout, questions, scenes
from harness.miniworld.vocabulary import FIRST_CODE, VOCABULARY, decode
from harness.models.transformer import Block, TransformerConfig
from harness.training.mini import Mixture, answer, bound, clause, mini, part
from harness.training.run import train

SIZES = {"width": 32, "depth": 2, "heads": 2}
LARGEST = {"pictures": scenes.CODES, "stories": FIRST_CODE - 1, "sudoku_4x4": 4, "sudoku_6x6": 6}
"""How many tokens may stand at a hole; of words, all but the null token."""


def problem(device="cpu", **shares):
    torch.manual_seed(0)
    families = [field.name for field in dataclasses.fields(Mixture) if field.name != "withheld"]
    return mini(SIZES, {name: shares.get(name, 0.0) for name in families} if shares else {}, device)


def test_a_cpu_trains_on_the_same_rows_as_a_gpu_with_less_padding():
    examples = torch.arange(40)
    apart, together = (problem(device).draw(examples) for device in ("cpu", "cuda"))
    network = problem().network
    torch.nn.init.normal_(network.head.weight)
    assert (len(apart), len(together)) == (8, 1)
    assert sum(batch.tokens.numel() for batch in apart) < 0.75 * together[0].tokens.numel()
    expected = bound(network, together[0])
    found = torch.cat([bound(network, batch) for batch in apart])
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("family", LARGEST)
def test_a_model_that_knows_nothing_has_the_bound_of_a_uniform_guess(family):
    asked = problem(**{family: 1.0})
    torch.nn.init.zeros_(asked.network.head.weight)
    loss = asked.loss(asked.network, asked.draw(torch.arange(8)), 0.0)
    assert loss.item() == pytest.approx(math.log(LARGEST[family]), abs=1e-4)


def test_attention_of_half_precision_on_a_cpu_is_that_of_the_fused_kernel(monkeypatch):
    torch.manual_seed(0)
    block = Block(TransformerConfig(8, 12, 0, 32, 1, 2))
    x = torch.randn(3, 12, 32, requires_grad=True)
    valid = torch.arange(12) < torch.tensor([12, 9, 4])[:, None]
    kernel, calls = F.scaled_dot_product_attention, []

    def counted(*args, **kwargs):
        calls.append(args)
        return kernel(*args, **kwargs)

    monkeypatch.setattr(F, "scaled_dot_product_attention", counted)
    exact = block(x, valid[:, None, None, :])
    assert len(calls) == 1
    (gradient,) = torch.autograd.grad(exact.square().sum(), x)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = block(x, valid[:, None, None, :])
    assert len(calls) == 1, "the fused kernel is slow in bfloat16"
    torch.testing.assert_close(rounded, exact, rtol=0.05, atol=0.05)
    (near,) = torch.autograd.grad(rounded.square().sum(), x)
    assert torch.nn.functional.cosine_similarity(near.flatten(), gradient.flatten(), dim=0) > 0.999


def test_it_trains_on_a_cpu_and_reports_every_family(tmp_path):
    settings = {"steps": 12, "batch_size": 16, "warmup": 2, "validate_every": 6, "ema": 0.5}
    sizes = {f"network.{name}": value for name, value in SIZES.items()}
    train("mini", {**settings, **sizes}, tmp_path, preset="cpu")
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    first, last = lines[5], lines[11]
    assert last["validation"] < first["validation"]
    result = json.loads((tmp_path / "result.json").read_text())
    measured, reported = ({name for name in each if name.startswith("nats")} for each in (first, result))
    assert reported <= measured
    assert measured - reported == {"nats_per_token_clauses", "nats_per_token_parts"}, "of which there is no test"


def test_a_part_of_a_long_answer_asks_words_of_one_clause_or_the_conclusion():
    rng = np.random.default_rng(0)
    clauses = conclusions = 0
    for _ in range(200):
        asked = questions.training_example(rng, long=True)
        whole, truth = answer(*asked, questions.LONG_LENGTH)
        lay, content = part(*asked, rng)
        at = lay.positions[lay.tokens == layout.HOLE] - layout.FIRST_RESPONSE
        assert (content == truth[at]).all()
        given = lay.tokens[whole.tokens == layout.HOLE]
        assert np.isin(given, [layout.HOLE, VOCABULARY]).sum() + (given == truth).sum() == questions.LONG_LENGTH
        if len(at) == 1:
            conclusions += 1
            assert decode(list(content)) == asked.answer.split()[-2]
        else:
            clauses += 1
            assert len(at) == 3
            assert len(set(at // questions.CLAUSE)) == 1
            assert at.max() < questions.CLAUSE * len(asked.scene)
            own = given[at[0] // questions.CLAUSE * questions.CLAUSE :][: questions.CLAUSE - 1]
            assert (own < FIRST_CODE).sum() == 4, "three holes and a word that is known"
    assert min(clauses, conclusions) > 30


def test_a_clause_alone_is_one_of_the_description_with_the_picture():
    rng = np.random.default_rng(0)
    for _ in range(50):
        asked = questions.training_example(rng, long=True)
        lay, content = clause(*asked, rng)
        words = lay.positions >= layout.FIRST_PROMPT
        assert words.sum() == questions.CLAUSE
        assert (lay.tokens == layout.HOLE).sum() == 3
        said = decode(list(lay.filled(content)[words]))
        assert said.rstrip(" ,") in asked.answer
        assert (lay.tokens[~words] == scenes.codes(asked.scene)[lay.positions[~words]] + FIRST_CODE).all()
