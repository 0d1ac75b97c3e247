"""Dimple: its patches, positions and projector by hand, text as Dream has it, and what a batch may not change. With a
picture its logits were compared with the released code; see docs/parity.md."""

import json

import numpy as np
import pytest
import torch
from asked import answers, ask, inputs_of, picture
from PIL import Image
from plain_networks import DREAM, PlainNetwork
from seeing_checkpoints import write_dimple
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from harness.components import load_model, resolve_model
from harness.errors import UserError
from harness.models.seeing.families import dimple, dimple_revision
from harness.task import Request


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_dimple(tmp_path_factory.mktemp("dimple") / "tiny")


@pytest.fixture(scope="module")
def model(folder):
    return dimple(pretrained=str(folder), dtype="float32")


def revise(folder):
    return dimple_revision(pretrained=str(folder), hub_revision="", random="", dtype="float32")


@pytest.mark.parametrize(
    ("size", "grid"),
    [((480, 640), (17, 23)), ((28, 28), (2, 2)), ((100, 60), (4, 2)), ((5000, 6000), (116, 140))],
)
def test_a_picture_keeps_its_shape_within_limits(model, size, grid):
    """28 x 28 is below 3,136 pixels, 5,000 x 6,000 above 12,845,056, by 1.5283 in each
    direction; 60 / 28 rounds to 2."""
    assert model.network.eye.grid(*size) == grid


def test_patches_by_hand(model):
    image = picture(84, 112)
    patches = model.network.eye.patches(image)
    assert patches.shape == (3 * 4 * 4, 3 * 2 * 14 * 14)
    mean, std = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
    normal = ((image / 255 - mean) / std).transpose(2, 0, 1)
    # The feature in row 1, column 2 is the seventh; of its four patches the third is below on the left.
    block = normal[:, 28 + 14 : 28 + 28, 56 : 56 + 14]
    expected = np.stack([block, block], axis=1).reshape(-1)
    np.testing.assert_allclose(patches[(1 * 4 + 2) * 4 + 2], expected, rtol=1e-5, atol=1e-6)


def test_positions_go_by_row_and_column_and_on_after_the_longer_side(model):
    row = model.encode(ask(picture(56, 84), length=3))
    place, positions = row.condition["place"], model._positions(inputs_of(model, [row]))[:, 0, : len(row.tokens)]
    assert torch.equal(positions[:, :place], torch.arange(place).repeat(3, 1))
    seen = positions[:, place : place + 6] - place
    assert seen.tolist() == [[0] * 6, [0, 0, 0, 1, 1, 1], [0, 1, 2, 0, 1, 2]]
    after = torch.arange(len(row.tokens) - place - 6) + place + 3
    assert torch.equal(positions[:, place + 6 :], after.repeat(3, 1))


def test_channels_turn_by_their_sections(model):
    """Sections (2, 3, 3) of 8 pairs of channels: the first two pairs turn by time, the last three by width."""
    network = model.network
    x, positions = torch.zeros(1, 1, 64), torch.tensor([[[5]], [[7]], [[11]]])
    cosine, sine = network.turned(x, positions)
    frequency = 1_000_000.0 ** (-torch.arange(8) / 8)
    angles = torch.tensor([5, 5, 7, 7, 7, 11, 11, 11]) * frequency
    torch.testing.assert_close(cosine[0, 0], torch.cat([angles, angles]).cos())
    torch.testing.assert_close(sine[0, 0], torch.cat([angles, angles]).sin())


def test_a_text_is_read_as_dream_reads_it(model, folder):
    row = model.encode(Request("0", prompt="What is it?", length=4))
    logits = PlainNetwork(folder, DREAM)(list(row.tokens))
    logits = torch.cat([logits[:1], logits[:-1]])
    logits[:, model.never] = float("-inf")
    torch.testing.assert_close(answers(model, [row])[0].double(), logits[-4:], rtol=1e-4, atol=1e-4)


def test_features_are_the_towers_through_the_projector(model):
    image, eye = picture(56, 84), model.network.eye
    with torch.inference_mode():
        seen = eye.tower(torch.from_numpy(eye.patches(image)), grid_thw=torch.tensor([[1, 4, 6]]))
        seen = getattr(seen, "pooler_output", seen)
        first, second = eye.projector[0], eye.projector[2]
        hidden = seen @ first.weight.T + first.bias
        expected = hidden * torch.sigmoid(hidden) @ second.weight.T + second.bias
        torch.testing.assert_close(eye(image), expected)
    assert expected.shape == (6, 64)
    assert expected.std() > 0.3


def test_a_row_gets_in_a_batch_what_it_gets_alone(model):
    images = [picture(56, 140), None, picture(90, 60, seed=1), picture(56, 140, seed=2)]
    rows = [model.encode(ask(image, str(i))) for i, image in enumerate(images)]
    together = answers(model, rows, length=200)
    for row, logits in zip(rows, together, strict=True):
        torch.testing.assert_close(answers(model, [row])[0], logits, rtol=1e-4, atol=1e-4)
    assert (together[0] - together[3])[torch.isfinite(together[0])].abs().max() > 0.01


def test_flops_are_those_that_torch_counts(model):
    image = picture(300, 200)
    with torch.inference_mode(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model.network.eye(image)
    assert model.encode(ask(image)).flops == counter.get_total_flops()


def test_what_is_refused(model, folder, tmp_path):
    with pytest.raises(UserError, match=r"document '0': the model takes pictures of at least 28 pixels a side"):
        model.encode(ask(picture(24, 60)))
    write_dimple(tmp_path / "wrong", mrope_section=[2, 3, 4])
    with pytest.raises(UserError, match="three numbers that add up to 8"):
        revise(tmp_path / "wrong")
    write_dimple(tmp_path / "less")
    path = tmp_path / "less" / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    index["weight_map"] = {key: file for key, file in index["weight_map"].items() if "img_projector" not in key}
    path.write_text(json.dumps(index))
    with pytest.raises(UserError, match=r"missing: img_projector\.linear_1"):
        revise(tmp_path / "less")


def test_the_published_size_on_meta():
    model = load_model(resolve_model("dimple", {"random": "7b"}, "here"), "meta")
    row = model.encode(ask(np.array(Image.new("RGB", (640, 480)))))
    assert len(row.tokens) > 17 * 23
    weights = sum(parameter.numel() for parameter in model.network.eye.tower.parameters())
    assert weights == pytest.approx(0.676e9, rel=0.01)
