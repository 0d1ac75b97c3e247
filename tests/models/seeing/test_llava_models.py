"""LLaDA-V and LaViDa: against plain torch, what a batch may not change, what it costs, and what is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from asked import answers, ask, inputs_of, picture
from picture_files import shown
from plain_eye import plain_features
from plain_networks import DREAM, LLADA, PlainNetwork
from seeing_checkpoints import TOWER, write_lavida, write_llada_v
from support import jobs, run
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from harness.components import load_model, resolve_model
from harness.errors import UserError
from harness.models.seeing import pictures as pictures_module
from harness.models.seeing.anyres import best_resolution, cut, read_resolutions
from harness.models.seeing.families import lavida, llada_v, llada_v_revision
from harness.task import Request

MODELS = {
    "llada_v": (write_llada_v, llada_v, DREAM, False, 4),
    "lavida": (write_lavida, lavida, LLADA, True, None),
    "lavida_dream": (lambda folder: write_lavida(folder, "dream"), lavida, DREAM, True, None),
}
PICTURES = {(28, 70): (1, 3), (140, 56): (5, 2), (56, 56): (2, 2)}
"""(height, width) of pictures to the tiles that LLaDA-V cuts them into, of 28 pixels."""


@pytest.fixture(scope="module", params=MODELS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def folder(name, tmp_path_factory):
    return MODELS[name][0](tmp_path_factory.mktemp(name) / "tiny")


@pytest.fixture(scope="module")
def model(name, folder):
    return MODELS[name][1](pretrained=str(folder), dtype="float32")


@pytest.mark.parametrize("size", PICTURES)
def test_features_and_logits_are_those_of_plain_torch(name, folder, model, size):
    image = picture(*size)
    _, _, names, pooled, most = MODELS[name]
    plain = PlainNetwork(folder, names)
    resolutions = model.network.eye.shape.resolutions
    wide, high = best_resolution(*size, resolutions)
    tiles = (high // 28, wide // 28)
    if name == "llada_v":
        assert tiles == PICTURES[size]
    expected = plain_features(plain.weights, TOWER, image, tiles, pooled, most)
    row = model.encode(ask(image))
    place = row.condition["place"]
    seen = model.embeddings(inputs_of(model, [row]))[0, place : place + len(expected)]
    assert row.condition["prompt"] > place + len(expected)
    assert expected.std() > 0.3
    torch.testing.assert_close(seen.double(), expected, rtol=1e-4, atol=1e-4)
    logits = plain(list(row.tokens), {place: expected})
    if name == "lavida_dream":
        logits = torch.cat([logits[:1], logits[:-1]])
    logits[:, model.never] = float("-inf")
    (ours,) = answers(model, [row])
    torch.testing.assert_close(ours.double(), logits[-4:], rtol=1e-4, atol=2e-4)


def test_the_prompt_is_that_of_the_release(name, model):
    words = model.codec.tokenizer
    row = model.encode(ask(picture(28, 28)))
    place, count = row.condition["place"], model.network.eye.count(28, 28)
    before, after = row.tokens[:place], row.tokens[place + count : row.condition["prompt"]]
    system = "You are a helpful language and vision assistant. You are able to understand the visual content that the "
    system += "user provides, and assist the user with a variety of tasks using natural language."
    if name == "lavida_dream":
        assert words.decode(before) == f"<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n"
        assert words.decode(after) == "\nWhat is it?<|im_end|>\n<|im_start|>assistant\n"
    else:
        head = "<|start_header_id|>{}<|end_header_id|>\n\n"
        assert words.decode(before) == f"<|startoftext|>{head.format('system')}{system}<|eot_id|>{head.format('user')}"
        # The release drops the token after the picture, the line break, where a text begins with the BOS token.
        assert words.decode(after) == f"What is it?<|eot_id|>{head.format('assistant')}"
    assert set(row.tokens[place : place + count]).isdisjoint({model.mask_id, *model.eos_ids})
    text = model.encode(Request("0", prompt="What is it?", length=4))
    assert words.decode(text.tokens[: text.condition["prompt"]]).count("What is it?") == 1
    assert text.condition["picture"] == -1


def test_a_conversation_has_its_picture_in_the_first_turn_and_a_suffix_in_each(folder, name):
    model = MODELS[name][1](pretrained=str(folder), dtype="float32", suffix=" /think")
    turns = (("user", "Where?"), ("assistant", "Here."), ("user", "And who?"))
    row = model.encode(Request("0", turns=turns, image=shown(picture(28, 28)), length=2))
    place, count = row.condition["place"], model.network.eye.count(28, 28)
    said = model.codec.tokenizer.decode(row.tokens[place + count :])
    assert "Where? /think" in said
    assert "And who? /think" in said
    assert "Here. /think" not in said


def test_a_row_gets_in_a_batch_what_it_gets_alone(model):
    images = [picture(28, 70), None, picture(56, 56, seed=1), picture(28, 70, seed=2)]
    rows = [model.encode(ask(image, str(i))) for i, image in enumerate(images)]
    together = answers(model, rows, length=800)
    for row, logits in zip(rows, together, strict=True):
        torch.testing.assert_close(answers(model, [row])[0], logits, rtol=1e-4, atol=1e-4)
    assert (together[0] - together[3])[torch.isfinite(together[0])].abs().max() > 0.01  # the picture matters


def test_features_are_made_once_and_again_when_there_is_no_room(model, monkeypatch):
    made, eye = [], model.pictures._eye
    monkeypatch.setattr(model.pictures, "_eye", lambda image: made.append(image.shape) or eye(image))
    rows = [model.encode(ask(picture(28, 28, seed=seed))) for seed in (5, 5, 6)]
    assert rows[0].condition["picture"] == rows[1].condition["picture"] != rows[2].condition["picture"]
    first = answers(model, rows)
    answers(model, rows)
    assert len(made) == 2
    monkeypatch.setattr(pictures_module, "ROOM", 0)
    answers(model, rows[2:])
    again = answers(model, rows)
    assert len(made) == 3  # the one that no row of the call before needed
    assert all(torch.equal(one, two) for one, two in zip(first, again, strict=True))


def test_guidance_withholds_the_picture(model):
    rows = [model.encode(ask(picture(28, 28, seed=seed))) for seed in (1, 2)]
    without = model.unconditional(inputs_of(model, rows))
    embedded = model.embeddings(without)
    prompt = rows[0].condition["prompt"]
    assert (without.tokens[:, :prompt] == model.mask_id).all()
    assert torch.equal(embedded[0], embedded[1])


def test_flops_are_those_that_torch_counts_and_the_eye_works_once(model):
    image = picture(28, 70)
    row = model.encode(ask(image))
    with torch.inference_mode(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model.network.eye(image)
    assert row.flops == counter.get_total_flops()
    lengths, made = torch.tensor([len(row.tokens)]), torch.tensor([4])
    todo = [replace(jobs("llada", 1, budget=budget)[0], request=ask(image)) for budget in (1, 4)]
    one, two = run(model, todo)
    assert one.cost.flops == pytest.approx(row.flops + float(model.flops(lengths, made)))
    assert one.cost.nfe == 1
    head = float(model.flops(lengths, torch.tensor([1])) - model.flops(lengths, torch.tensor([0])))
    assert two.cost.flops == pytest.approx(
        row.flops + 4 * float(model.flops(lengths, made * 0)) + head * (4 + 3 + 2 + 1)
    )


class TestRefused:
    @pytest.fixture
    def spoilt(self, tmp_path):
        return write_llada_v(tmp_path / "spoilt")

    def revise(self, folder):
        return llada_v_revision(pretrained=str(folder), hub_revision="", random="", dtype="float32")

    def test_a_missing_file(self, spoilt):
        (spoilt / "model-00002-of-00002.safetensors").unlink()
        with pytest.raises(UserError, match="lacks 1 of the 2 files of weights"):
            self.revise(spoilt)

    def test_a_checkpoint_without_the_tower(self, spoilt):
        path = spoilt / "model.safetensors.index.json"
        index = json.loads(path.read_text())
        index["weight_map"] = {key: file for key, file in index["weight_map"].items() if "vision_tower" not in key}
        path.write_text(json.dumps(index))
        with pytest.raises(UserError, match=r"missing: model\.vision_tower\.vision_tower\.vision_model\.embeddings"):
            self.revise(spoilt)

    def test_a_projector_of_another_shape(self, tmp_path):
        folder = write_llada_v(tmp_path / "other", vision_config={**TOWER, "hidden_size": 64})
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "vision_config": TOWER}))
        with pytest.raises(UserError, match=r"64"):
            self.revise(folder)

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ({"image_grid_pinpoints": None}, r"image_grid_pinpoints is 'None'"),
            ({"image_grid_pinpoints": [[28, 30]]}, "each a multiple of 28"),
            ({"image_aspect_ratio": "pad"}, "built with anyres only"),
            ({"mm_projector_type": "linear"}, "built with 'mlp2x_gelu' only"),
        ],
    )
    def test_another_way_of_seeing(self, spoilt, change, says):
        config = json.loads((spoilt / "config.json").read_text())
        (spoilt / "config.json").write_text(json.dumps({**config, **change}))
        with pytest.raises(UserError, match=says):
            self.revise(spoilt)

    def test_a_label(self, model):
        with pytest.raises(UserError, match="document 'a': the model takes a prompt and a picture"):
            model.encode(replace(ask(picture(28, 28), "a"), condition={"label": 1}))

    def test_more_than_the_model_takes(self, model, name):
        if name == "lavida_dream":
            pytest.skip("Dream takes 131,072 tokens")
        with pytest.raises(UserError, match="are more than the 4096"):
            model.encode(ask(picture(28, 28), length=4096))


def test_published_sizes_need_no_tokenizer_and_no_memory_on_meta():
    for name, size, tokens in (("llada_v", "8b", 729 + 27 * 28), ("lavida", "8b", 196), ("lavida", "7b", 196)):
        model = load_model(resolve_model(name, {"random": size}, "here"), "meta")
        row = model.encode(ask(np.zeros((300, 300, 3), np.uint8)))
        assert len(row.tokens) > tokens
        assert row.flops > 1e11
    weights = sum(parameter.numel() for parameter in model.network.eye.parameters())
    assert weights == pytest.approx(0.415e9, rel=0.01)  # so400m has 428 million, two layers' worth of them unused


def test_random_weights_of_any_size(folder, name):
    model = MODELS[name][1](random=str(folder), dtype="float32")
    (logits,) = answers(model, [model.encode(ask(picture(28, 28)))])
    assert logits[torch.isfinite(logits)].std() > 0.1


@pytest.mark.parametrize(
    ("size", "tiles", "shape"),
    [
        ((480, 640), (2, 2), (40, 54)),  # int(480 * 54 / 640) = 40 of 54 rows, below a border of 7
        ((300, 300), (1, 1), (27, 27)),
        ((1000, 350), (3, 1), (77, 27)),  # int(1000 * 27 / 350) = 77 of 81 rows
        ((1500, 1500), (4, 4), (54, 54)),  # 108 x 108 are four times what four tiles have
    ],
)
def test_cuts_worked_out_by_hand(size, tiles, shape):
    found = cut(*size, read_resolutions("(1x1),...,(6x6)", 384), 384, 27, 4)
    assert (found.tiles, found.shape) == (tiles, shape)
