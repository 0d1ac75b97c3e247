"""What a plan is said to take, against what it takes."""

import pytest
import torch
from checkpoints import write_llada, write_mdlm
from ifeval_rows import ROWS, write_rows

from harness.catalogue import Catalogue
from harness.engine.engine import Engine
from harness.executors.estimate import Estimator, describe, device_rate
from harness.executors.plan import make_plan
from harness.spec import SuiteFile


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("estimate")
    return {
        "llada": write_llada(root / "llada"),
        "mdlm": write_mdlm(root / "mdlm"),
        "data": write_rows(root / "d", *ROWS),
    }


def plan_of(folders, samplers, model="llada", **sweep):
    models = {"name": model, "pretrained": str(folders[model]), "dtype": "float32", "bucket": 1}
    content = {"models": models, "tasks": "ifeval:max_tokens=8", "samplers": samplers, "budgets": [4], **sweep}
    suite = SuiteFile.model_validate({"name": "s", "batch_size": 2, "sweeps": [content]})
    return make_plan(suite, Catalogue(), str(folders["data"]), "test")


def taken(cell):
    """Forward passes and FLOPs of the cell's samples, made now."""
    from harness.components import load_model

    made = list(Engine(load_model(cell.spec.model, "cpu"), 2).generate(list(cell.jobs())))
    return sum(one.cost.nfe for one in made), sum(one.cost.flops for one in made)


@pytest.mark.parametrize("guidance", [0.0, 1.0])
def test_a_schedule_takes_as_many_forwards_as_are_said_and_no_more_flops(folders, guidance):
    # A sampler that revises stops at no end of text.
    (cell,) = plan_of(folders, "p2", guidance=guidance, samples=2).cells
    said = Estimator(2)(cell)
    forwards, flops = taken(cell)
    assert said.forwards == forwards == 3 * 2 * 4 * (2 if guidance else 1)
    assert not said.most
    assert flops <= said.flops < 1.5 * flops  # the head is counted at every position


def test_an_adaptive_sampler_is_bounded(folders):
    (cell,) = plan_of(folders, "threshold:tau=0.05").cells
    said = Estimator(2)(cell)
    forwards, flops = taken(cell)
    assert said.most
    assert said.forwards == 3 * 8 >= forwards
    assert said.flops >= flops


def test_memory_is_that_of_weights_and_logits(folders):
    (cell,) = plan_of(folders, "confidence").cells
    weights = sum(file.stat().st_size for file in folders["llada"].glob("*.safetensors"))
    logits = 2 * 8 * 512 * (4 + 4)
    assert Estimator(2)(cell).memory == pytest.approx(weights + logits, rel=0.02)


def test_what_is_not_known_is_not_said(folders):
    (probing,) = plan_of(folders, "punt:epsilon=0.1").cells
    assert Estimator(2)(probing).forwards is None  # as many probes as its tests need
    suite = SuiteFile.model_validate(
        {"name": "s", "sweeps": [{"models": "exact/chain", "tasks": "exact", "samplers": "confidence", "budgets": [2]}]}
    )
    words, whole = describe(make_plan(suite, Catalogue(), None, "test"), "cpu")
    assert set(words.values()) == {""}
    assert whole == []


def test_the_whole_plan_in_words(folders):
    plan = plan_of(folders, "confidence,punt:epsilon=0.1,threshold:tau=0.5")
    words, whole = describe(plan, "cpu")
    assert sorted(words.values())[:2] == ["", words[plan.cells[0].spec.id]]
    assert words[plan.cells[0].spec.id].startswith("12 forward passes, ")
    assert "(1 cells of unknown cost are not counted): at most" in whole[0]
    assert "hours at that rate" in whole[1]
    assert whole[2].endswith("of memory at a batch of 2, for weights and logits")


def test_the_rate_is_measured():
    assert 1e8 < device_rate("cpu", "float32") < 1e16


def test_a_model_without_weights_counts_and_computes_nothing(folders):
    from harness.models.text.mdlm import mdlm

    model = mdlm(pretrained=str(folders["mdlm"]), device="meta")
    assert {each.device.type for each in model.transformer.parameters()} == {"meta"}
    full = mdlm(pretrained=str(folders["mdlm"]))
    sizes = torch.tensor([9]), torch.tensor([4])
    assert model.flops(*sizes) == full.flops(*sizes)
