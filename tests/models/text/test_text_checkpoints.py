"""What a user has on disk or on the hub: prompts in the model's own words, and one clear message for what is wrong."""

import json
import shutil

import pytest
import torch
from checkpoints import write_dream, write_llada, write_llada_moe
from safetensors.torch import load_file, save_file
from support import jobs, run

from harness.components import load_model, resolve_model
from harness.errors import UserError
from harness.models import models
from harness.models.text import checkpoint, loading
from harness.models.text.families import dream, llada, llada_moe, llada_revision
from harness.task import Request


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("checkpoints")
    return {"llada": write_llada(root / "llada"), "dream": write_dream(root / "dream")}


@pytest.fixture
def folder(written, tmp_path):
    """A LLaDA checkpoint to spoil."""
    return shutil.copytree(written["llada"], tmp_path / "llada")


def revise(folder, **args):
    return llada_revision(pretrained=str(folder), hub_revision="", random="", chat=True, dtype="float32", **args)


def edit(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_prompt_is_a_turn_in_the_chat_template_of_the_checkpoint(written):
    model = llada(pretrained=str(written["llada"]), dtype="float32")
    words = model.codec.tokenizer
    row = model.encode(Request("0", prompt="  How many ducks? ", length=3))
    start = list(row.tokens).index(model.mask_id)
    assert words.decode(row.tokens[:start]) == (
        "<|startoftext|><|start_header_id|>user<|end_header_id|>\n\nHow many ducks?<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    )
    assert row.editable == (*[False] * start, *[True] * 3)
    ends = {words.convert_tokens_to_ids(token) for token in ("<|endoftext|>", "<|eot_id|>")}
    assert model.eos_ids == ends
    told = model.decode([*words("16 eggs.")["input_ids"], *ends])
    assert told.text == "16 eggs."


def test_a_mask_that_only_the_tokenizer_knows(tmp_path):
    model = llada_moe(pretrained=str(write_llada_moe(tmp_path / "moe")))
    words = model.codec.tokenizer
    row = model.encode(Request("0", prompt="How many?", length=1))
    assert words.decode(row.tokens) == "<role>USER</role>How many?<|role_end|><role>ASSISTANT</role><|mask|>"
    assert model.eos_ids == {words.convert_tokens_to_ids(token) for token in ("<|endoftext|>", "<|role_end|>")}
    biased = write_llada_moe(tmp_path / "biased", sizes={"moe_router_enable_expert_bias": True})
    with pytest.raises(UserError, match="built without biases of experts, and with experts in every layer"):
        llada_moe(pretrained=str(biased))


def test_a_plain_prompt_of_dream_begins_with_bos_and_one_of_llada_does_not(written):
    plain = {
        name: load(pretrained=str(written[name]), chat=False) for name, load in (("llada", llada), ("dream", dream))
    }
    rows = {name: model.encode(Request("0", prompt="Ünï ", length=1)).tokens for name, model in plain.items()}
    words = {name: model.codec.tokenizer for name, model in plain.items()}
    assert words["llada"].decode(rows["llada"]) == "Ünï <|mdm_mask|>"
    assert words["dream"].decode(rows["dream"]) == "<|beginoftext|>Ünï <|mask|>"
    assert plain["llada"].encode(Request("0", length=2)).tokens == (plain["llada"].mask_id,) * 2


def test_a_conversation_and_the_beginning_of_an_answer(written):
    model = llada(pretrained=str(written["llada"]))
    turns = (("system", "Be brief."), ("user", "How many?"), ("assistant", "There are"))
    row = model.encode(Request("0", prompt="plain", turns=turns, length=1))
    told = model.codec.tokenizer.decode(row.tokens)
    assert told.startswith("<|startoftext|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>")
    assert told.endswith("<|start_header_id|>assistant<|end_header_id|>\n\nThere are<|mdm_mask|>")
    base = llada(pretrained=str(written["llada"]), chat=False)
    assert (
        base.codec.tokenizer.decode(base.encode(Request("0", prompt="plain", turns=turns, length=0)).tokens) == "plain"
    )


def test_a_continuation_stands_at_the_editable_positions(written):
    base = llada(pretrained=str(written["llada"]), chat=False)
    words = base.codec.tokenizer
    row = base.encode(Request("0", prompt="She eats ", continuation="three eggs"))
    answer = [token for token, mine in zip(row.tokens, row.editable, strict=True) if mine]
    assert words.decode(row.tokens) == "She eats three eggs"
    assert words.decode(answer) == " three eggs"  # the blank goes with the word, as it does in a text
    assert list(row.tokens) == words("She eats three eggs")["input_ids"]


@pytest.mark.parametrize("sampler", ["llada", "threshold", "punt", "wino", "dapd"])
def test_samplers_run_and_fill_every_mask(written, sampler):
    model = load_model(resolve_model("llada", {"pretrained": str(written["llada"]), "dtype": "float32"}, "test"), "cpu")
    todo = jobs(sampler, 3, budget=4 if sampler == "llada" else None, temperature=0.0)
    prompts = ("Hello", "How many eggs does Janet eat?", "x" * 40)
    todo = [
        one.__class__(**{**one.__dict__, "request": Request(str(i), prompt=prompt, length=8)})
        for i, (one, prompt) in enumerate(zip(todo, prompts, strict=True))
    ]
    for made in run(model, todo, batch_size=2):
        assert made.output.text is not None
        assert model.mask_id not in made.output.tokens
        assert len(made.output.tokens) == 8 or made.output.tokens[-1] in model.eos_ids
        assert made.cost.flops > 0


def test_a_shifted_model_offers_no_positions_of_a_samplers_choosing(written):
    assert "positions" not in dream(pretrained=str(written["dream"])).capabilities


def test_what_does_not_fit_is_named_with_its_document(written):
    model = llada(pretrained=str(written["llada"]))
    with pytest.raises(UserError, match=r"document '7': the prompt's \d+ tokens and the answer's 4096"):
        model.encode(Request("7", prompt="Hello", length=4096))
    with pytest.raises(UserError, match="document '8': a language model needs the number of tokens"):
        model.encode(Request("8", prompt="Hello"))
    with pytest.raises(UserError, match="document '9': a language model takes a prompt, no picture and no label"):
        model.encode(Request("9", condition={"label": 3}, length=4))


def test_the_revision_tells_weights_apart_and_not_folders(folder, tmp_path):
    first = revise(folder)
    assert first == revise(shutil.copytree(folder, tmp_path / "elsewhere"))
    file = folder / "model-00002-of-00003.safetensors"
    weights = load_file(file)
    key = next(iter(weights))
    save_file({**weights, key: weights[key] + 1e-3}, file, {"format": "pt"})
    changed = revise(folder)
    assert changed != first
    edit(folder / "tokenizer_config.json", chat_template="{{ messages[0]['content'] }}")
    assert revise(folder) != changed


def test_the_cell_knows_the_dtype():
    assert resolve_model("llada", {}, "test").dtype == "bfloat16"
    assert resolve_model("llada", {"dtype": "float16"}, "test").dtype == "float16"
    assert resolve_model("digits", {}, "test").dtype == "float32"


def test_a_name_on_the_hub_is_its_commit(folder, tmp_path, monkeypatch):
    commit, asked = "b0cd5a1e", []
    snapshot = shutil.copytree(folder, tmp_path / "snapshots" / commit)

    def download(repository, revision, allow_patterns):
        asked.append((repository, revision, "*.safetensors" in allow_patterns))
        return str(snapshot)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    checkpoint.download.cache_clear()
    arguments = {"pretrained": "someone/LLaDA", "hub_revision": "v2", "random": "", "chat": True, "dtype": "float32"}
    assert models["llada"].info.revision == "harness.models.text.families:llada_revision"
    assert llada_revision(**arguments) == commit
    assert asked == [("someone/LLaDA", "v2", False)]  # no weights yet
    llada(**arguments)
    assert asked[1:] == [("someone/LLaDA", commit, True)]
    checkpoint.download.cache_clear()


def test_a_hub_that_cannot_be_reached_is_one_message(monkeypatch):
    def fail(*_, **__):
        raise ConnectionError("no route\nto the hub")

    monkeypatch.setattr("huggingface_hub.snapshot_download", fail)
    checkpoint.download.cache_clear()
    with pytest.raises(UserError, match=r"someone/LLaDA cannot be had from the hub, and no such folder .* no route$"):
        revise("someone/LLaDA")


def spoil_shard(folder):
    (folder / "model-00002-of-00003.safetensors").unlink()


def spoil_truncated(folder):
    path = folder / "model-00001-of-00003.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def spoil_key(folder):
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    names = index["weight_map"]
    names["model.transformer.wpe.weight"] = names.pop("model.transformer.blocks.1.up_proj.weight")
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def spoil_index(folder):
    edit(
        folder / "model.safetensors.index.json", weight_map={**index_of(folder), "model.transformer.ln_f.weight": LAST}
    )


def spoil_tokenizer(folder):
    (folder / "tokenizer.json").unlink()


def spoil_vocabulary(folder):
    """The tokenizer and the network of two checkpoints."""
    shutil.copy(folder / "tokenizer.json", folder.parent)
    for path in folder.iterdir():
        path.unlink()
    write_llada(folder, sizes={"vocab_size": 300, "embedding_size": 300})
    shutil.copy(folder.parent / "tokenizer.json", folder)


def spoil_broken_tokenizer(folder):
    (folder / "tokenizer.json").write_text('{"model": 3}')


def spoil_template(folder):
    edit(folder / "tokenizer_config.json", chat_template=None)


def spoil_config(folder):
    (folder / "config.json").unlink()


def spoil_json(folder):
    (folder / "config.json").write_text("{")


FIRST = "model-00001-of-00003.safetensors"
LAST = "model-00003-of-00003.safetensors"


def index_of(folder):
    return json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"]


IN_THE_WEIGHTS = [
    (spoil_truncated, f"{FIRST} is not a readable safetensors file"),
    (spoil_index, f"{LAST} lacks the tensor model.transformer.ln_f.weight, which the index puts there"),
    (
        lambda folder: edit(folder / "config.json", mlp_hidden_size=128),
        r"the tensor model\.transformer\.blocks\.0\.\w+\.weight is \(.*160.*\); config.json asks for \(.*128.*\)",
    ),
    (
        lambda folder: edit(folder / "config.json", embedding_size=600),
        r"the tensor model\.transformer\.\w+\.weight is \(512, 64\); config.json asks for \(600, 64\)",
    ),
]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoil_shard, r"lacks 1 of the 3 files of weights .* model-00002-of-00003\.safetensors\. Download them again"),
        (spoil_key, r"missing: model\.transformer\.blocks\.1\.up_proj\.weight; unexpected: model\.transformer\.wpe"),
        (spoil_tokenizer, "has no tokenizer: neither tokenizer.json nor vocab.json and merges.txt"),
        (spoil_broken_tokenizer, "the tokenizer in .* cannot be read"),
        (spoil_template, "the tokenizer has no chat template; write chat=false for a base model"),
        (spoil_config, "is no checkpoint: it has no config.json"),
        (spoil_json, "config.json cannot be read as JSON"),
        (spoil_vocabulary, "ids up to 305, .* vocabulary ends at 299"),
        (lambda folder: edit(folder / "config.json", n_layers=3), r"missing: model\.transformer\.blocks\.2\.attn_norm"),
        (lambda folder: edit(folder / "config.json", n_layers=1), r"unexpected: .* and 1 more"),
        (lambda folder: edit(folder / "config.json", alibi=True), "alibi is True; this model is built with False only"),
        (lambda folder: edit(folder / "config.json", d_model="wide"), "d_model is 'wide'; a whole number is needed"),
        (
            lambda folder: edit(folder / "config.json", n_heads=None, model_type="Dream"),
            r"n_heads is missing\. Its model_type is 'Dream': is it another model's\?",
        ),
        (lambda folder: edit(folder / "config.json", mask_token_id=None), "mask_token_id is None; it must be a token"),
    ],
)
def test_a_spoilt_checkpoint_is_found_before_anything_is_computed(folder, spoil, message):
    spoil(folder)
    with pytest.raises(UserError, match=message):
        revise(folder)


