"""Our models and samplers inside lm-eval: what it gets is what our own runs make."""

import json
import logging

import pytest
import torch
from causal_checkpoint import write_gpt2
from checkpoints import write_llada
from lm_eval import simple_evaluate
from lm_eval.tasks import TaskManager
from lm_eval_local import CHOICE

from harness.catalogue import Catalogue
from harness.cli import main
from harness.engine.engine import Engine
from harness.errors import RunError, UserError
from harness.executors.inline import Options, execute
from harness.executors.loader import ModelLoader
from harness.executors.plan import make_plan
from harness.lm_model import model as lm_model
from harness.lm_model import register
from harness.lm_model.model import MaskedDiffusionLM
from harness.models.text.families import llada
from harness.spec import SuiteFile
from harness.store import RunStore
from harness.task import Request

STORIES = [
    {"question": f"write a story . use the words {one} and {other} .", "answer": one}
    for one, other in [("cat", "fox"), ("owl", "lake"), ("big", "coin"), ("bear", "cave")]
]
ENDINGS = [
    {"question": "write a story .", "choices": [f"the {animal} runs .", f"runs the . {animal}"], "label": 0}
    for animal in ("cat", "owl")
]
STORY = {"doc_to_text": "{{question}}", "num_fewshot": 0, "description": ""}


@pytest.fixture
def stories(write):
    return write(STORIES, **STORY)


def inside(folder, arguments, task="numbers", **options):
    """lm-eval's results and samples with `--model mdm`."""
    register()
    manager = TaskManager(include_path=str(folder), include_defaults=False)
    return simple_evaluate(
        "mdm", arguments, tasks=[task], task_manager=manager, bootstrap_iters=0, device="cpu", **options
    )


def outside(folder, tmp_path, sampler, model="mini", task="lm_eval:numbers", **sweep):
    """The samples of our own run, by document, and its costs."""
    content = {"models": model, "tasks": task, "samplers": sampler, **sweep}
    plan = make_plan(SuiteFile.model_validate({"name": "t", "sweeps": [content]}), Catalogue([folder]), None, "t")
    run = RunStore.create(tmp_path / "run", {})
    execute(plan, run, ModelLoader("cpu"), Options(4))
    (cell,) = run.cells()
    return {key.document: output for key, output in cell.generations().items()}, cell.costs()


def cut(text):
    return text.split("\n")[0].split("stop")[0]


def test_lm_eval_gets_the_texts_and_costs_of_our_own_runs(stories, tmp_path):
    results = inside(
        stories, "model=mini,sampler=punt,epsilon=0.05,block_length=8,temperature=1.0,seed=3", batch_size=4
    )
    ours, costs = outside(stories, tmp_path, "punt:epsilon=0.05:block=8", temperature=1.0, seeds=[3])
    theirs = {str(sample["doc_id"]): sample["resps"][0][0] for sample in results["samples"]["numbers"]}
    assert theirs == {name: cut(output.text) for name, output in ours.items()}
    told = results["config"]["mdm"]
    assert told["cost"]["generate_until"]["responses"] == 4
    assert told["cost"]["generate_until"]["nfe"] == sum(cost["nfe"] for cost in costs.values()) / 4
    assert (told["sampler"]["args"]["epsilon"], told["sampler"]["args"]["block"]) == (0.05, 8)
    assert json.loads(json.dumps(told)) == told


def test_repeated_requests_are_other_samples(write):
    take = [{"name": "all", "filter": [{"function": "take_first_k", "k": 3}]}]
    folder = write(STORIES[:1], **STORY, repeats=3, filter_list=take)
    results = inside(folder, "model=mini,sampler=random,steps=4,temperature=2.0", batch_size=4, predict_only=True)
    (sample,) = results["samples"]["numbers"]
    assert len(set(sample["resps"][0])) == 3


def test_likelihoods_are_those_of_our_own_runs(write, tmp_path):
    folder = write(ENDINGS[:1], [], CHOICE)
    results = inside(folder, "model=mini,sampler=confidence,steps=4,draws=5", task="endings", batch_size=2)
    (ours,), _ = outside(folder, tmp_path, "likelihood:draws=5", task="lm_eval:endings")
    (sample,) = results["samples"]["endings"]
    found = [answer[0][0] for answer in sample["resps"]]
    assert found == list(outside(folder, tmp_path, "likelihood:draws=5", task="lm_eval:endings")[0][ours].logp)
    assert results["results"]["endings"]["acc,none"] == 1.0
    assert results["config"]["mdm"]["cost"]["loglikelihood"]["nfe"] == 5


