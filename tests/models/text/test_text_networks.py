"""LLaDA and Dream against the same networks in plain torch, and what a batch may not change."""

from dataclasses import replace

import pytest
import torch
from checkpoints import write_dream, write_llada, write_llada_moe
from plain_networks import DREAM, LLADA, LLADA_MOE, PlainNetwork
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from harness.components import make_sampler
from harness.engine.generator import Job
from harness.engine.loop import CanvasEngine
from harness.models.base import Inputs
from harness.models.text.families import DREAM_7B, LLADA_8B, LLADA_MOE_7B, dream, llada, llada_moe
from harness.models.text.loading import empty_network
from harness.models.text.model import factory
from harness.models.text.network import Shape, TextNetwork
from harness.samplers import samplers
from harness.spec import Decoding, SamplerSpec
from harness.task import Request

WRITERS = {
    "llada": (write_llada, llada, LLADA),
    "llada_moe": (write_llada_moe, llada_moe, LLADA_MOE),
    "dream": (write_dream, dream, DREAM),
}


@pytest.fixture(scope="module", params=["llada", "llada_moe", "dream"])
def name(request):
    return request.param


@pytest.fixture(scope="module")
def folder(name, tmp_path_factory):
    return WRITERS[name][0](tmp_path_factory.mktemp(name) / "tiny")


@pytest.fixture(scope="module")
def model(name, folder):
    return WRITERS[name][1](pretrained=str(folder), dtype="float32")


@pytest.fixture(scope="module")
def plain(name, folder):
    return PlainNetwork(folder, WRITERS[name][2])


