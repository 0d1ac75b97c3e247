"""The autoregressive reference point against transformers' own `generate`, and what it is charged."""

import pytest
import torch
import transformers
from test_hf_masked import SIZES, VOCABULARY, write_tokenizer
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from harness.components import make_sampler, resolve_model
from harness.engine.engine import Engine
from harness.engine.generator import Job
from harness.errors import UserError
from harness.models import models
from harness.models.text.causal_lm import causal_lm
from harness.samplers import samplers
from harness.spec import Decoding, SamplerSpec
from harness.task import Request

PROMPTS = ["The quick brown fox", "Janet", "lazy dog. Janet's ducks lay 16 eggs per day; she"]


def write(folder, kind):
    torch.manual_seed(11)
    special = {"vocab_size": VOCABULARY, "eos_token_id": 3, "bos_token_id": 3, "pad_token_id": 1}
    if kind == "llama":
        config = transformers.LlamaConfig(**SIZES, num_key_value_heads=2, **special)
        model = transformers.LlamaForCausalLM(config)
    else:
        model = transformers.GPT2LMHeadModel(
            transformers.GPT2Config(n_embd=48, n_layer=2, n_head=4, n_positions=128, **special)
        )
    for name, parameter in model.named_parameters():
        if parameter.dim() == 2:
            torch.nn.init.normal_(parameter, std=0.3 if "lm_head" in name or "wte" in name else 0.2)
    model.save_pretrained(folder)
    write_tokenizer(folder)
    return folder


@pytest.fixture(scope="module", params=["llama", "gpt2"])
def folder(request, tmp_path_factory):
    return write(tmp_path_factory.mktemp("causal") / request.param, request.param)


@pytest.fixture(scope="module")
def model(folder):
    return causal_lm(pretrained=str(folder), dtype="float32")


def jobs(prompts, length=20, temperature=0.0, until=(), **args):
    made = make_sampler(SamplerSpec(name="autoregressive", args=args))
    info = samplers["autoregressive"].info
    return [
        Job(
            "c",
            Request(str(i), prompt=prompt, length=length, until=until),
            0,
            made,
            info,
            Decoding(temperature=temperature),
            None,
            0,
        )
        for i, prompt in enumerate(prompts)
    ]


def run(model, todo, batch_size=4):
    made = {one.job.request.document: one for one in Engine(model, batch_size).generate(todo)}
    return [made[job.request.document] for job in todo]


def greedy(folder, prompt, length=20):
    """Token by token with the whole text fed each time: transformers' `generate` without its cache."""
    theirs = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    words = transformers.AutoTokenizer.from_pretrained(folder)
    ids = words(prompt, return_tensors="pt")["input_ids"]
    made = theirs.generate(ids, max_new_tokens=length, do_sample=False, use_cache=False, pad_token_id=1)
    return tuple(made[0, ids.shape[1] :].tolist())


def test_greedy_texts_are_those_of_generate_whatever_is_in_the_batch(folder, model):
    together = run(model, jobs(PROMPTS))
    for prompt, made in zip(PROMPTS, together, strict=True):
        expected = greedy(folder, prompt)
        assert len(set(expected)) > 3
        assert made.output.tokens == expected
        assert made.output.text == model.decode(expected).text
    alone = [run(model, [job], batch_size=1)[0].output for job in jobs(PROMPTS)]
    assert alone == [made.output for made in together]


def test_draws_are_repeated_and_depend_on_the_row_alone(model):
    todo = jobs(PROMPTS, temperature=1.0)
    first = [made.output.tokens for made in run(model, todo)]
    assert first == [run(model, [job], batch_size=1)[0].output.tokens for job in todo]
    assert first != [made.output.tokens for made in run(model, jobs(PROMPTS))]
    narrow = run(model, jobs(PROMPTS, temperature=1.0, top_k=1))
    assert [made.output for made in narrow] == [made.output for made in run(model, jobs(PROMPTS))]


def test_a_text_ends_after_a_stop_text(model):
    (plain,) = run(model, jobs(PROMPTS[:1]))
    pieces = [model.codec.decode([token]) for token in plain.output.tokens]
    stop = next(piece for piece in pieces[4:] if piece)
    (stopped,) = run(model, jobs(PROMPTS[:1], until=("never", stop)))
    first = "".join(pieces).index(stop)
    assert stopped.output.text == "".join(pieces)[: first + len(stop)]
    assert stopped.output.tokens[-1] in model.eos_ids
    assert stopped.cost.nfe == len(stopped.output.tokens) < plain.cost.nfe


def test_the_prompt_is_fed_once_and_each_token_once(model):
    for made in run(model, jobs(PROMPTS, length=6)):
        prompt = len(model.encode(made.job.request).tokens) - 6
        drawn = len(made.output.tokens)
        assert (made.cost.nfe, made.cost.depth, made.cost.output_tokens) == (drawn, drawn, drawn)
        assert made.cost.token_forwards == prompt + drawn - 1


def test_flops_are_those_that_pytorch_counts(model):
    (job,) = jobs(PROMPTS[:1], length=5)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        (made,) = run(model, [job], batch_size=1)
    assert made.cost.nfe == 5
    assert made.cost.flops == counter.get_total_flops()


def test_it_is_no_canvas_and_needs_no_prompt(folder, model):
    assert not models["causal_lm"].info.canvas
    assert model.encode(Request("0", length=2)).tokens == (3, VOCABULARY, VOCABULARY)
    assert resolve_model("causal_lm", {"pretrained": str(folder)}, "test").args["chat"] is False
    with pytest.raises(UserError, match="a language model takes a prompt and a length"):
        model.encode(Request("0", prompt="x"))
    with pytest.raises(UserError, match="has no parameter 'topp'"):
        jobs(["x"], topp=0.5)