@pytest.mark.parametrize(("spoil", "message"), IN_THE_WEIGHTS)
def test_what_the_files_of_weights_hold_is_found_on_disk_at_once_and_on_the_hub_when_they_are_had(
    folder, spoil, message, monkeypatch
):
    spoil(folder)
    with pytest.raises(UserError, match=message):
        revise(folder)
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: str(folder))
    monkeypatch.setattr(loading, "_fill", None)
    checkpoint.download.cache_clear()
    with pytest.raises(UserError, match=message):
        llada(pretrained="someone/LLaDA")
    checkpoint.download.cache_clear()


def test_weights_of_another_kind_are_named(folder):
    for path in folder.glob("*.safetensors*"):
        path.unlink()
    (folder / "pytorch_model.bin").touch()
    with pytest.raises(UserError, match=r"has no weights: .*; only safetensors are read"):
        revise(folder)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pretrained": "/nowhere/at/all"}, "'/nowhere/at/all' is neither a folder nor a name on the hub"),
        ({"dtype": "bf16"}, "dtype is 'bf16'. Did you mean 'bfloat16'?"),
        ({"random": "8B"}, "random: '8B' is neither a size nor a folder. Did you mean '8b'?"),
        ({"bucket": 0}, "bucket is 0; it must be at least 1"),
        ({"device_map": "balanced"}, "device_map is 'balanced'; write auto"),
        ({"hub_revision": "main"}, "hub_revision is 'main', but pretrained is the folder"),
    ],
)
def test_mistakes_in_arguments_are_named(written, arguments, message):
    with pytest.raises(UserError) as error:
        llada(**{"pretrained": str(written["llada"]), **arguments})
    assert message in str(error.value)


def test_a_gpu_that_is_too_small_is_named_before_the_weights_are_read(written, monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (10**5, 10**6))
    monkeypatch.setattr(loading, "_fill", None)
    with pytest.raises(UserError, match=r"--device cuda:0 has 0\.0 GB free, and the weights in bfloat16 take 0\.0 GB"):
        llada(pretrained=str(written["llada"]), device="cuda:0")


def test_layers_spread_over_devices_predict_the_same(written):
    pytest.importorskip("accelerate")
    one = llada(pretrained=str(written["llada"]), dtype="float32")
    spread = llada(pretrained=str(written["llada"]), dtype="float32", device_map="auto")
    request = Request("0", prompt="Hello", length=4)
    made = [run(model, [one_job(request)])[0].output.tokens for model in (one, spread)]
    assert made[0] == made[1]


def one_job(request):
    (job,) = jobs("confidence", 1, budget=2, temperature=0.0)
    return job.__class__(**{**job.__dict__, "request": request})