def test_a_checkpoint_reads_conversations_through_its_own_template(write, tmp_path):
    checkpoint = write_llada(tmp_path / "llada")
    folder = write(STORIES[:2], **STORY, generation_kwargs={"until": [], "max_gen_toks": 6})
    arguments = f"model=llada,pretrained={checkpoint},dtype=float32,sampler=confidence,steps=3"
    results = inside(folder, arguments, apply_chat_template=True, fewshot_as_multiturn=True, batch_size=2)
    model = f"llada:pretrained={checkpoint}:dtype=float32"
    ours, _ = outside(folder, tmp_path, "confidence", model, budgets=[3])
    assert {str(s["doc_id"]): s["resps"][0][0] for s in results["samples"]["numbers"]} == {
        name: output.text for name, output in ours.items()
    }
    plain = inside(folder, arguments, batch_size=2)["samples"]["numbers"][0]
    assert plain["arguments"][0][0] == STORIES[0]["question"]


def test_an_autoregressive_model_is_the_reference_point_there_too(write, tmp_path):
    checkpoint = write_gpt2(tmp_path)
    folder = write(STORIES[:2], **STORY, generation_kwargs={"until": ["q"], "max_gen_toks": 5})
    arguments = f"model=causal_lm,pretrained={checkpoint},dtype=float32,sampler=autoregressive"
    results = inside(folder, arguments, batch_size=2)
    ours, costs = outside(folder, tmp_path, "autoregressive", f"causal_lm:pretrained={checkpoint}:dtype=float32")
    found = {str(sample["doc_id"]): sample["resps"][0][0] for sample in results["samples"]["numbers"]}
    assert found == {name: output.text.split("q")[0] for name, output in ours.items()}
    nfe = results["config"]["mdm"]["cost"]["generate_until"]["nfe"]
    assert nfe == sum(cost["nfe"] for cost in costs.values()) / 2


def test_a_rendered_conversation_has_the_tokens_of_the_conversation(tmp_path):
    checkpoint = str(write_llada(tmp_path / "llada"))
    turns = (("user", "How many?"), ("assistant", "There are"))
    chat, plain = llada(pretrained=checkpoint), llada(pretrained=checkpoint, chat=False)
    asked = Request("0", prompt=plain.codec.render(turns), length=2)
    assert plain.encode(asked).tokens == chat.encode(Request("0", turns=turns, length=2)).tokens


def test_a_cache_of_responses_serves_one_setting_only(stories, tmp_path):
    path, arguments = str(tmp_path / "responses"), "model=mini,sampler=confidence,steps=2"
    first = inside(stories, arguments, batch_size=4, use_cache=path)
    again = inside(stories, arguments, batch_size=4, use_cache=path)
    assert first["config"]["mdm"]["cost"]["generate_until"]["responses"] == 4
    assert again["config"]["mdm"]["cost"] == {}
    assert again["results"] == first["results"]
    for other in ("model=mini,sampler=confidence,steps=4", "model=mini,sampler=margin,steps=2", arguments + ",seed=1"):
        with pytest.raises(UserError, match="responses in this cache are of another"):
            inside(stories, other, batch_size=4, use_cache=path)


def failing(error, after=2, above=0):
    """Engines that end in an error after so many answers, where a batch has more rows than `above`; their sizes."""
    sizes = []

    class Failing(Engine):
        def __init__(self, model, rows):
            super().__init__(model, rows)
            sizes.append(rows)

        def generate(self, jobs, done):
            for number, made in enumerate(super().generate(jobs, done), start=1):
                yield made
                if number == after and sizes[-1] > above:
                    raise error

    return Failing, sizes


def test_out_of_memory_halves_the_batch_and_each_request_is_answered_once(stories, monkeypatch):
    arguments = "model=mini,sampler=confidence,steps=2"
    plain = inside(stories, arguments, batch_size=1)
    engine, sizes = failing(torch.OutOfMemoryError("CUDA out of memory"), after=1, above=1)
    monkeypatch.setattr(lm_model, "Engine", engine)
    results = inside(stories, arguments, batch_size=4)
    assert sizes == [4, 2, 1]
    assert [each["resps"] for each in results["samples"]["numbers"]] == [
        each["resps"] for each in plain["samples"]["numbers"]
    ]
    told = results["config"]["mdm"]
    assert (told["batch_size"], told["cost"]["generate_until"]["responses"]) == (1, 4)
    engine, _ = failing(torch.OutOfMemoryError("CUDA out of memory"))
    monkeypatch.setattr(lm_model, "Engine", engine)
    with pytest.raises(RunError, match="does not hold a single row"):
        inside(stories, arguments, batch_size=1)