def batch(rows, length=None):
    """Rows of tokens as inputs, padded on the right."""
    length = length or max(map(len, rows))
    tokens = torch.tensor([[*row, *[7] * (length - len(row))] for row in rows])
    valid = torch.tensor([[i < len(row) for i in range(length)] for row in rows])
    condition = {"prompt": torch.tensor([len(row) // 2 for row in rows])}
    return Inputs(tokens, valid, torch.arange(length).repeat(len(rows), 1), condition)


def everywhere(model, inputs):
    """(B, L, V) logits."""
    logits, _ = model.logits(inputs, torch.arange(inputs.tokens.numel()))
    return logits.view(*inputs.tokens.shape, -1)


def some_rows(model, *lengths):
    generator = torch.Generator().manual_seed(3)
    rows = [torch.randint(0, 300, (length,), generator=generator).tolist() for length in lengths]
    return [[*row[: len(row) // 2], *[model.mask_id] * (len(row) - len(row) // 2)] for row in rows]


def expected(name, plain, row, mask_id):
    """(L, V): what the model should say, in float64; Dream's position i is told at i − 1, and 0 at 0."""
    logits = plain(row)
    if name == "dream":
        logits = torch.cat([logits[:1], logits[:-1]])
    logits[:, mask_id] = float("-inf")
    return logits


def test_logits_are_those_of_the_plain_network(name, model, plain):
    (row,) = some_rows(model, 23)
    ours, theirs = everywhere(model, batch([row]))[0], expected(name, plain, row, model.mask_id)
    assert theirs[:, :300].std() > 1  # predictions that differ
    torch.testing.assert_close(ours.double(), theirs, rtol=1e-5, atol=2e-5)


def test_grouped_keys_and_one_file_of_weights(tmp_path):
    folder = write_llada(tmp_path / "grouped", sizes={"n_kv_heads": 2}, shards=1)
    model = llada(pretrained=str(folder), dtype="float32")
    (row,) = some_rows(model, 12)
    theirs = expected("llada", PlainNetwork(folder, LLADA), row, model.mask_id)
    torch.testing.assert_close(everywhere(model, batch([row]))[0].double(), theirs, rtol=1e-5, atol=2e-5)


def test_rows_of_other_lengths_in_the_batch_change_a_row_by_rounding_only(model):
    rows = some_rows(model, 5, 19, 12)
    together = everywhere(model, batch(rows, 32))
    for row, logits in zip(rows, together, strict=True):
        alone = everywhere(model, batch([row]))[0]
        torch.testing.assert_close(logits[: len(row)], alone, rtol=1e-5, atol=1e-5)


RAGGED = torch.tensor([0, 1, 3, 8, 28, 29, 41])
"""Flat positions in three rows of 14: four of the first, none of the second, three of the last."""


def test_the_last_layer_and_the_head_run_where_they_are_asked(name, model, plain):
    rows = some_rows(model, 9, 12, 14)
    some, _ = model.logits(batch(rows), RAGGED)
    assert some.shape == (7, 512)
    theirs = [expected(name, plain, rows[place // 14], model.mask_id)[place % 14] for place in RAGGED.tolist()]
    torch.testing.assert_close(some.double(), torch.stack(theirs), rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("layout", ["llama", "qwen2", "qwen3", "qwen3_moe"])
def test_the_last_layer_at_some_positions_is_that_of_transformers(layout):
    experts = (4, 2) if layout.endswith("moe") else (0, 1)
    torch.manual_seed(0)
    network = TextNetwork(Shape(layout, 40, 32, 2, 4, 2, 8, 24, 1e-5, 10_000.0, 64, experts)).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, mean=float(parameter.dim() == 1), std=0.3)
    tokens, positions = torch.randint(0, 40, (3, 14)), torch.arange(14).repeat(3, 1)
    bias = torch.randn(3, 1, 14, 14).masked_fill(torch.arange(14) > 11, float("-inf"))
    for mask in (None, torch.ones(3, 1, 1, 14, dtype=torch.bool), bias):
        maps: dict[bool, list] = {True: [], False: []}
        for record in ({True: None, False: None}, {each: kept.append for each, kept in maps.items()}):
            with torch.inference_mode():
                some = network(tokens, positions, mask, RAGGED, record[True])
                x = network.embed_tokens(tokens)
                whole = network.run(x, network.rotation(x, positions), mask, record[False])
            torch.testing.assert_close(some, whole.flatten(0, 1)[RAGGED], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(maps[True], maps[False])


@pytest.mark.parametrize("sampler", ["confidence", "threshold"])
def test_tokens_are_those_of_whole_layers(model, sampler, monkeypatch):
    """Three rows of unlike lengths, whose numbers of masks differ from step to step."""
    info, made = samplers[sampler].info, make_sampler(SamplerSpec(name=sampler, args={}))
    prompts, decoding = ("Why?", "Name three rivers of Asia.", "How many?"), Decoding(temperature=0.0)
    budgets = (6, 9, 12) if info.knob == "steps" else (None,) * 3
    todo = [
        Job("cell", Request(f"{i}", prompts[i], length=12 + i), 0, made, info, decoding, budgets[i], 0)
        for i in range(3)
    ]

    def tokens():
        return {one.job.request.document: one.output.tokens for one in CanvasEngine(model, 3).generate(todo)}

    def whole(x, rotation, mask, record=None, recall=None, index=None):
        return run(x, rotation, mask, record, recall).flatten(0, 1)[index]

    ours, run = tokens(), model.transformer.run
    monkeypatch.setattr(model.transformer, "run", whole)
    assert ours == tokens()
    assert len({*ours["0"], *ours["1"], *ours["2"]}) > 3


def test_attention_maps_and_a_bias_of_zero_change_nothing(model, plain):
    (row,) = some_rows(model, 11)
    inputs = batch([row])
    logits, extra = model.logits(replace(inputs, outputs=frozenset({"attention"})), torch.arange(11))
    plain(row)
    torch.testing.assert_close(extra["attention"][0].double(), torch.stack(plain.attention), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(logits, everywhere(model, inputs)[0], rtol=1e-5, atol=1e-5)
    biased = everywhere(model, replace(inputs, attention_bias=torch.zeros(1, 11, 11)))
    torch.testing.assert_close(biased, everywhere(model, inputs), rtol=1e-5, atol=1e-5)
    hidden = torch.zeros(1, 11, 11)
    hidden[:, :, -1] = float("-inf")
    shorter = everywhere(model, batch([row[:-1]]))
    ours = everywhere(model, replace(inputs, attention_bias=hidden))[:, :-1]
    torch.testing.assert_close(ours, shorter, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("outputs", [frozenset(), frozenset({"attention"})], ids=["plain", "attention"])
def test_flops_are_those_that_pytorch_counts(model, monkeypatch, outputs):
    rows = some_rows(model, 10, 10)
    index = torch.tensor([1, 2, 13])
    # The counter does not see products of grouped matrices.
    monkeypatch.setattr(model.transformer.layers[0].self_attn.config, "_experts_implementation", "eager")
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        model.logits(replace(batch(rows), outputs=outputs), index)
    ours = model.flops(torch.tensor([10, 10]), torch.tensor([2, 1]))
    assert int(ours.sum()) == counter.get_total_flops()


def test_guidance_withholds_the_prompt(model):
    row = some_rows(model, 10)[0]
    bare = model.unconditional(batch([row, row[:6]]))
    assert bare.tokens[0].tolist() == [model.mask_id] * 10
    assert bare.tokens[1].tolist() == [*[model.mask_id] * 3, *row[3:6], *[7] * 4]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_short_dtypes_are_near_the_long_one(name, folder, model, dtype):
    short = WRITERS[name][1](pretrained=str(folder), dtype=dtype)
    inputs = batch(some_rows(model, 9, 17))
    ours, theirs = everywhere(short, inputs), everywhere(model, inputs)
    assert ours.dtype == getattr(torch, dtype)
    kept = torch.isfinite(theirs) & inputs.valid[..., None]
    assert (ours.float() - theirs)[kept].abs().mean() < (0.05 if dtype == "bfloat16" else 0.01)


def test_rows_of_one_length_need_no_mask(name, folder, model):
    exact = WRITERS[name][1](pretrained=str(folder), dtype="float32", bucket=1)
    inputs = batch(some_rows(model, 9, 9))
    assert exact._mask(inputs) is None
    assert model._mask(inputs) is not None
    torch.testing.assert_close(everywhere(exact, inputs), everywhere(model, inputs), rtol=1e-5, atol=1e-5)
    padded = batch(some_rows(model, 9, 5))
    torch.testing.assert_close(everywhere(exact, padded), everywhere(model, padded), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("family", "size", "billions"),
    [(LLADA_8B, "8b", 8.0156), (LLADA_MOE_7B, "7b", 7.3568), (DREAM_7B, "7b", 7.6156)],
    ids=["llada", "llada_moe", "dream"],
)
def test_published_sizes(family, size, billions):
    network = empty_network(family.layout, family.random[size])
    assert sum(each.numel() for each in network.parameters()) / 1e9 == pytest.approx(billions, abs=1e-4)


def test_random_weights_are_the_same_each_time():
    small = {**LLADA_8B.random["8b"], "d_model": 64, "n_layers": 2, "n_heads": 4, "mlp_hidden_size": 96}
    small |= {"vocab_size": 1000, "mask_token_id": 999, "eos_token_id": 998}
    load = factory(replace(LLADA_8B, random={"small": small}))
    one, two = (load(random="small", dtype="float32") for _ in range(2))
    row = one.encode(Request("0", prompt="Hé", length=4))
    assert row.tokens[:3] == (*"Hé".encode(),)
    assert one.decode([72, 105, 900]).text == "Hi"
    logits = everywhere(one, batch([row.tokens]))
    assert torch.equal(logits, everywhere(two, batch([row.tokens])))
    kept = logits[0, -4:, :999]
    assert 0.5 < kept.std() < 2
    assert torch.corrcoef(kept).triu(1).max() < 0.999  # masked positions differ
