"""The transformer's attention bias and maps, against torch's own multi-head attention."""

import pytest
import torch
from torch import nn

from harness.models.base import Inputs
from harness.models.digits import digits
from harness.models.transformer import Block, TransformerConfig

CONFIG = TransformerConfig(vocab_size=5, length=8, classes=3, width=12, depth=2, heads=3)


@pytest.fixture(scope="module")
def model():
    return digits()


def inputs(model, rows=2, **more):
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(0, model.vocab_size, (rows, 64), generator=generator)
    positions = torch.arange(64).expand(rows, 64)
    return Inputs(tokens, torch.ones(rows, 64, dtype=bool), positions, {"label": torch.arange(rows)}, **more)


def everywhere(rows=2):
    return torch.arange(rows * 64)


def test_maps_are_those_of_torch():
    torch.manual_seed(0)
    block, reference = Block(CONFIG).eval(), nn.MultiheadAttention(12, 3, bias=False, batch_first=True)
    reference.in_proj_weight.data, reference.out_proj.weight.data = block.qkv.weight.data, block.out.weight.data
    x, maps = torch.randn(2, 8, 12), []
    padding = torch.zeros(2, 8, dtype=bool)
    padding[1, 6:] = True
    block(x, ~padding[:, None, None], maps)
    y = block.norm_attention(x)
    _, weights = reference(y, y, y, key_padding_mask=padding)
    assert torch.allclose(maps[0], weights, atol=1e-6)


def test_asking_for_maps_changes_no_logit(model):
    plain, nothing = model.logits(inputs(model), everywhere())
    asked, extra = model.logits(inputs(model, outputs=frozenset({"attention"})), everywhere())
    assert torch.equal(plain, asked)
    assert not nothing
    depth = model.network.config.depth
    assert extra["attention"].shape == (2, depth, 64, 64)
    assert torch.allclose(extra["attention"].sum(-1), torch.ones(2, depth, 64))


def test_a_bias_of_minus_infinity_hides_a_key_like_padding(model):
    hidden = torch.zeros(2, 64, 64)
    hidden[:, :, 60:] = float("-inf")
    given = inputs(model)
    padded = Inputs(given.tokens, (torch.arange(64) < 60).expand(2, 64), given.positions, given.condition)
    seen = everywhere().view(2, 64)[:, :60].flatten()
    biased, _ = model.logits(inputs(model, attention_bias=hidden), seen)
    reference, _ = model.logits(padded, seen)
    assert torch.allclose(biased[:, :-1], reference[:, :-1], atol=1e-4)
    plain, _ = model.logits(given, seen)
    assert not torch.allclose(biased[:, :-1], plain[:, :-1], atol=1e-2)
