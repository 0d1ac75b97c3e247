"""Halton-MaskGIT, MaskGIT in PyTorch and its one-step student, and their codecs: against numbers of the released code,
PyTorch's count of FLOPs, every sampler that images need, and broken files."""

import json
from dataclasses import replace

import pytest
import torch
from released_weights import halton_arguments, maskgit_arguments, official, tensors, write
from safetensors.torch import save_file
from support import jobs, run
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from harness.components import identify, resolve_model
from harness.errors import UserError
from harness.models.base import Inputs
from harness.models.image.halton_maskgit import SIZES, HaltonTransformer, halton_maskgit
from harness.models.image.maskgit_pytorch import SIZES as MASKGIT_SIZES
from harness.models.image.maskgit_pytorch import MaskGITTransformer, maskgit_dimo, maskgit_pytorch
from harness.task import Request

CODES, PLACES = 96, 16
MODELS = ("halton_maskgit", "maskgit_pytorch")
SAMPLERS = ("maskgit", "maskgit_arccos", "freecorrection", "halton", "remdm", "p2", "wino", "punt")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write(tmp_path_factory.mktemp("released") / "files")


@pytest.fixture(scope="module")
def models(folder):
    return {
        "halton_maskgit": halton_maskgit(**halton_arguments(folder)),
        "maskgit_pytorch": maskgit_pytorch(**maskgit_arguments(folder)),
        "maskgit_dimo": maskgit_dimo(**maskgit_arguments(folder, "student.bin")),
    }


def partly_masked():
    """Two rows, of which the first has its class and the second has none."""
    tokens = torch.tensor(official()["tokens"])
    return Inputs(
        tokens=tokens,
        valid=torch.ones_like(tokens, dtype=torch.bool),
        positions=torch.arange(PLACES).expand(2, PLACES),
        condition={"label": torch.tensor(official()["label"])},
    )


def everywhere(model, inputs):
    return model.logits(inputs, torch.arange(inputs.tokens.numel()))[0].view(*inputs.tokens.shape, -1)


@pytest.mark.parametrize("name", MODELS)
def test_logits_are_those_of_the_released_code(models, name):
    logits = everywhere(models[name], partly_masked())
    assert torch.all(logits[..., CODES] == float("-inf"))
    made = logits[..., :CODES].flatten()[::53]
    torch.testing.assert_close(made, torch.tensor(official()[name]["logits"]), atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize(("name", "codec"), [("halton_maskgit", "llamagen"), ("maskgit_pytorch", "taming")])
def test_codecs_encode_and_decode_as_the_released_code(models, name, codec):
    network = models[name].codec
    pictures = torch.sin(torch.arange(2 * 3 * 32 * 32).double() * 0.37).float().view(2, 3, 32, 32)
    codes = (torch.arange(2 * 64) * 37 % CODES).view(2, 8, 8)
    assert network.encode(pictures).flatten().tolist() == official()[codec]["encode"]
    made = network.decode(codes).flatten()[::199]
    torch.testing.assert_close(made, torch.tensor(official()[codec]["decode"]), atol=1e-4, rtol=1e-4)


def test_a_picture_is_the_decoded_codes_in_256_levels(models):
    model = models["halton_maskgit"]
    codes = [i * 7 % CODES for i in range(PLACES)]
    output = model.decode(codes)
    decoded = model.codec.decode(torch.tensor(codes).view(1, 4, 4))[0].permute(1, 2, 0)
    assert output.tokens == tuple(codes)
    assert output.image.shape == (16, 16, 3)
    assert torch.equal(torch.from_numpy(output.image), (127.5 * decoded + 128).clamp(0, 255).to(torch.uint8))


@pytest.mark.parametrize("name", MODELS)
def test_flops_are_those_that_torch_counts(models, name):
    model, inputs = models[name], partly_masked()
    index = torch.tensor([0, 3, 20])
    # The counter does not know the fused attention of the CPU.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model.logits(inputs, index)
    counted = model.flops(torch.tensor([PLACES, PLACES]), torch.tensor([2, 1])).sum()
    assert counted.item() == counter.get_total_flops()


@pytest.mark.parametrize("name", MODELS)
def test_padding_is_not_seen(models, name):
    inputs = partly_masked()
    pad = torch.nn.functional.pad
    positions = torch.arange(PLACES + 5).expand(2, -1)
    padded = Inputs(pad(inputs.tokens, (0, 5), value=3), pad(inputs.valid, (0, 5)), positions, inputs.condition)
    wide = everywhere(models[name], padded)[:, :PLACES]
    torch.testing.assert_close(wide, everywhere(models[name], inputs), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_what_is_hidden_from_the_first_position_does_not_reach_it(models, name):
    """A shadow behind the canvas (WINO), which the canvas does not see, also not by way of further tokens."""
    inputs, pad = partly_masked(), torch.nn.functional.pad
    bias = torch.zeros(2, PLACES + 3, PLACES + 3)
    bias[:, :PLACES, PLACES:] = float("-inf")

    def shadowed(token):
        tokens = pad(inputs.tokens, (0, 3), value=token)
        positions = torch.cat([inputs.positions, inputs.positions[:, :3]], dim=1)
        changed = Inputs(tokens, torch.ones_like(tokens, dtype=torch.bool), positions, inputs.condition, bias)
        return everywhere(models[name], changed)[:, :PLACES]

    assert torch.equal(shadowed(CODES), shadowed(5))
    torch.testing.assert_close(shadowed(CODES), everywhere(models[name], inputs), atol=1e-5, rtol=1e-5)


def test_the_unconditional_rows_have_the_label_that_says_nothing(models):
    for name in MODELS:
        inputs = partly_masked()
        assert models[name].unconditional(inputs).condition["label"].tolist() == [10, 10]


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("name", MODELS)
def test_every_sampler_fills_the_picture_with_codes(models, name, sampler):
    todo = jobs(sampler, 3, budget=4 if sampler not in ("wino", "punt") else None, guidance=1.5)
    for made in run(models[name], todo, batch_size=2):
        assert len(made.output.tokens) == PLACES
        assert set(made.output.tokens) <= set(range(CODES))
        assert made.output.image.shape[2] == 3
        assert made.cost.flops > 0


def test_the_student_makes_a_picture_in_one_step(models):
    teacher, student = models["maskgit_pytorch"], models["maskgit_dimo"]
    assert "start" in student.capabilities - teacher.capabilities
    for made in run(student, jobs("one_step", 2)):
        assert made.cost.nfe == 1
        assert set(made.output.tokens) <= set(range(CODES))
    # What it starts from: sixty of a hundred positions are masks, and no random code is the mask.
    inputs = replace(partly_masked(), tokens=torch.full((2, PLACES), CODES))
    uniform = torch.Generator().manual_seed(0)

    def random(purpose, count):
        return torch.rand(2, PLACES, count, generator=uniform, dtype=torch.float64)

    tokens, change = student.start.begin(inputs, random, CODES)
    assert (tokens == CODES).sum(dim=1).tolist() == [round(0.6 * PLACES)] * 2
    ones = torch.ones(2, PLACES, 5000)
    assert change(ones).std().item() == pytest.approx(0.1, rel=0.02)


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (Request("a"), "label from 0 to 9"),
        (Request("a", condition={"label": 10}), "label from 0 to 9"),
        (Request("a", condition={"label": 1}, length=17), "makes 16 tokens"),
        (Request("a", prompt="a cat", condition={"label": 1}), "no prompt"),
    ],
)
def test_a_request_it_cannot_serve_is_refused(models, request_, said):
    with pytest.raises(UserError, match=said):
        models["halton_maskgit"].encode(request_)


