"""Meissonic and its one-step student: against numbers of the released code, PyTorch's count of FLOPs, samplers, and
broken folders."""

import json
import shutil

import pytest
import torch
from released_weights import official, tensors, write_meissonic
from safetensors.torch import save_file
from support import run
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from harness.components import identify, make_sampler, resolve_model
from harness.engine.generator import Job
from harness.errors import UserError
from harness.models.base import Inputs
from harness.models.image.cells import cells_of
from harness.models.image.meissonic import meissonic, meissonic_dimo
from harness.models.image.mmdit import MMDiT, mmdit_shape
from harness.models.start import unchanged
from harness.samplers import samplers
from harness.spec import Decoding, SamplerSpec
from harness.task import Request

CODES, GRID = 40, (4, 6)
SIZE = {"height": 8, "width": 12}
SAMPLERS = ("maskgit", "freecorrection", "halton", "remdm", "p2", "wino", "punt")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_meissonic(tmp_path_factory.mktemp("released") / "meissonic")


@pytest.fixture(scope="module")
def model(folder):
    return meissonic(pretrained=str(folder), **SIZE)


def job(name, budget=None, guidance=0.0, document="a", **args):
    sampler = make_sampler(SamplerSpec(name=name, args=args))
    request = Request(document, prompt=f"a {document}")
    return Job("cell", request, 0, sampler, samplers[name].info, Decoding(guidance=guidance), budget, 0)


def test_logits_are_those_of_the_released_code():
    with torch.device("meta"):
        network = MMDiT(mmdit_shape(official()["meissonic"]["config"]))
    network.load_state_dict(tensors("meissonic"), assign=True)
    tokens, cells = (torch.arange(2 * 24) * 17 % 56).view(2, 24), cells_of(GRID, 2, torch.device("cpu"))
    text = torch.sin(torch.arange(2 * 7 * 24).double() * 0.7).float().view(2, 7, 24)
    pooled = torch.sin(torch.arange(64).double() * 0.9).float().view(2, 32)
    numbers = torch.tensor([[64.0, 96.0, 0.0, 0.0, 6.0]]).expand(2, -1)
    with torch.inference_mode():
        hidden = network(tokens, cells, text, pooled, numbers, torch.tensor([5.0, 5.0]), unchanged)
        logits = network.head(hidden.flatten(0, 1))
    made = logits.flatten()[::37]
    torch.testing.assert_close(made, torch.tensor(official()["meissonic"]["logits"]), atol=2e-5, rtol=1e-5)


def test_the_time_is_the_step_that_a_cosine_schedule_is_at(model):
    """At every step of the released scheduler, which takes the cosine in float32 and rounds the masks down."""
    steps = torch.arange(64)
    masks = (4096 * torch.cos(steps / 64 * torch.pi / 2)).floor().long()
    assert torch.all(masks.diff() < 0)
    tokens = torch.where(torch.arange(4096) < masks[:, None], CODES, 0)
    assert model.time(tokens).tolist() == (63 - steps).tolist()
    assert model.time(torch.zeros(1, 5, dtype=torch.int64)).tolist() == [0]


@pytest.mark.parametrize("shadow", [0, 3])
def test_flops_are_those_that_torch_counts(model, shadow):
    row = model.encode(Request("a", prompt="a cat"))
    condition = {name: value[None] for name, value in row.condition.items()}
    tokens = torch.full((1, 24 + shadow), CODES)
    positions = torch.arange(24 + shadow)[None] % 24
    inputs = Inputs(tokens, torch.ones_like(tokens, dtype=torch.bool), positions, condition)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model.logits(inputs, torch.tensor([0, 3]))
    assert model.flops(torch.tensor([24 + shadow]), torch.tensor([2])).item() == counter.get_total_flops()


def shadowed(model, tokens, positions, shadow):
    """Logits of the canvas (24, …) and of a shadow at `positions`, of the tokens `shadow`, as WINO lays it."""
    count = 24 + len(positions)
    bias = torch.zeros(1, count, count)
    bias[:, :24, 24:] = float("-inf")
    for i, position in enumerate(positions):
        bias[0, 24 + i, position] = float("-inf")
    text, pooled = model.encoder("a cat")
    inputs = Inputs(
        tokens=torch.cat([tokens, torch.tensor([shadow])], dim=1),
        valid=torch.ones(1, count, dtype=torch.bool),
        positions=torch.tensor([[*range(24), *positions]]),
        condition={"text": text[None], "pooled": pooled[None]},
        attention_bias=bias,
    )
    return inputs, model.logits(inputs, torch.arange(count))[0][:, :CODES]


def test_a_shadow_is_not_seen_by_the_canvas(model):
    tokens = (torch.arange(24) * 7 % CODES)[None]
    inputs, first = shadowed(model, tokens, [1, 8, 9], [CODES] * 3)
    _, second = shadowed(model, tokens, [1, 8, 9], [3, 5, 6])
    assert torch.equal(first[:24], second[:24])
    assert not torch.allclose(first[24:], second[24:])
    plain = Inputs(tokens, inputs.valid[:, :24], inputs.positions[:, :24], inputs.condition)
    torch.testing.assert_close(first[:24], model.logits(plain, torch.arange(24))[0][:, :CODES], atol=1e-5, rtol=1e-5)


