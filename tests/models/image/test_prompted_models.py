"""MMaDA and Lumina-DiMOO on tiny checkpoints in their layout: rows, guidance, pictures, samplers, and what is wrong."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from picture_files import shown
from prompted_checkpoints import write_lumina, write_magvit, write_mmada
from safetensors.torch import load_file, save_file
from support import run
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from harness.components import identify, load_model, make_sampler, resolve_model, resolve_sampler
from harness.engine.generator import Job
from harness.engine.rows import RowEncoder
from harness.errors import UserError
from harness.models.base import Inputs
from harness.samplers import samplers
from harness.spec import Decoding, SamplerSpec
from harness.task import Request

PROMPTS = ("a red dog", "two cats", "How many ducks lay 16 eggs?")
SAMPLERS = {
    "maskgit": {"protocol": "mmada"},
    "freecorrection": {"protocol": "official"},
    "halton": {},
    "remdm": {},
    "p2": {},
    "wino": {"tau1": 0.01},
    "punt": {},
}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("prompted")
    write_magvit(root / "magvit")
    write_mmada(root / "mmada")
    write_lumina(root / "lumina_dimoo")
    return root


def arguments(root: Path, name: str, **args):
    codec = {"codec": str(root / "magvit")} if name == "mmada" else {}
    return {"pretrained": str(root / name), **codec, "height": 64, "width": 48, "dtype": "float32", **args}


def loaded(root: Path, name: str, **args):
    return load_model(resolve_model(name, arguments(root, name, **args), "test"), "cpu")


@pytest.fixture(scope="module")
def drawers(root):
    return {name: loaded(root, name) for name in ("mmada", "lumina_dimoo")}


def todo(sampler: str, budget: int = 4, guidance: float = 1.5, **args) -> list[Job]:
    made = make_sampler(SamplerSpec(name=sampler, args=resolve_sampler(sampler, args, "test").args))
    info, decoding = samplers[sampler].info, Decoding(temperature=1.0, guidance=guidance)
    budget = budget if info.knob == "steps" else None
    return [
        Job("cell", Request(f"{i:04d}", prompt=prompt), 0, made, info, decoding, budget, 0)
        for i, prompt in enumerate(PROMPTS)
    ]


def text_of(model, row) -> tuple[str, list[int]]:
    """The prompt as text, and the ids behind it."""
    ids = model._ids(torch.tensor(row.tokens)).tolist()
    words, prompt = model.prompter._words, row.condition["prompt"]
    return words.decode(ids[:prompt]), ids[prompt:]


def test_a_row_of_mmada(drawers):
    model = drawers["mmada"]
    row = model.encode(Request("0", prompt="a red dog"))
    said, rest = text_of(model, row)
    assert said == "<|reserved_token_126088|><|startoftext|>a red dog<|endoftext|>"
    assert rest == [126084, *[126336] * 12, 126085]
    assert sum(row.editable) == 12
    assert row.grid == (4, 3)
    longest = model.encode(Request("0", prompt="red " * 600))
    assert longest.condition["prompt"] == 513
    assert text_of(model, longest)[0].endswith("<|endoftext|>")


def test_a_row_of_lumina_has_a_line_break_after_each_row_of_codes(drawers):
    model = drawers["lumina_dimoo"]
    row = model.encode(Request("0", prompt="a red dog"))
    said, rest = text_of(model, row)
    system = "<system>Generate an image according to the text prompt.</system>"
    assert said == f"{system}<user>a red dog</user>"
    line = [126336] * 3 + [126084]
    assert rest == [126354, 126349, *line * 4, 126350, 126355]
    assert sum(row.editable) == 12
    assert model.prompter._words.decode(model.prompter.nothing()) == f"{system}<user><uncondition></user>"
    with pytest.raises(UserError, match="document '0': the prompt '' is empty"):
        model.encode(Request("0", prompt=""))


@pytest.mark.parametrize("name", ["mmada", "lumina_dimoo"])
def test_logits_are_those_of_the_whole_head_at_the_codes(drawers, name):
    """Of a row in a padded batch, with and without the prompt; the latter against the row that the release makes."""
    model, jobs = drawers[name], todo("maskgit")[::-1]  # the longest first: it says how long the canvas is
    canvas = RowEncoder(model).canvas(jobs)
    inputs = Inputs(canvas.tokens, canvas.valid, canvas.positions, canvas.condition)
    index = canvas.masked.flatten().nonzero().squeeze(1)
    first = model.layout.first_code
    for batch, guided in ((inputs, True), (model.unconditional(inputs), False)):
        logits, _ = model.logits(batch, index)
        assert bool((logits[:, -1] == float("-inf")).all())
        for i, job in enumerate(jobs):
            row = model.encode(job.request)
            ids = model._ids(torch.tensor(row.tokens))[None]
            if not guided:
                ids = torch.cat([torch.tensor([model.prompter.nothing()]), ids[:, row.condition["prompt"] :]], dim=1)
            everywhere = torch.arange(ids.shape[1])
            hidden = model.transformer(ids, everywhere[None], None, everywhere)
            whole = model.transformer.head(hidden[ids[0] == 126336])
            torch.testing.assert_close(logits[12 * i : 12 * i + 12, :-1], whole[:, first : first + 8192])


@pytest.mark.parametrize("name", ["mmada", "lumina_dimoo"])
def test_flops_are_those_that_pytorch_counts(drawers, name):
    """Of two rows without padding, with logits at all codes of one picture and at three of the other."""
    model = drawers[name]
    row = model.encode(todo("maskgit")[0].request)
    tokens, size = torch.tensor([row.tokens, row.tokens]), len(row.tokens)
    inputs = Inputs(tokens, tokens >= 0, torch.arange(size).repeat(2, 1), {"prompt": torch.tensor([2, 2])})
    places = torch.tensor(row.editable).nonzero().squeeze(1)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        model.logits(inputs, torch.cat([places, size + places[:3]]))
    assert model.flops(torch.tensor([size] * 2), torch.tensor([12, 3])).sum() == counter.get_total_flops()


@pytest.mark.parametrize("name", ["mmada", "lumina_dimoo"])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_samplers_draw_pictures(drawers, name, sampler):
    made = run(drawers[name], todo(sampler, **SAMPLERS[sampler]), batch_size=2)
    for each in made:
        assert each.output.image.shape == (64, 48, 3)
        assert each.output.image.dtype == np.uint8
        assert len(each.output.tokens) == 12
        assert max(each.output.tokens) < 8192
        assert each.cost.nfe % 2 == 0
    alone = run(drawers[name], todo(sampler, **SAMPLERS[sampler])[:1], batch_size=1)
    assert alone[0].output.tokens == made[0].output.tokens


def test_the_prompt_and_guidance_tell(drawers):
    for model in drawers.values():
        plain, guided = (run(model, todo("maskgit", 2, w), 3) for w in (0.0, 3.0))
        assert plain[0].output.tokens != guided[0].output.tokens
        assert [2 * each.cost.nfe for each in plain] == [each.cost.nfe for each in guided]


def test_the_codes_of_magvit_are_signs(drawers):
    """Code 2^12 + 1 is plus at the first and the last of its 13 numbers; −1 … 1 becomes 0 … 255."""
    codec, seen = drawers["mmada"].codec, []
    hook = codec.decoder.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    picture = codec.picture([4097, 0, 8191, 1], (2, 2))
    hook.remove()
    signs = seen[0][0].permute(1, 2, 0).reshape(4, 13)
    assert signs[0].tolist() == [1.0, *[-1.0] * 11, 1.0]
    assert signs[1:3].sum(dim=1).tolist() == [-13.0, 13.0]
    decoded = codec.decode(torch.tensor([[[4097, 0], [8191, 1]]]))[0].permute(1, 2, 0)
    expected = ((decoded.clamp(-1, 1) + 1) * 127.5).numpy()
    assert np.abs(picture - (expected - 0.5)).max() <= 0.51
    hidden = codec.encoder(torch.zeros(1, 3, 32, 32)) > 0
    assert codec.encode(torch.zeros(1, 3, 32, 32))[0, 0, 0] == int("".join(str(int(x)) for x in hidden[0, :, 0, 0]), 2)


def test_the_codec_of_lumina_is_that_of_diffusers(drawers, root):
    from diffusers import VQModel

    theirs, mine = VQModel.from_pretrained(root / "lumina_dimoo" / "vqvae"), drawers["lumina_dimoo"].codec
    codes = torch.arange(0, 8192, 700)
    with torch.no_grad():
        shape = (1, 4, 3, theirs.config.latent_channels)
        decoded = theirs.decode(codes.view(1, 4, 3), force_not_quantize=True, shape=shape).sample[0].clip(0, 1)
    picture = mine.picture(codes.tolist(), (4, 3))
    assert np.array_equal(picture, (decoded.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8))
    latents = theirs.encode(torch.from_numpy(picture).permute(2, 0, 1)[None] / 255).latents
    assert mine.look(picture) == theirs.quantize(latents)[2][2].tolist()


def test_codecs_and_logits_are_those_of_the_released_code(root, drawers):
    """On the same weights: `prompted_official.json` has what Gen-Verse/MMaDA 3cdb870 and Alpha-VLLM/Lumina-DiMOO
    81344e6 made of a picture of noise, of codes, and of a picture half of which is visible."""
    official = json.loads((Path(__file__).parent / "prompted_official.json").read_text())
    drawn = np.random.default_rng(0)
    noise, codes = drawn.integers(0, 256, (64, 64, 3), dtype=np.uint8), drawn.integers(0, 8192, 16)
    for name, model in drawers.items():
        assert model.codec.look(noise) == official[name]["codes"]
        picture = model.codec.picture(codes.tolist(), (4, 4))[::16, ::16].astype(int)
        assert np.abs(picture - np.array(official[name]["levels"])).max() <= 1
    model = loaded(root, "mmada", height=256, width=256)
    canvas = RowEncoder(model).canvas(todo("maskgit")[:1])
    index = canvas.editable.flatten().nonzero().squeeze(1)
    visible = index[torch.from_numpy(np.random.default_rng(0).permutation(256)[:128])]
    tokens = canvas.tokens.flatten().index_copy(0, visible, torch.arange(128) * 37 % 8192)[None]
    inputs = Inputs(tokens, canvas.valid, canvas.positions, canvas.condition)
    for batch, kind in ((inputs, "conditional"), (model.unconditional(inputs), "unconditional")):
        logits = model.logits(batch, index[[0, 100, 255]])[0][:, [0, 1, 4096, 8191]]
        torch.testing.assert_close(logits, torch.tensor(official["mmada"][kind]), atol=1e-3, rtol=0)


def test_random_weights_need_no_checkpoint(root, tmp_path):
    folder = tmp_path / "sizes"
    folder.mkdir()
    shutil.copy(root / "mmada" / "config.json", folder)
    for name, codec in (("mmada", root / "magvit"), ("lumina_dimoo", root / "lumina_dimoo")):
        spec = resolve_model(name, {"random": str(folder), "codec": str(codec), "height": 32, "width": 32}, "test")
        spec = identify(spec)
        assert spec.revision.startswith("random+")
        model = load_model(spec, "cpu")
        (made, *_) = run(model, todo("maskgit", 1), 3)
        assert made.output.image.shape == (32, 32, 3)
    full = load_model(resolve_model("lumina_dimoo", {"random": "8b"}, "test"), "meta")
    assert full.grid == (64, 64)
    assert full.flops(torch.tensor([4096]), torch.tensor([4096])).item() > 6e13


def test_what_is_wrong_is_said_before_anything_is_computed(drawers, root, tmp_path):
    def refused(name: str, match: str, **args) -> None:
        with pytest.raises(UserError, match=match):
            identify(resolve_model(name, arguments(root, name, **args), "test"))

    refused("mmada", "height is 100; it must be a multiple of 16 pixels", height=100)
    refused("mmada", "codec: .*/nowhere", codec=str(tmp_path / "nowhere"))
    (tmp_path / "empty").mkdir()
    none = "has no weights of a codec: none of diffusion_pytorch_model.safetensors"
    refused("mmada", f"empty {none}", codec=str(tmp_path / "empty"))
    refused("lumina_dimoo", f"vqvae {none}", pretrained=str(without(root, tmp_path, "vqvae")))
    other = changed(root, tmp_path, mask_token_id=5)
    refused("mmada", "mask_token_id is 5; that of the model 'mmada' is 126336", pretrained=str(other))
    small = changed(root, tmp_path, embedding_size=126464)
    refused("mmada", "the vocabulary has 126464 tokens; the model 'mmada' needs 134541", pretrained=str(small))
    refused("lumina_dimoo", "<uncondition> is not token 126351", pretrained=str(root / "mmada"))
    weights = torch.load(root / "magvit" / "pytorch_model.bin", weights_only=True)
    spoilt = tmp_path / "spoilt"
    shutil.copytree(root / "magvit", spoilt)
    weights["decoder.more"] = weights.pop("decoder.conv_out.bias")
    torch.save(weights, spoilt / "pytorch_model.bin")
    refused("mmada", "missing: decoder.conv_out.bias; unexpected: decoder.more", codec=str(spoilt))
    bare = shutil.copytree(root / "lumina_dimoo" / "vqvae", tmp_path / "bare")
    file = bare / "diffusion_pytorch_model.safetensors"
    save_file({key: value for key, value in load_file(file).items() if "conv_in" not in key}, file)
    refused("lumina_dimoo", "missing: decoder.conv_in.bias, decoder.conv_in.weight, encoder.conv_in", codec=str(bare))
    for request, match in (
        (Request("7", prompt="x", image=shown(np.zeros((8, 8, 3), dtype=np.uint8))), "takes a prompt alone"),
        (Request("7", condition={"label": 1}), "takes a prompt alone"),
        (Request("7", prompt="x", length=5), "makes 12 tokens, not 5"),
    ):
        with pytest.raises(UserError, match=f"document '7': the model 'mmada' {match}"):
            drawers["mmada"].encode(request)


def test_a_codec_is_part_of_what_names_a_model(root, tmp_path):
    named = {}
    for seed in (1, 2):
        write_magvit(tmp_path / str(seed), seed)
        named[seed] = identify(
            resolve_model("mmada", arguments(root, "mmada", codec=str(tmp_path / str(seed))), "test")
        )
    assert named[1].revision != named[2].revision
    assert named[1].revision.split("+")[0] == named[2].revision.split("+")[0]


def test_without_diffusers_the_model_says_what_to_install(root, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name, *_: None)
    with pytest.raises(UserError, match=r"needs diffusers: pip install 'mdm-harness\[images\]'"):
        identify(resolve_model("lumina_dimoo", arguments(root, "lumina_dimoo"), "test"))


def without(root: Path, tmp_path: Path, codec: str) -> Path:
    """Lumina without the weights of its codec."""
    folder = shutil.copytree(root / "lumina_dimoo", tmp_path / "bare_lumina")
    (folder / codec / "diffusion_pytorch_model.safetensors").unlink()
    return folder


def changed(root: Path, tmp_path: Path, **config) -> Path:
    """MMaDA with other values in its `config.json`."""
    folder = tmp_path / "_".join(config)
    shutil.copytree(root / "mmada", folder)
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **config}))
    return folder