def rewritten(folder, file, change):
    content = torch.load(folder / "halton.pth", weights_only=True)["model_state_dict"]
    change(content)
    torch.save(content, folder / file)
    return {**halton_arguments(folder), "pretrained": f"{folder}/{file}"}


def test_missing_and_unexpected_tensors_are_listed(folder):
    def change(content):
        del content["module.last_norm.mlp.1.bias"]
        content["module.in_proj.weight"] = torch.zeros(2)
        content["module.cls_emb.weight"] = content["module.cls_emb.weight"][:, :40]

    with pytest.raises(UserError) as caught:
        halton_maskgit(**rewritten(folder, "broken.pth", change))
    message = str(caught.value)
    assert "missing: last_norm.mlp.1.bias" in message
    assert "unexpected: in_proj.weight" in message
    assert "of another shape: cls_emb.weight" in message


def test_files_that_are_none_are_named(folder):
    (folder / "text.pth").write_text("no weights")
    for arguments, said in (
        ({"pretrained": f"{folder}/text.pth"}, "text.pth is not a readable file of weights"),
        ({"pretrained": f"{folder}/none.pth"}, "neither a file"),
        ({"pretrained": f"{folder}/maskgit.pth"}, "missing: pos_emb.weight"),
        ({"codec": f"{folder}/halton.pth"}, "missing: encoder.conv_in.weight"),
        ({"codec": "256_base"}, "codec: '256_base' is neither"),
        ({"heads": 0}, "Say how many attention heads"),
        ({"dtype": "float12"}, "dtype is 'float12'"),
    ):
        with pytest.raises(UserError, match=said):
            halton_maskgit(**{**halton_arguments(folder), **arguments})
    with pytest.raises(UserError, match="mask_ratio is"):
        maskgit_dimo(**maskgit_arguments(folder), mask_ratio=1.5)


def test_the_codec_must_be_that_of_the_transformer(folder):
    small = tensors("llamagen")
    small["quantize.embedding.weight"] = small["quantize.embedding.weight"][:90]
    torch.save({"model": small}, folder / "small.pt")
    with pytest.raises(UserError, match="90 codes, and the transformer knows 96"):
        halton_maskgit(**{**halton_arguments(folder), "codec": f"{folder}/small.pt"})


