"""The model `mini` with random weights: its protocol, PyTorch's count of FLOPs, and the geometry that it declares."""

import dataclasses

import numpy as np
import pytest
import torch
from picture_files import shown
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from harness.engine.rows import RowEncoder
from harness.errors import UserError
from harness.miniworld import layout, scenes
from harness.miniworld.vocabulary import EOS_ID, FIRST_CODE, FIRST_DIGIT, NULL_ID, WORDS, encode
from harness.models.base import Inputs
from harness.models.mini.denoiser import MiniDenoiser
from harness.models.mini.network import MiniConfig, MiniTransformer
from harness.task import Request

SCENE = (scenes.Thing(0, 3, "circle", "red"), scenes.Thing(4, 4, "star", "blue"))
PUZZLE = "1..4\n..3.\n.2..\n4..1"


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    network = MiniTransformer(MiniConfig(width=64, depth=2, heads=2))
    torch.nn.init.normal_(network.head.weight)
    return MiniDenoiser(network.eval())


def requests() -> dict[str, Request]:
    return {
        "picture": Request("a", prompt="a photo of two circles"),
        "answer": Request("b", prompt="how many things are there", image=shown(scenes.render(SCENE)), length=2),
        "story": Request("c", prompt="write a story .", length=64),
        "sudoku": Request("d", prompt=PUZZLE),
    }


def inputs_of(model, request: Request) -> Inputs:
    row = model.encode(request)
    tokens = torch.tensor([list(row.tokens)])
    return Inputs(tokens, torch.ones_like(tokens, dtype=torch.bool), torch.tensor([list(row.positions)]))


def logits_of(model, inputs: Inputs) -> torch.Tensor:
    return model.logits(inputs, torch.arange(inputs.tokens.numel()))[0]


def test_each_kind_of_request_has_its_holes_and_its_tokens(model):
    rows = {name: model.encode(request) for name, request in requests().items()}
    assert {name: sum(row.editable) for name, row in rows.items()} == {
        "picture": 64,
        "answer": 2,
        "story": 64,
        "sudoku": 10,
    }
    assert {name: row.grid for name, row in rows.items() if row.grid} == {"picture": (8, 8)}
    seen = zip(rows["answer"].positions, rows["answer"].tokens, strict=True)
    shown = {position: t - FIRST_CODE for position, t in seen if FIRST_CODE <= t < model.mask_id}
    assert shown == {position: code for position, code in enumerate(scenes.codes(SCENE).tolist()) if code}
    given = [WORDS[t] for t in rows["sudoku"].tokens if t != model.mask_id]
    assert given == ["1", "4", "3", "2", "4", "1"]
    for row in rows.values():
        assert len(set(row.positions)) == len(row.positions) == len(row.tokens)
        assert {t == model.mask_id for t, hole in zip(row.tokens, row.editable, strict=True) if hole} == {True}


def test_position_ids_reach_the_canvas(model):
    from harness.components import make_sampler
    from harness.engine.generator import Job
    from harness.samplers import samplers
    from harness.spec import Decoding, SamplerSpec

    sampler = make_sampler(SamplerSpec(name="random"))
    request = requests()["answer"]
    job = Job("cell", request, 0, sampler, samplers["random"].info, Decoding(), 2, 0)
    canvas = RowEncoder(model).canvas([job])
    row = model.encode(request)
    assert canvas.positions[0, : len(row.positions)].tolist() == list(row.positions)
    assert canvas.tokens.shape[1] % 8 == 0
    assert canvas.valid.sum() == len(row.tokens)


@pytest.mark.parametrize("name", ["picture", "answer", "story", "sudoku"])
def test_only_tokens_of_the_right_kind_are_possible(model, name):
    row = model.encode(requests()[name])
    possible = logits_of(model, inputs_of(model, requests()[name])).isfinite()[torch.tensor(row.editable)]
    ids = torch.arange(model.vocab_size)
    expected = {
        "picture": (ids >= FIRST_CODE) & (ids < model.mask_id),
        "sudoku": (ids >= FIRST_DIGIT) & (ids < FIRST_DIGIT + 4),
    }.get(name, (ids < FIRST_CODE) & (ids != NULL_ID))
    assert (possible == expected).all()


def test_the_order_on_the_canvas_means_nothing(model):
    inputs = inputs_of(model, requests()["answer"])
    order = torch.randperm(inputs.tokens.shape[1], generator=torch.Generator().manual_seed(0))
    mixed = dataclasses.replace(inputs, tokens=inputs.tokens[:, order], positions=inputs.positions[:, order])
    torch.testing.assert_close(logits_of(model, mixed), logits_of(model, inputs)[order])


def test_a_word_elsewhere_is_another_word(model):
    inputs = inputs_of(model, requests()["story"])
    moved = dataclasses.replace(inputs, positions=inputs.positions.roll(1, dims=1))
    assert not torch.allclose(logits_of(model, moved), logits_of(model, inputs), atol=1e-2)


