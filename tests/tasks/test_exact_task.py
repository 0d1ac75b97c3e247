"""The task `exact`, on outputs made by hand and by exact sampling."""

import importlib.util
from pathlib import Path

import pytest
import torch
import yaml

from harness.errors import UserError
from harness.models.exact import joint_of
from harness.spec import ModelSpec, TaskFile
from harness.task import Output, Sample

FOLDER = Path(__file__).parents[2] / "tasks" / "exact"
SMALL = ModelSpec(name="exact/chain", args={"vocab": 3, "length": 5, "branches": 2})


def make_task(model, **settings):
    file = TaskFile.model_validate(yaml.safe_load((FOLDER / "task.yaml").read_text()))
    module, name = file.code.split(":")
    spec = importlib.util.spec_from_file_location("exact_task", FOLDER / module)
    code = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(code)
    return getattr(code, name)(file, {**file.settings, **settings}, "default", None, model)


def samples_of(task, tokens):
    rows = zip(task.documents(), tokens.tolist(), strict=True)
    return [Sample(document, 0, Output(tokens=tuple(row))) for document, row in rows]


def rows(task, samples):
    seen = task.observe(samples)
    return [{name: array[i] for name, array in seen.items()} for i in range(len(samples))]


def test_documents_are_numbered_slots():
    task = make_task(SMALL, count=12)
    task.check()
    documents = task.documents()
    assert [documents[0].id, documents[-1].id, len(documents)] == ["0000", "0011", 12]
    assert task.request(documents[3]).document == "0003"
    assert task.identity() == make_task(SMALL, count=13).identity(), "more samples belong to the same cell"
    assert task.data_hash() == make_task(SMALL, count=13).data_hash()


@pytest.mark.parametrize("name", ["exact/chain", "exact/tree", "exact/parity", "exact/independent"])
def test_exact_samples_score_as_exact(name):
    task = make_task(ModelSpec(name=name))
    samples = samples_of(task, task.joint.sample(1000, torch.Generator().manual_seed(0)))
    scores = [task.score(sample, seen) for sample, seen in zip(samples, rows(task, samples), strict=True)]
    gaps = torch.tensor([score["nll_gap"] for score in scores])
    assert abs(float(gaps.mean())) < 4 * float(gaps.std()) / 1000**0.5
    assert sum(score["validity"] for score in scores) > 985
    metrics = task.aggregate(samples, {})
    assert set(metrics) == {"pair_tv"}
    assert metrics["pair_tv"].value == pytest.approx(metrics["pair_tv"].floor, rel=0.3)


def test_metrics_by_enumeration_on_a_small_space():
    task = make_task(SMALL, count=200)
    states, probabilities = joint_of(SMALL).enumerate()
    mode = states[probabilities.argmax()]
    samples = samples_of(task, mode.expand(200, -1))
    metrics = task.aggregate(samples, {})
    assert metrics["tv"].value == pytest.approx(1 - float(probabilities.max()))
    assert metrics["pair_tv"].value > 3 * metrics["pair_tv"].floor
    score = task.score(samples[0], rows(task, samples)[0])
    entropy = float(torch.special.entr(probabilities).sum())
    assert score == {"nll_gap": pytest.approx(-float(probabilities.max().log()) - entropy), "validity": True}
    assert score["nll_gap"] < 0


def test_every_declared_metric_is_made():
    task = make_task(SMALL, count=20)
    samples = samples_of(task, task.joint.sample(20, torch.Generator().manual_seed(0)))
    made = {"sample": set(task.score(samples[0], rows(task, samples)[0])), "set": set(task.aggregate(samples, {}))}
    for level, keys in made.items():
        assert keys == {metric.key for metric in task.file.metrics if metric.level == level}
    assert task.file.primary in made["set"]
    assert task.aggregate(samples[:1], {}) == {}


@pytest.mark.parametrize("tokens", [(0, 1, 2), (0, 1, 2, 3, 0), (0, 1, 2, -1, 0)])
def test_incomplete_sequences_are_refused(tokens):
    task = make_task(SMALL, count=2)
    sample = Sample(task.documents()[0], 0, Output(tokens=tokens))
    with pytest.raises(UserError, match="document '0000'"):
        task.observe([sample])


def test_bad_settings_are_refused():
    with pytest.raises(UserError, match="count=1"):
        make_task(SMALL, count=1).check()
    with pytest.raises(UserError, match="without the model"):
        make_task(None).check()
