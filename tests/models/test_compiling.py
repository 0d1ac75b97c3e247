"""`--compile`: what may be compiled, what it is called then, and that it predicts what the eager model does."""

from functools import partial

import numpy as np
import pytest
import torch
from checkpoints import write_dream, write_llada
from picture_files import shown
from prompted_checkpoints import write_magvit, write_mmada
from seeing_checkpoints import write_dimple, write_llada_v
from torch._dynamo.utils import counters
from toys import job

from harness import fused
from harness.analysis.frame import cell_frame
from harness.catalogue import Catalogue
from harness.components import compiled, load_model, make_sampler, resolve_model
from harness.engine.generator import Job
from harness.engine.loop import CanvasEngine
from harness.engine.rows import RowEncoder
from harness.errors import UserError
from harness.executors.inline import execute
from harness.executors.making import Options
from harness.executors.plan import make_plan
from harness.models.base import Inputs
from harness.models.compiling import compile_model
from harness.models.text.families import llada
from harness.samplers import samplers
from harness.spec import Decoding, SamplerSpec, SuiteFile
from harness.store import RunStore
from harness.task import Request

SIZES = {"n_layers": 3}
"""Two layers are compiled, and the last is not."""


def spec(name, **args):
    return resolve_model(name, args, "test")


@pytest.fixture
def checkpoint(tmp_path):
    return write_llada(tmp_path / "llada", sizes=SIZES)


def plan(checkpoint, **suite):
    sweep = {"models": f"llada:pretrained={checkpoint}:dtype=float32", "tasks": "waiting_line", "temperature": 0.0}
    sweep |= {"samplers": ["confidence", "entropy"], "budgets": [3], "limit": 5}
    return make_plan(SuiteFile.model_validate({"name": "t", "sweeps": [sweep], **suite}), Catalogue(), None, "t")


def test_a_compiled_model_has_cells_of_its_own(checkpoint):
    eager, other = plan(checkpoint), plan(checkpoint, compile=True)
    assert not {cell.spec.id for cell in eager.cells} & {cell.spec.id for cell in other.cells}
    assert all(cell.spec.model.args["compile"] is True for cell in other.cells)
    assert not any("compile" in cell.spec.model.args for cell in eager.cells)


@pytest.mark.parametrize("name", ["digits", "exact/chain", "llada_fast_dllm", "mdlm"])
def test_what_cannot_be_compiled_is_named_with_what_can(name):
    with pytest.raises(
        UserError, match=f"test: --compile: model '{name}' cannot be compiled. Those that can are .*llada"
    ):
        compiled(spec(name), "test")


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("llada", {"device_map": "auto"}),
        ("hf_masked", {"pretrained": "x"}),
        ("hf_masked", {"pretrained": "x", "layout": "auto"}),
    ],
)
def test_networks_that_are_spread_or_not_the_harness_own_are_refused(name, args):
    with pytest.raises(UserError, match=f"model '{name}' cannot be compiled with (device_map|layout)=auto"):
        compiled(spec(name, **args), "test")
    assert compiled(
        spec(name, **{**args, "device_map": ""} if name == "llada" else {**args, "layout": "qwen3"}), "test"
    )


def test_without_a_compiler_it_is_said_before_anything_is_computed(monkeypatch, checkpoint):
    def no_compiler(*_, **__):
        raise RuntimeError("InvalidCxxCompiler: no working C++ compiler was found\nand more")

    monkeypatch.setattr(torch, "compile", no_compiler)
    with pytest.raises(
        UserError, match=r"cpu here: a CPU needs a C\+\+ compiler, a GPU Triton. InvalidCxxCompiler: no"
    ):
        load_model(compiled(spec("llada", pretrained=str(checkpoint), dtype="float32"), "test"), "cpu")


def test_on_the_device_meta_nothing_is_compiled(checkpoint):
    model = load_model(compiled(spec("llada", pretrained=str(checkpoint), dtype="float32"), "test"), "meta")
    assert "compiled" not in model.capabilities


@pytest.fixture
def traced(monkeypatch):
    """What is to be compiled is traced, and then run as it is: what cannot be traced whole is an error."""
    compile_ = torch.compile
    monkeypatch.setattr(torch, "compile", lambda *args, **how: compile_(*args, **{**how, "backend": "eager"}))
    fused._compiled.cache_clear()
    torch._dynamo.reset()
    yield
    fused._compiled.cache_clear()