def test_a_pickle_runs_no_code(folder):
    class Danger:
        def __reduce__(self):
            return (exec, (f"open({str(folder / 'ran')!r}, 'w')",))

    content = torch.load(folder / "halton.pth", weights_only=True)
    torch.save({**content, "extra": Danger()}, folder / "danger.pth")
    halton_maskgit(**{**halton_arguments(folder), "pretrained": f"{folder}/danger.pth"})
    assert not (folder / "ran").exists()


def test_safetensors_are_read_too_and_the_revision_tells_files_apart(folder):
    save_file({name: each.clone() for name, each in tensors("halton_maskgit").items()}, folder / "halton.safetensors")
    arguments = halton_arguments(folder)
    other = {**arguments, "pretrained": f"{folder}/halton.safetensors"}
    logits = [everywhere(halton_maskgit(**each), partly_masked()) for each in (arguments, other)]
    assert torch.equal(*logits)
    revisions = [identify(resolve_model("halton_maskgit", each, "here")).revision for each in (arguments, other)]
    first, second = (revision.split("+") for revision in revisions)
    assert first[0] != second[0]
    assert first[1] == second[1]


def test_random_weights_of_any_size(tmp_path):
    codec = {"codes": 40, "size": 8, "width": 32, "multipliers": [1, 1], "blocks": 1, "channels": 32}
    sizes = {"width": 32, "depth": 1, "heads": 2, "side": 3, "codes": 40, "classes": 5}
    (tmp_path / "config.json").write_text(json.dumps({**sizes, "codec": codec}))
    model = halton_maskgit(random=str(tmp_path), dtype="bfloat16")
    (made,) = run(model, jobs("halton", 1, budget=2))
    assert made.output.image.shape == (6, 6, 3)
    (tmp_path / "config.json").write_text(json.dumps({**sizes, "mlp": 64, "codec": codec}))
    assert maskgit_pytorch(random=str(tmp_path)).vocab_size == 41
    with pytest.raises(UserError, match="does not hold the sizes"):
        halton_maskgit(random=str(tmp_path))
    with pytest.raises(UserError, match="256_base"):
        halton_maskgit(random="256base")


def test_published_sizes_have_the_published_number_of_parameters():
    """The README of Halton-MaskGIT counts the tied matrix once; MaskGIT in PyTorch says 174.161 million."""

    def millions(network):
        return sum(parameter.numel() for parameter in network.parameters()) / 1e6

    with torch.device("meta"):
        made = {name: millions(HaltonTransformer(shape)) for name, shape in SIZES.items()}
        assert millions(MaskGITTransformer(MASKGIT_SIZES["256"])) == pytest.approx(174.161, abs=5e-4)
    published = {"256_tiny": 23, "256_small": 69, "256_base": 142, "384_small": 69, "384_base": 142, "384_large": 480}
    assert {name: round(made[name]) for name in published} == pytest.approx(published, abs=1)


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"head.bias": None}, "missing: head.bias"),
        ({"more.weight": torch.zeros(2)}, "unexpected: more.weight"),
        ({"last_norm.mlp.1.weight": torch.zeros(3, 3)}, "of another shape: last_norm.mlp.1.weight"),
        ({}, "not a readable file of weights"),
    ],
)
def test_what_is_wrong_with_weights_is_found_before_they_are_loaded(folder, tmp_path, broken, said):
    """As by `validate`: a tensor that is missing, unexpected or of another shape, and a file that is cut off."""
    weights = {key: value for key, value in (tensors("halton_maskgit") | broken).items() if value is not None}
    path = tmp_path / "halton.safetensors"
    save_file({key: value.clone() for key, value in weights.items()}, path)
    if not broken:
        path.write_bytes(path.read_bytes()[:-5])
    spec = resolve_model("halton_maskgit", {**halton_arguments(folder), "pretrained": str(path)}, "here")
    with pytest.raises(UserError, match=said):
        identify(spec)


def test_a_codec_or_an_argument_that_does_not_fit_is_found_before_loading(folder, tmp_path):
    cut = tmp_path / "llamagen.pt"
    cut.write_bytes((folder / "llamagen.pt").read_bytes()[:-1000])
    halton, student = halton_arguments(folder), maskgit_arguments(folder, "student.bin")
    for model, arguments, said in (
        ("halton_maskgit", {**halton, "codec": str(cut)}, "llamagen.pt is not a readable file"),
        ("halton_maskgit", {**halton, "heads": 0}, "how many attention heads"),
        ("maskgit_dimo", {**student, "mask_ratio": 2.0}, "mask_ratio is 2.0"),
    ):
        with pytest.raises(UserError, match=said):
            identify(resolve_model(model, arguments, "here"))
