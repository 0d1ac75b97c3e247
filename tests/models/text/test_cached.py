"""Models with caches: equal to the exact one where nothing is remembered, and what is computed, charged and refused."""

import pytest
import torch
from checkpoints import write_dream, write_llada

from harness.catalogue import Catalogue
from harness.components import identify, make_sampler, resolve_model
from harness.engine.engine import Engine
from harness.engine.generator import Job
from harness.errors import UserError
from harness.executors.loader import ModelLoader, check_capabilities
from harness.executors.plan import make_plan
from harness.models import models
from harness.models.text.cached import dream_dllm_cache, dream_fast_dllm, llada_dllm_cache, llada_fast_dllm
from harness.models.text.families import dream, llada
from harness.models.text.memory import places_of
from harness.samplers import samplers
from harness.spec import Decoding, SamplerSpec, SuiteFile
from harness.task import Request

WRITERS = {"llada": write_llada, "dream": write_dream}
EXACT = {"llada": llada, "dream": dream}
FAST = {"llada": llada_fast_dllm, "dream": dream_fast_dllm}
FEATURES = {"llada": llada_dllm_cache, "dream": dream_dllm_cache}
PROMPTS = ("Why?", "Name three rivers of Asia.", "What is the sum of all numbers from one to a hundred?")
CACHES = {
    "prefix": lambda name, folder: FAST[name](pretrained=folder, dtype="float32", cache="prefix"),
    "dual": lambda name, folder: FAST[name](pretrained=folder, dtype="float32", cache="dual"),
    "dllm": lambda name, folder: FEATURES[name](pretrained=folder, dtype="float32", response_interval=3, transfer=0.3),
}
TOKENS = 16


@pytest.fixture(scope="module", params=["llada", "dream"])
def name(request):
    return request.param


@pytest.fixture(scope="module")
def folder(name, tmp_path_factory):
    return str(WRITERS[name](tmp_path_factory.mktemp(name) / "tiny"))


@pytest.fixture(scope="module")
def exact(name, folder):
    return endless(EXACT[name](pretrained=folder, dtype="float32"))


def endless(model):
    """The model whose texts have no end, so that all positions are generated."""
    model.eos_ids = frozenset()
    return model


def jobs(sampler, budget=None, prompts=PROMPTS, **args):
    made, info = make_sampler(SamplerSpec(name=sampler, args=args)), samplers[sampler].info
    decoding = Decoding(temperature=0.0)
    return [
        Job("cell", Request(f"{i}", prompt, length=TOKENS), 0, made, info, decoding, budget, 0)
        for i, prompt in enumerate(prompts)
    ]


def run(model, todo, batch=8, trace=False):
    made = {one.job.request.document: one for one in Engine(model, batch, trace).generate(todo)}
    return [made[job.request.document] for job in todo]


def tokens(made):
    return [one.output.tokens for one in made]