PICTURE = shown(np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "write", "args", "request_"),
    [
        ("llada", write_llada, {}, {"prompt": "fox", "length": 6}),
        ("dream", write_dream, {}, {"prompt": "fox", "length": 6}),
        ("llada_v", write_llada_v, {}, {"prompt": "fox?", "length": 6, "image": PICTURE}),
        ("dimple", write_dimple, {}, {"prompt": "fox?", "length": 6, "image": PICTURE}),
        ("mmada", write_mmada, {"height": 32, "width": 32, "codec": "magvit"}, {"prompt": "fox"}),
        (
            "mmada_vqa",
            write_mmada,
            {"resolution": 32, "codec": "magvit"},
            {"prompt": "fox?", "length": 6, "image": PICTURE},
        ),
    ],
)
def test_each_kind_of_network_is_traced_whole(traced, tmp_path, name, write, args, request_):
    write(tmp_path / "model")
    if "codec" in args:
        args = {**args, "codec": str(write_magvit(tmp_path / args["codec"]))}
    plain = spec(name, pretrained=str(tmp_path / "model"), dtype="float32", **args)
    sampler, info = make_sampler(SamplerSpec(name="confidence")), samplers["confidence"].info
    decoding = Decoding(temperature=0.0, guidance=1.0)
    todo = [Job("cell", Request(str(i), **request_), 0, sampler, info, decoding, 2, 0) for i in range(2)]
    made = [
        {one.job.request.document: (one.output.tokens, one.cost) for one in CanvasEngine(model, 2).generate(todo)}
        for model in (load_model(each, "cpu") for each in (plain, compiled(plain, "test")))
    ]
    assert made[0] == made[1]


@pytest.mark.slow
def test_rows_of_any_length_are_compiled_once_and_predict_what_eager_ones_do(checkpoint):
    torch._dynamo.reset()
    counters.clear()
    eager = llada(pretrained=str(checkpoint), dtype="float32")
    other = llada(pretrained=str(checkpoint), dtype="float32")
    compile_model(other)
    compiled_before = counters["stats"]["unique_graphs"]
    made = {}
    # Rows of 32 to 160 tokens, in batches of three: the head and the fused pass are at other numbers each time.
    for name in ("confidence", "entropy"):
        sampler, info = make_sampler(SamplerSpec(name=name)), samplers[name].info
        rows = [
            job(sampler, info, str(i), prompt="fox " * 25 * (i % 4), length=12, budget=4, temperature=0.0)
            for i in range(12)
        ]
        for model in (eager, other):
            made[model] = {one.job.request.document: one for one in CanvasEngine(model, 3).generate(rows)}
        for document, one in made[eager].items():
            assert made[other][document].output.tokens == one.output.tokens
            assert made[other][document].cost == one.cost
    # The network and the fused pass, once each for more rows than one; the pass once more for a single row.
    assert counters["stats"]["unique_graphs"] - compiled_before <= 3
    _compare_logits(eager, other)


def _compare_logits(eager, other):
    sampler, info = make_sampler(SamplerSpec(name="confidence")), samplers["confidence"].info
    rows = [job(sampler, info, str(i), prompt="dog " * (20 + i), length=9) for i in range(2)]
    encoder = RowEncoder(eager)
    canvas = encoder.canvas(sorted(rows, key=encoder.length))
    inputs = Inputs(canvas.tokens, canvas.valid, canvas.positions, canvas.condition)
    index = canvas.masked.flatten().nonzero().squeeze(1)
    one, two = (model.logits(inputs, index)[0] for model in (eager, other))
    torch.testing.assert_close(two, one, rtol=1e-4, atol=1e-5)


class Small:
    """A model that holds no more than so many rows."""

    def __init__(self, model, most):
        self._model, self._most, self.sizes = model, most, []

    def __getattr__(self, name):
        return getattr(self._model, name)

    def logits(self, inputs, index):
        self.sizes.append(len(inputs.tokens))
        if len(inputs.tokens) > self._most:
            raise torch.OutOfMemoryError("out of memory")
        return self._model.logits(inputs, index)


def _given(model, spec):
    return model


@pytest.mark.slow
def test_a_run_refills_and_halves_its_batch_as_an_eager_one_does(checkpoint, tmp_path):
    torch._dynamo.reset()
    store = RunStore.create(tmp_path / "run", {})
    tokens = {}
    for compile_them in (False, True):
        todo = plan(checkpoint, compile=compile_them)
        model = Small(load_model(todo.cells[0].spec.model, "cpu"), most=2)
        execute(todo, store, partial(_given, model), Options(4))
        assert (max(model.sizes), model.sizes[-1]) == (4, 2)
        for cell in todo.cells:
            kept = store.cell(cell.spec)
            assert [note["batch_size"] for note in kept.provenance()] == [4, 2]
            found = {key: output.tokens for key, output in kept.generations().items()}
            assert len(found) == 5
            assert tokens.setdefault(cell.spec.sampler.name, found) == found
    assert set(cell_frame(store)["model_args"]) == {"", "compile=True"}
