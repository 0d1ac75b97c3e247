"""MDLM against its equations in plain torch, and text that begins with nothing."""

import pytest
import torch
from checkpoints import write_mdlm
from safetensors.torch import load_file
from support import jobs, run
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import gelu, layer_norm, silu
from torch.utils.flop_counter import FlopCounterMode

from harness.errors import UserError
from harness.models.base import Inputs
from harness.models.text.mdlm import mdlm, revision
from harness.task import Request


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_mdlm(tmp_path_factory.mktemp("mdlm") / "tiny")


@pytest.fixture(scope="module")
def model(folder):
    return mdlm(pretrained=str(folder))


def inputs_of(*rows):
    tokens = torch.tensor(rows)
    return Inputs(tokens, torch.ones_like(tokens, dtype=torch.bool), torch.arange(tokens.shape[1]).repeat(len(rows), 1))


def row_of(model, length=13):
    tokens = torch.randint(0, 300, (length,), generator=torch.Generator().manual_seed(2))
    tokens[length // 2 :] = model.mask_id
    return tokens.tolist()


def plain(folder, tokens):
    """(L, V) float64 logits of MDLM's network at time 0 (arXiv 2406.07524, appendix; Peebles and Xie 2023)."""
    weights = {
        key.removeprefix("backbone."): value.double() for key, value in load_file(folder / "model.safetensors").items()
    }

    def linear(x, name):
        return x @ weights[f"{name}.weight"].T + weights.get(f"{name}.bias", 0.0)

    def normed(x, name):
        return layer_norm(x, x.shape[-1:]) * weights[f"{name}.weight"]

    features = torch.cat([torch.ones(128), torch.zeros(128)]).double()  # cos 0 and sin 0
    condition = silu(linear(silu(linear(features, "sigma_map.mlp.0")), "sigma_map.mlp.2"))
    x = weights["vocab_embed.embedding"][torch.tensor(tokens)]
    length, width = x.shape
    angle = torch.arange(length).double()[:, None] * weights["rotary_emb.inv_freq"]
    turn = torch.polar(torch.ones_like(angle), angle)[:, None]  # a rotation is a product of complex numbers

    def rotate(y):
        half = y.shape[-1] // 2
        z = torch.complex(y[..., :half].contiguous(), y[..., half:].contiguous()) * turn
        return torch.cat([z.real, z.imag], dim=-1)

    for i in range(2):
        block = f"blocks.{i}"
        shift, scale, gate, shift2, scale2, gate2 = linear(condition, f"{block}.adaLN_modulation").chunk(6)
        y = normed(x, f"{block}.norm1") * (1 + scale) + shift
        q, k, v = linear(y, f"{block}.attn_qkv").view(length, 3, 4, width // 4).unbind(1)
        scores = torch.einsum("qhd,khd->hqk", rotate(q), rotate(k)) / (width // 4) ** 0.5
        mixed = torch.einsum("hqk,khd->qhd", scores.softmax(-1), v).reshape(length, width)
        x = x + gate * linear(mixed, f"{block}.attn_out")
        y = normed(x, f"{block}.norm2") * (1 + scale2) + shift2
        x = x + gate2 * linear(gelu(linear(y, f"{block}.mlp.0"), approximate="tanh"), f"{block}.mlp.2")
    shift, scale = linear(condition, "output_layer.adaLN_modulation").chunk(2)
    return linear(normed(x, "output_layer.norm_final") * (1 + scale) + shift, "output_layer.linear")


def test_logits_are_those_of_the_equations(folder, model):
    row = row_of(model)
    ours, _ = model.logits(inputs_of(row), torch.arange(len(row)))
    theirs = plain(folder, row)
    theirs[:, model.mask_id] = float("-inf")
    assert theirs[:, :300].std() > 0.5
    torch.testing.assert_close(ours.double(), theirs, rtol=1e-5, atol=2e-5)


def test_logits_at_some_positions_are_those_at_all(folder, model):
    row, some = row_of(model), torch.tensor([0, 2, 9])
    theirs = plain(folder, row)[some].index_fill(1, torch.tensor([model.mask_id]), float("-inf"))
    torch.testing.assert_close(model.logits(inputs_of(row), some)[0].double(), theirs, rtol=1e-5, atol=2e-5)


def test_flops_are_those_that_pytorch_counts(model):
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        model.logits(inputs_of(row_of(model, 12)), torch.tensor([2, 3, 11]))
    assert int(model.flops(torch.tensor([12]), torch.tensor([3]))) == counter.get_total_flops()


def test_the_text_is_as_long_as_the_model_was_trained_on_and_no_token_ends_it(model):
    row = model.encode(Request("0"))
    assert row.tokens == (model.mask_id,) * 64
    assert model.eos_ids == frozenset()
    words = model.codec.tokenizer
    prompted = model.encode(Request("0", prompt="The quick", length=3))
    assert words.decode(prompted.tokens[:-3]) == "The quick"
    text = [*words("fox.")["input_ids"], words.eos_token_id, *words("Janet")["input_ids"]]
    assert model.decode(text).text == "fox.<|endoftext|>Janet"


@pytest.mark.parametrize("sampler", ["ancestral", "remdm", "p2"])
def test_samplers_fill_it(model, sampler):
    for made in run(model, jobs_of(sampler)):
        assert len(made.output.tokens) == 64
        assert model.mask_id not in made.output.tokens


def jobs_of(sampler):
    made = jobs(sampler, 2, budget=8)
    return [job.__class__(**{**job.__dict__, "request": Request(str(i))}) for i, job in enumerate(made)]


def test_random_weights_and_what_is_refused(folder, tmp_path):
    small = mdlm(random="tiny")
    assert (small.vocab_size, small.mask_id, small.size) == (50258, 50257, 1024)
    layer = 12 * 512**2 + 5 * 512 + 2 * 512 + 6 * 512 * 129
    rest = 256 * 128 + 128 + 128 * 129 + 512 + 2 * 512 * 129
    sizes = 2 * 50258 * 512 + 50258 + 8 * layer + rest
    assert sum(each.numel() for each in small.transformer.parameters()) == sizes
    arguments = {"hub_revision": "", "tokenizer": "", "random": "", "dtype": "float32"}
    assert len(revision(pretrained=str(folder), **arguments)) == 16
    timed = write_mdlm(tmp_path / "timed", sizes={"time_conditioning": True})
    with pytest.raises(UserError, match="time_conditioning is True; this model is built with False only"):
        revision(pretrained=str(timed), **arguments)
