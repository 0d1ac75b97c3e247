"""The task unconditional: metrics of texts without a prompt, with a tiny scorer."""

import json
import math

import numpy as np
import pytest
from causal_checkpoint import write_gpt2
from checkpoints import write_llada

from harness.analysis.scoring import score_cell
from harness.catalogue import Catalogue
from harness.errors import UserError
from harness.executors.inline import execute
from harness.executors.loader import ModelLoader
from harness.executors.making import Options
from harness.executors.plan import make_plan
from harness.metrics.causal_scorer import CausalScorer
from harness.spec import SuiteFile, TaskSpec
from harness.store import RunStore
from harness.task import Document, Output, Sample

TEXTS = ["the quick brown fox", "jumps over the lazy dog", "the the the the the the"]


@pytest.fixture(scope="module")
def scorer(tmp_path_factory):
    return str(write_gpt2(tmp_path_factory.mktemp("gpt2")))


def task(scorer, **settings):
    return Catalogue().task(TaskSpec(name="unconditional", args={"scorer": scorer, **settings}), None, None)


def samples(texts):
    return [Sample(Document(f"{i:04}"), 0, Output(tuple(map(ord, text)), text)) for i, text in enumerate(texts)]


def test_perplexity_is_of_all_tokens_together(scorer):
    one = task(scorer, count=3)
    one.check()
    assert [document.id for document in one.documents()] == ["0000", "0001", "0002"]
    request = one.request(one.documents()[0])
    assert (request.prompt, request.length) == (None, 1024)
    made = samples(TEXTS)
    seen = one.observe(made)
    read = CausalScorer(scorer).read(TEXTS)
    found = one.aggregate(made, seen)["gen_ppl"]
    assert found.value == pytest.approx(math.exp(read.nll.sum() / read.tokens.sum()))
    assert 0 < found.stderr < found.value
    scores = [one.score(sample, {name: row[i] for name, row in seen.items()}) for i, sample in enumerate(made)]
    assert scores[2]["repetition"] == pytest.approx(2 / 3)
    assert scores[2]["token_entropy"] < scores[0]["token_entropy"]
    assert scores[0]["tokens"] == read.tokens[0]
    assert "mauve" not in one.aggregate(made, seen)


def test_mauve_is_its_librarys(scorer, tmp_path):
    mauve = pytest.importorskip("mauve")
    reference = tmp_path / "real.jsonl"
    real = [f"the {word} fox jumps over {i}" for i in range(12) for word in ("quick", "lazy")]
    reference.write_text("".join(json.dumps({"text": text}) + "\n" for text in real))
    one = task(scorer, count=24, reference=str(reference))
    one.check()
    made = samples([f"a dog walks home {i}" for i in range(24)])
    seen = one.observe(made)
    assert np.array_equal(seen["reference_feature"], CausalScorer(scorer).read(real).features)
    expected = mauve.compute_mauve(p_features=seen["reference_feature"], q_features=seen["feature"], seed=25).mauve
    assert one.aggregate(made, seen)["mauve"].value == pytest.approx(float(expected))
    same = {**seen, "feature": seen["reference_feature"]}
    assert one.aggregate(made, same)["mauve"].value > one.aggregate(made, seen)["mauve"].value


def test_a_model_writes_and_another_scorer_looks_again(scorer, tmp_path):
    checkpoint = write_llada(tmp_path / "llada")
    sweep = {"models": f"llada:pretrained={checkpoint}:dtype=float32", "samplers": "random", "budgets": [2],
             "tasks": {"name": "unconditional", "count": 3, "max_tokens": 8, "scorer": scorer}}  # fmt: skip
    plan = make_plan(SuiteFile.model_validate({"name": "t", "sweeps": [sweep]}), Catalogue(), None, "t")
    run = RunStore.create(tmp_path / "run", {})
    execute(plan, run, ModelLoader("cpu"), Options(2))
    (cell,) = run.cells()
    settings = {"count": 3, "max_tokens": 8}
    assert score_cell(cell, task(scorer, **settings))
    other = task(scorer, **settings, context=2)
    assert other.identity() == task(scorer, **settings).identity()
    assert score_cell(cell, other)
    assert len(list((cell.folder / "observations").iterdir())) == 2  # the context is the scorer's affair


def test_what_is_missing_is_said_before_anything_is_made(scorer, tmp_path, monkeypatch):
    with pytest.raises(UserError, match=r"the scorer .* cannot be loaded"):
        task(str(tmp_path)).check()
    with pytest.raises(UserError, match="count is 0"):
        task(scorer, count=0).check()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'mdm-harness\[mauve\]'"):
        task(scorer, reference="somewhere").check()
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    with pytest.raises(UserError, match="there is no such file"):
        task(scorer, reference="somewhere").check()
    few = tmp_path / "few.jsonl"
    few.write_text('{"text": "one"}\n')
    with pytest.raises(UserError, match="reference has 1 texts; mauve needs as many as the count, 5"):
        task(scorer, count=5, reference=str(few)).check()