def test_renewed_at_every_call_the_features_are_the_exact_models(name, folder, exact):
    todo = jobs("llada", 8, block=8)
    model = endless(FEATURES[name](pretrained=folder, dtype="float32", prompt_interval=1, response_interval=1))
    ours, theirs = run(model, todo), run(exact, todo)
    assert tokens(ours) == tokens(theirs)
    for one, other in zip(ours, theirs, strict=True):
        assert (one.cost.nfe, one.cost.token_forwards) == (other.cost.nfe, other.cost.token_forwards)
        # The head runs in the current block only; no layer is cut short, as the features of all of them are kept.
        size = torch.tensor([one.cost.token_forwards // one.cost.nfe])
        layers = exact.transformer.shape.layers * exact.transformer.layer_flops(size, size)
        head = exact.transformer.head_flops(torch.tensor([2 * (8 + 6 + 4 + 2)]))
        assert one.cost.flops == float(8 * layers + head)


def test_all_turned_values_renew_the_whole_response(name, folder):
    """With ρ = 1 each layer renews the response at every call, as K_r = 1 does."""
    settings = ({"response_interval": 1, "transfer": 0.0}, {"response_interval": 5, "transfer": 1.0})
    models = [endless(FEATURES[name](pretrained=folder, dtype="float32", **each)) for each in settings]
    one, other = (run(model, jobs("llada", 16)) for model in models)
    assert tokens(one) == tokens(other)
    assert [each.cost for each in one] == [each.cost for each in other]


@pytest.mark.parametrize("cache", ["prefix", "dual"])
def test_blocks_of_one_position_are_exact(name, folder, exact, cache):
    """Each is decided at the first call of its block, which computes all."""
    model = endless(CACHES[cache](name, folder))
    todo = jobs("threshold", block=1)
    assert tokens(run(model, todo)) == tokens(run(exact, todo))


@pytest.mark.parametrize("cache", CACHES)
@pytest.mark.parametrize(
    "setting", [("llada", 8, {"block": 8}), ("threshold", None, {"block": 4, "tau": 0.03})], ids=str
)
def test_a_row_stands_alone(name, folder, cache, setting):
    """Slots are refilled here, rows are padded, and are at different blocks and calls."""
    model = endless(CACHES[cache](name, folder))
    sampler, budget, args = setting
    todo = jobs(sampler, budget, PROMPTS * 2, **args)
    alone = [run(model, [job], 1)[0] for job in todo]
    for batch in (2, 4):
        made = run(model, todo, batch)
        assert tokens(made) == tokens(alone)
        assert [one.cost for one in made] == [one.cost for one in alone]


@pytest.mark.parametrize("cache", CACHES)
def test_a_cache_changes_tokens(name, folder, exact, cache):
    todo = jobs("llada", 16, block=8)
    assert tokens(run(endless(CACHES[cache](name, folder)), todo)) != tokens(run(exact, todo))


@pytest.mark.parametrize("cache", ["prefix", "dual"])
def test_what_is_computed_is_charged(name, folder, exact, cache):
    """Blocks of 8 in 4 calls each: one of all positions and three of what the cache leaves."""
    model, before = endless(CACHES[cache](name, folder)), []
    for one, job in zip(run(model, jobs("llada", 8, block=8), trace=True), jobs("llada", 8, block=8), strict=True):
        prompt = len(exact.encode(job.request).tokens) - TOKENS
        later = [(TOKENS, 0), (8, 8)] if cache == "prefix" else [(8, 0), (8, 8)]
        computed = [prompt + TOKENS] * 2
        for step in (1, 2, 3, 5, 6, 7):
            size, first = later[step // 4]
            # Logits of the block's first are those of the position before, which has to be asked while it is a mask.
            masked = all(first not in each["commit"] for each in one.trace[:step])
            before.append(masked and name == "dream")
            computed.append(size + before[-1])
        assert one.cost.nfe == one.cost.depth == 8
        assert one.cost.token_forwards == sum(computed)
        shape, keys = exact.transformer.shape, prompt + TOKENS
        inner, narrow = shape.heads * shape.head_size, shape.kv_heads * shape.head_size
        weights = 2 * shape.layers * shape.width * (2 * inner + 2 * narrow + 3 * shape.mlp)
        predicted = 2 * (8 + 6 + 4 + 2)  # masks of the block at each of its calls
        head = 2 * shape.width * shape.vocab_size * predicted
        layers = sum(weights * count + 4 * shape.layers * inner * count * keys for count in computed)
        assert one.cost.flops == layers + head
    assert set(before) == ({True, False} if name == "dream" else {False})


def test_features_that_are_kept_cost_nothing(name, folder, exact):
    """Two layers: the first is always computed, the second at the first call, and then the turned quarter of the
    response, whose values are all computed to find it."""
    model = endless(FEATURES[name](pretrained=folder, dtype="float32", response_interval=100, transfer=0.25))
    (one,) = run(model, jobs("llada", 3, PROMPTS[:1]))
    length = len(exact.encode(Request("0", PROMPTS[0], length=TOKENS)).tokens)
    turned = TOKENS // 4
    assert one.cost.token_forwards == length + 2 * -(-(length + turned) // 2)
    network, size = exact.transformer, torch.tensor([length])
    full = network.layer_flops(size, size)
    part = network.layer_flops(torch.tensor([turned]), size) + network.value_flops(torch.tensor([TOKENS - turned]))
    head = network.head_flops(torch.tensor([16 + 10 + 5]))
    assert one.cost.flops == float(2 * full + 2 * (full + part) + head)


def test_it_offers_nothing_that_it_would_have_to_remember_as_well(name, folder):
    model = CACHES["dual"](name, folder)
    assert model.capabilities == {"memory"}


def test_a_second_question_of_a_step_is_an_error(folder, name):
    made, info = make_sampler(SamplerSpec(name="punt", args={})), samplers["punt"].info
    job = Job("cell", Request("0", "Why?", length=TOKENS), 0, made, info, Decoding(), None, 0)
    with pytest.raises(RuntimeError, match="not cacheable"):
        run(CACHES["dual"](name, folder), [job])


@pytest.mark.parametrize("sampler", ["punt", "klass", "wino", "saber", "info_gain"])
def test_samplers_that_ask_more_are_refused_before_anything_runs(sampler):
    sweep = {"models": "llada_fast_dllm:random=8b", "tasks": "waiting_line", "samplers": sampler, "budgets": [4]}
    suite = SuiteFile.model_validate({"name": "some", "sweeps": [sweep]})
    with pytest.raises(UserError, match=f"sampler '{sampler}' cannot run on it.* threshold"):
        make_plan(suite, Catalogue(()), None, "here")


def test_guidance_is_refused(name, folder):
    sweep = {"models": f"{name}_fast_dllm:pretrained={folder}", "tasks": "waiting_line", "samplers": "llada"}
    suite = SuiteFile.model_validate({"name": "some", "sweeps": [{**sweep, "budgets": [4], "guidance": 1.0}]})
    plan = make_plan(suite, Catalogue(()), None, "here")
    with pytest.raises(UserError, match=f"at guidance 1 needs guidance, which model '{name}_fast_dllm' does not offer"):
        check_capabilities(plan, ModelLoader("cpu"))


@pytest.mark.parametrize(
    ("model", "args", "said"),
    [
        ("llada_fast_dllm", {"cache": "duel"}, "it must be prefix or dual. Did you mean 'dual'"),
        ("llada_dllm_cache", {"prompt_interval": 0}, "prompt_interval is 0; it must be at least 1"),
        ("dream_dllm_cache", {"transfer": 1.5}, "transfer is 1.5; it must be between 0 and 1"),
    ],
)
def test_wrong_arguments_are_named(model, args, said):
    with pytest.raises(UserError) as error:
        identify(resolve_model(model, {**args, "random": "8b" if model.startswith("llada") else "7b"}, "here"))
    assert said in str(error.value)


def test_the_cache_is_in_the_specification_and_the_name():
    prefix, dual = (resolve_model("llada_fast_dllm", {"cache": each}, "here") for each in ("prefix", "dual"))
    assert prefix != dual
    assert dual.args["cache"] == "dual"
    assert "device_map" not in dual.args
    with pytest.raises(UserError, match="no argument 'device_map'"):
        resolve_model("llada_fast_dllm", {"device_map": "auto"}, "here")
    approximate = {entry.name for entry in models if entry.info.approximate}
    assert approximate == {"llada_fast_dllm", "llada_dllm_cache", "dream_fast_dllm", "dream_dllm_cache"}


def test_places_repeat_the_first_of_a_shorter_row():
    where = torch.tensor([[False, True, False, True], [False, False, True, False]])
    assert places_of(where).tolist() == [[1, 3], [2, 2]]