def test_a_shadow_does_not_depend_on_who_else_is_in_it_by_way_of_its_own_cell(model):
    """8 and 9 are in one cell: what stands at 8 must not reach the shadow of 8 in the cell of 9's shadow."""
    tokens = (torch.arange(24) * 7 % CODES)[None]
    _, alone = shadowed(model, tokens, [8], [CODES])
    _, beside_it = shadowed(model, tokens, [8, 9], [CODES, CODES])
    torch.testing.assert_close(alone[24], beside_it[24], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("position", [0, 3, 7, 8, 23])
def test_a_shadow_is_the_canvas_with_its_code_masked(model, position):
    """Where that code is masked already, the two cells are the same, and see the same."""
    tokens = (torch.arange(24) * 7 % CODES)[None]
    tokens[0, position] = CODES
    _, logits = shadowed(model, tokens, [position], [CODES])
    torch.testing.assert_close(logits[24], logits[position], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", SAMPLERS)
def test_samplers_fill_the_picture_with_codes(model, name):
    budget = None if name in ("wino", "punt") else 3
    todo = [job(name, budget, guidance=3.0, document=document) for document in ("cat", "dog")]
    for made in run(model, todo):
        assert set(made.output.tokens) <= set(range(CODES))
        assert made.output.image.shape == (8, 12, 3)


def test_prompt_and_negative_matter(model, folder):
    other = meissonic(pretrained=str(folder), negative="blurry", **SIZE)
    made = [run(each, [job("maskgit", 3, guidance=5.0)])[0].output.tokens for each in (model, other)]
    assert made[0] != made[1]
    first, second = run(model, [job("maskgit", 3, document="cat"), job("maskgit", 3, document="dog")])
    assert first.output.tokens != second.output.tokens


def test_the_student_makes_a_picture_in_one_step(folder):
    student = meissonic_dimo(pretrained=str(folder), transformer=str(folder / "transformer"), **SIZE)
    (made,) = run(student, [job("one_step")])
    assert made.cost.nfe == 1
    assert set(made.output.tokens) <= set(range(CODES))


def test_the_revision_changes_with_each_part(folder, tmp_path):
    arguments = {"pretrained": str(folder), **SIZE}
    first = identify(resolve_model("meissonic", arguments, "here")).revision
    place = tmp_path / "transformer"
    place.mkdir()
    (place / "config.json").write_text((folder / "transformer/config.json").read_text())
    changed = tensors("meissonic")
    changed["mlm_layer.conv2.weight"] = changed["mlm_layer.conv2.weight"] + 1
    save_file(changed, place / "diffusion_pytorch_model.safetensors")
    second = identify(resolve_model("meissonic", {**arguments, "transformer": str(place)}, "here")).revision
    assert first != second


@pytest.mark.parametrize("part", ["transformer", "text_encoder", "vqvae"])
def test_a_part_that_is_cut_off_is_found_before_it_is_loaded(folder, tmp_path, part):
    shutil.copytree(folder, tmp_path / "copy")
    spec = resolve_model("meissonic", {"pretrained": str(tmp_path / "copy"), **SIZE}, "here")
    assert identify(spec).revision == identify(resolve_model("meissonic", {"pretrained": str(folder)}, "here")).revision
    (path,) = (tmp_path / "copy" / part).glob("*.safetensors")
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(UserError, match=f"{part}.*incomplete metadata"):
        identify(spec)
    path.unlink()
    with pytest.raises(UserError, match=part):
        identify(spec)


def test_a_size_that_the_model_cannot_draw_is_found_before_it_is_loaded(folder):
    with pytest.raises(UserError, match="multiples of 4"):
        identify(resolve_model("meissonic", {"pretrained": str(folder), **SIZE, "height": 10}, "here"))


def test_what_is_wrong_is_said(folder, tmp_path, model):
    place = tmp_path / "transformer"
    place.mkdir()
    config = official()["meissonic"]["config"]
    broken = tensors("meissonic")
    del broken["embed.conv.weight"]
    save_file(broken, place / "diffusion_pytorch_model.safetensors")

    def said(message, settings=config, **arguments):
        (place / "config.json").write_text(json.dumps(settings))
        with pytest.raises(UserError, match=message):
            meissonic(**{"pretrained": str(folder), "transformer": str(place), **SIZE, **arguments})

    said("missing: embed.conv.weight")
    said("codebook_size is missing", {key: value for key, value in config.items() if key != "codebook_size"})
    said("add up to 16", {**config, "axes_dims_rope": [2, 6, 6]})
    said("multiples of 4", transformer="", height=10)
    said("timesteps is 0", transformer="", timesteps=0)
    said("neither a size nor a folder", random="2b")
    with pytest.raises(UserError, match="perturbation is"):
        meissonic_dimo(pretrained=str(folder), perturbation=2.0)
    for request in (Request("a"), Request("a", prompt="x", condition={"label": 1}), Request("a", prompt="x", length=3)):
        with pytest.raises(UserError, match="'a'"):
            model.encode(request)


def test_the_published_size_has_about_a_billion_parameters():
    from harness.models.image.meissonic import _RANDOM

    with torch.device("meta"):
        network = MMDiT(mmdit_shape(_RANDOM["1b"]))
    assert sum(each.numel() for each in network.parameters()) == pytest.approx(1e9, rel=0.25)