@pytest.mark.parametrize("task", ["numbers", "endings"])
def test_what_was_made_before_an_interruption_is_in_the_cache(write, tmp_path, monkeypatch, task):
    folder = write(STORIES, **STORY) if task == "numbers" else write(ENDINGS, [], CHOICE)
    options = {"task": task, "batch_size": 1, "use_cache": str(tmp_path / "responses")}
    arguments = "model=mini,sampler=confidence,steps=2,draws=2"
    kind = "generate_until" if task == "numbers" else "loglikelihood"
    engine, _ = failing(KeyboardInterrupt())
    with monkeypatch.context() as patch:
        patch.setattr(lm_model, "Engine", engine)
        with pytest.raises(KeyboardInterrupt):
            inside(folder, arguments, **options)
    again = inside(folder, arguments, **options)
    total = len(STORIES) if task == "numbers" else 2 * len(ENDINGS)
    assert again["config"]["mdm"]["cost"][kind]["responses"] == total - 2
    assert again["results"] == inside(folder, arguments, task=task, batch_size=1)["results"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": "mini"}, "sampler is missing"),
        ({"sampler": "random"}, "model is missing"),
        ({"model": "minni", "sampler": "random", "steps": 2}, "unknown model 'minni'. Did you mean 'mini'"),
        ({"model": "mini", "sampler": "puntt"}, "unknown sampler 'puntt'. Did you mean 'punt'"),
        ({"model": "mini", "sampler": "punt", "epsilom": 1}, "has 'epsilom'. Did you mean 'epsilon'"),
        ({"model": "mini", "sampler": "confidence"}, "takes a number of steps: give steps=128"),
        ({"model": "mini", "sampler": "confidence", "steps": 0}, "steps is 0; it must be a whole number of at least 1"),
        ({"model": "mini", "sampler": "autoregressive"}, "'autoregressive' needs next_token, which"),
        ({"model": "causal_lm", "sampler": "random", "steps": 2}, "'causal_lm' is no token canvas"),
        ({"model": "mini", "sampler": "likelihood"}, "does not write; likelihoods take draws=N"),
        ({"model": "mini", "sampler": "punt", "temperature": "hot"}, "temperature is 'hot'; it must be a number"),
        ({"model": "mini", "sampler": "punt", "batch_size": "auto"}, "--batch_size is 'auto'; give a number"),
    ],
)
def test_what_is_refused(arguments, message):
    with pytest.raises(UserError, match=message):
        MaskedDiffusionLM(device="cpu", **arguments)


def test_a_name_of_both_is_told_apart(monkeypatch, caplog):
    from harness.lm_model import arguments

    monkeypatch.setattr(arguments, "model_arguments", lambda name: ["weights", "epsilon"])
    with pytest.raises(UserError, match=r"write model\.epsilon or sampler\.epsilon"):
        arguments.read_setting({"model": "mini", "sampler": "punt", "epsilon": 1})
    found = arguments.read_setting({"model": "mini", "sampler": "punt", "sampler.epsilon": 0.1, "steps": 9})
    assert found.sampler.args["epsilon"] == 0.1
    assert found.budget is None
    assert "takes no number of steps" in caplog.text


def test_models_that_write_no_text_or_have_no_template_say_so(stories):
    with pytest.raises(UserError, match="an exact model takes neither a prompt"):
        inside(stories, "model=exact/chain,sampler=random,steps=2")
    with pytest.raises(UserError, match="no chat template; leave out --apply_chat_template"):
        inside(stories, "model=mini,sampler=random,steps=2", apply_chat_template=True)


@pytest.mark.slow  # lm-eval's command reads all its files
def test_the_command(stories, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(logging.getLogger("lm_eval"), "handlers", [])
    line = ["lm-eval", "--model", "mdm", "--model_args", "model=mini,sampler=confidence,steps=2", "--tasks", "numbers"]
    main([*line, "--include_path", str(stories), "--output_path", str(tmp_path / "out"), "--limit", "2"])
    assert "|numbers|" in capsys.readouterr().out
    (results,) = (tmp_path / "out").rglob("results_*.json")
    assert json.loads(results.read_text())["config"]["mdm"]["cost"]["generate_until"]["responses"] == 2