def test_padding_and_what_it_holds_are_not_seen(model):
    inputs = inputs_of(model, requests()["picture"])
    count = inputs.tokens.shape[1]

    def padded(fill: int) -> torch.Tensor:
        pad = torch.nn.functional.pad
        positions = torch.cat([inputs.positions, torch.tensor([[*range(count, count + 8)]]) + 500], dim=1)
        wide = Inputs(pad(inputs.tokens, (0, 8), value=fill), pad(inputs.valid, (0, 8), value=False), positions)
        return model.logits(wide, torch.arange(count))[0]

    assert torch.equal(padded(3), padded(model.mask_id))
    torch.testing.assert_close(padded(3), logits_of(model, inputs), rtol=1e-4, atol=1e-4)


def test_unconditional_forgets_the_prompt_and_nothing_else(model):
    inputs = inputs_of(model, Request("a", prompt="a photo of two stars"))
    twin = inputs_of(model, Request("a", prompt="a photo of two circles"))
    assert not torch.allclose(logits_of(model, inputs), logits_of(model, twin))
    assert torch.equal(*(logits_of(model, model.unconditional(each)) for each in (inputs, twin)))
    answer = inputs_of(model, requests()["answer"])
    kept = model.unconditional(answer).tokens
    assert torch.equal(kept[answer.positions < 64], answer.tokens[answer.positions < 64])


@pytest.mark.parametrize("sizes", [(160, 7, 5), (48, 2, 3)])
@pytest.mark.parametrize("length", [96, 36])
def test_flops_are_those_that_pytorch_counts(sizes, length):
    width, depth, heads = sizes
    model = MiniDenoiser(MiniTransformer(MiniConfig(width, depth, heads)).eval())
    tokens = torch.zeros(2, length, dtype=torch.int64)
    inputs = Inputs(tokens, torch.ones_like(tokens, dtype=torch.bool), torch.arange(length).expand(2, length))
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model.logits(inputs, torch.arange(4))
    sizes_of_rows = torch.tensor([length, length])
    assert model.flops(sizes_of_rows, sizes_of_rows).sum() == counter.get_total_flops()


def test_attention_maps_are_distributions_over_what_is_valid(model):
    inputs = dataclasses.replace(inputs_of(model, requests()["answer"]), outputs=frozenset({"attention"}))
    inputs.valid[:, 5] = False
    maps = model.logits(inputs, torch.arange(3))[1]["attention"]
    length = inputs.tokens.shape[1]
    assert maps.shape == (1, 2, length, length)
    torch.testing.assert_close(maps.sum(-1), torch.ones(1, 2, length))
    assert (maps[..., 5] == 0).all()


def test_outputs_are_pictures_texts_or_digits(model):
    codes = scenes.codes(SCENE)
    drawn = model.decode((codes + FIRST_CODE).tolist())
    assert drawn.text is None
    assert np.array_equal(drawn.image, scenes.render(SCENE))
    said = model.decode([*encode("the fox , and the P.S. ."), EOS_ID])
    assert (said.text, said.image) == ("the fox, and the P.S..", None)
    assert model.decode([FIRST_DIGIT, FIRST_DIGIT + 3]).text == "1 4"


@pytest.mark.parametrize(
    ("request_", "named"),
    [
        (Request("a"), "prompt"),
        (Request("a", prompt="a photo of a cirkle"), "circle"),
        (Request("a", prompt="a " * 33), "32"),
        (Request("a", prompt="a story", length=65), "64"),
        (Request("a", prompt="a story", length=0), "64"),
        (Request("a", prompt="a story", condition={"label": 3}), "condition"),
        (Request("a", prompt="how many", image=shown(np.zeros((32, 32, 3), np.uint8)), length=2), "64 x 64"),
        (Request("a", prompt="how many", image=shown(np.zeros((64, 64, 3), np.uint8))), "length"),
    ],
)
def test_a_request_it_cannot_serve_is_refused(model, request_, named):
    with pytest.raises(UserError, match="'a'") as caught:
        model.encode(request_)
    assert named in str(caught.value)


def test_cells_of_a_puzzle_share_groups_where_they_must_differ():
    _, groups = layout.coordinates()
    for size in layout.BLOCKS:
        row = layout.sudoku(np.zeros((size, size), dtype=np.int64))
        mine = groups[row.positions]
        for kind in range(3):
            _, counts = np.unique(mine[:, kind], return_counts=True)
            assert counts.tolist() == [size] * size
        # A cell's peers, by the rules: 2 (n - 1) in its row and column, and what else its block holds.
        rows, columns = layout.BLOCKS[size]
        peers = ((mine[:, None] == mine[None]).any(-1)).sum(1) - 1
        assert set(peers) == {2 * (size - 1) + (rows - 1) * (columns - 1)}


def test_patches_of_one_colour_share_what_is_learnt_of_the_colour(model):
    network = model.network
    red, circle = encode("red circle")
    before = network._embeddings().detach().clone()
    with torch.no_grad():
        network.token.weight[red] += 1
        after = network._embeddings()
        network.token.weight[red] -= 1
    moved = set((after - before).abs().sum(1).nonzero().flatten().tolist())
    scene = [(scenes.Thing(0, 0, shape, "red"),) for shape in scenes.SHAPES]
    patches = {FIRST_CODE + code for each in scene for code in scenes.codes(each).tolist() if code}
    assert moved == {red} | patches
    assert len(patches) == 24
    assert circle not in moved
