"""MMaDA and Lumina-DiMOO asked about pictures, on tiny checkpoints in their layout. Their answers were compared with
the released code; see docs/parity.md."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from picture_files import shown
from PIL import Image
from prompted_checkpoints import write_lumina, write_magvit, write_mmada
from support import run
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from harness.components import identify, load_model, make_sampler, resolve_model, resolve_sampler
from harness.engine.generator import Job
from harness.engine.rows import RowEncoder
from harness.errors import UserError
from harness.models.base import Inputs
from harness.models.image.lumina_dimoo import _shape
from harness.samplers import samplers
from harness.spec import Decoding
from harness.task import Request

MODELS = ("mmada_vqa", "lumina_dimoo_vqa")
SAMPLERS = {
    **{"maskgit": {}, "llada": {}, "freecorrection": {}, "remdm": {}, "p2": {}, "rcr": {}},
    **{"wino": {"tau1": 0.01}, "punt": {}},
}
PICTURES = [
    np.random.default_rng(i).integers(0, 256, size, np.uint8) for i, size in enumerate([(40, 90, 3), (99, 64, 3)])
]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("asked")
    write_magvit(root / "magvit")
    write_mmada(root / "mmada_vqa")
    write_lumina(root / "lumina_dimoo_vqa")
    return root


def spec(root, name, **args):
    codec = {"codec": str(root / "magvit")} if name == "mmada_vqa" else {}
    given = {"pretrained": str(root / name), **codec, "resolution": 64, "dtype": "float32", **args}
    return resolve_model(name, given, "test")


@pytest.fixture(scope="module")
def answering(root):
    return {name: load_model(spec(root, name), "cpu") for name in MODELS}


def ask(i=0, length=6, **more):
    return Request(str(i), prompt="What is it?" * (i + 1), image=shown(PICTURES[i]), length=length, **more)


def said(model, tokens):
    return model.codec.tokenizer.decode(list(tokens))


def test_a_row_of_mmada(answering):
    """`<|mmu|>`, `<|soi|>`, 4 x 4 codes of the middle square, `<|eoi|>`, the chat template, the answer."""
    model = answering["mmada_vqa"]
    row = model.encode(ask())
    assert list(row.tokens[:2]) == [126089, 126084]
    scaled = Image.fromarray(PICTURES[0]).resize((144, 64), Image.Resampling.BICUBIC).crop((40, 0, 104, 64))
    assert list(row.tokens[2:18]) == [126349 + code for code in model.pictures.look(np.array(scaled))]
    assert row.tokens[18] == 126085
    assert said(model, row.tokens[19:-6]) == (
        "<|startoftext|><|start_header_id|>user<|end_header_id|>\n\nWhat is it?<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    )
    assert list(row.tokens[-6:]) == [126336] * 6
    assert sum(row.editable) == 6


def test_a_row_of_lumina(answering):
    """The picture stands before the last token of `</user>`; 64 x 32 pixels are the nearest of at most four cells."""
    model = answering["lumina_dimoo_vqa"]
    row = model.encode(ask())
    start, end = row.tokens.index(126349), row.tokens.index(126350)
    codes = np.array(row.tokens[start + 1 : end]).reshape(2, 5)
    assert (codes[:, -1] == 126084).all()
    assert (codes[:, :-1] >= 126356).all()
    text = said(model, [*row.tokens[:start], row.tokens[end + 1]])
    assert text.startswith("<system>You are a multimodal model that can process both text and images. Answer")
    assert text.endswith("relevant details to answer.</system><user>What is it?</user>")
    assert list(row.tokens[end + 2 :]) == [126354, *[126336] * 6, 126355]
    assert not row.editable[-1]
    assert sum(row.editable) == 6
    with pytest.raises(UserError, match="answers one question, and no conversation"):
        model.encode(replace(ask(), turns=(("user", "a"), ("assistant", "b"), ("user", "c"))))


@pytest.mark.parametrize(
    ("size", "resolution", "shape"),
    [((640, 480), 1024, (1152, 864)), ((100, 100), 64, (64, 64)), ((9000, 10), 64, (128, 32))],
)
def test_shapes_of_luminas_pictures(size, resolution, shape):
    """By hand: of the shapes with at most 1,024 cells of 32 pixels, 36 x 27 is 4:3."""
    assert _shape(size, (resolution // 32) ** 2) == shape


@pytest.mark.parametrize("name", MODELS)
def test_logits_are_those_of_the_whole_head_at_the_words(answering, name):
    """Of rows in a padded batch, with and without the prompt; the latter have masks at all places."""
    model = answering[name]
    sampler = resolve_sampler("llada", {}, "test")
    made, info = make_sampler(sampler), samplers["llada"].info
    jobs = [Job("cell", ask(i), 0, made, info, Decoding(temperature=0.0), 3, 0) for i in (1, 0)]
    canvas = RowEncoder(model).canvas(jobs)
    inputs = Inputs(canvas.tokens, canvas.valid, canvas.positions, canvas.condition)
    index = canvas.masked.flatten().nonzero().squeeze(1)
    for batch, guided in ((inputs, True), (model.unconditional(inputs), False)):
        logits, _ = model.logits(batch, index)
        assert logits.shape == (12, model.layout.first_code)
        assert bool((logits[:, 126336] == float("-inf")).all())
        for i, job in enumerate(jobs):
            row = model.encode(job.request)
            ids = torch.tensor(row.tokens if guided else [126336] * len(row.tokens))[None]
            network = model.transformer.network
            everywhere = torch.arange(ids.shape[1])
            whole = network.head(network(ids, everywhere[None], None, everywhere))[torch.tensor(row.editable)]
            words = whole[:, : model.layout.first_code].index_fill(1, torch.tensor([126336]), float("-inf"))
            torch.testing.assert_close(logits[6 * i : 6 * i + 6], words)


@pytest.mark.parametrize("name", MODELS)
def test_flops_are_those_that_pytorch_counts(answering, name):
    """Of a row without padding, with the head over the words at two places."""
    model = answering[name]
    row = model.encode(ask(0))
    tokens, size = torch.tensor([row.tokens]), len(row.tokens)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        model.logits(Inputs(tokens, tokens >= 0, torch.arange(size)[None]), torch.tensor([size - 3, size - 2]))
    assert model.flops(torch.tensor([size]), torch.tensor([2])).item() == counter.get_total_flops()


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("name", MODELS)
def test_samplers_write_words_and_no_codes(answering, name, sampler):
    model, info = answering[name], samplers[sampler].info
    made = make_sampler(resolve_sampler(sampler, SAMPLERS[sampler], "test"))
    budget = 3 if info.knob == "steps" else None
    jobs = [Job("cell", ask(i), 0, made, info, Decoding(temperature=0.0, guidance=0.5), budget, 0) for i in (0, 1)]
    together, alone = run(model, jobs, 2), run(model, jobs, 1)
    assert [each.output.tokens for each in together] == [each.output.tokens for each in alone]
    for each in together:
        assert 0 < len(each.output.tokens) <= 6
        assert all(token < model.layout.first_code and token != 126336 for token in each.output.tokens)
        assert isinstance(each.output.text, str)
        assert each.cost.nfe >= 2


@pytest.mark.parametrize("name", MODELS)
def test_what_is_wrong_is_said(root, answering, name):
    model = answering[name]
    with pytest.raises(UserError, match=f"the model '{name}' answers questions about a picture"):
        model.encode(Request("0", prompt="Hello", length=4))
    with pytest.raises(UserError, match="resolution is 50; it must be a multiple of"):
        identify(spec(root, name, resolution=50))
    assert identify(spec(root, name)).revision.count("+") == 1


def test_a_continuation_is_the_answer(answering):
    for model in answering.values():
        row = model.encode(Request("0", prompt="What?", image=shown(PICTURES[0]), continuation="a dog"))
        assert (
            said(model, [token for token, here in zip(row.tokens, row.editable, strict=True) if here]).strip()
            == "a dog"
        )
