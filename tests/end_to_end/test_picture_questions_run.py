"""Questions about pictures, from files as published to scores, by tiny random models: that the parts fit together.
Their pictures are of one colour, and their answers mean nothing."""

import json
import os
from pathlib import Path

import pandas as pd
import picture_files
import pytest
from prompted_checkpoints import write_lumina, write_magvit, write_mmada
from seeing_checkpoints import write_llada_v

from harness.store import RunStore


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("seeing")
    picture_files.write_pope(root / "data")
    picture_files.write_vqav2(root / "data")
    return write_llada_v(root / "model"), root / "data"


@pytest.mark.parametrize("form", ["short", "long"])
def test_tasks_from_their_files_to_their_scores(mdm, place, tmp_path, form):
    model, data = place
    line = f"run --model llada_v --model-args random={model},dtype=float32 --samplers llada,threshold:tau=0.5"
    tasks = f"pope:category=random:form={form}:max_tokens=12,vqav2:form={form}:max_tokens=12"
    done = mdm(f"{line} --budgets 4 --tasks {tasks} --data-dir {data} --output {tmp_path / 'run'}")
    assert done.code == 0, done.err
    made = {"pope": 4, "vqav2": 1}
    cells = list(RunStore(tmp_path / "run").cells())
    assert [cell.spec.task.name for cell in cells].count("pope") == len(cells) / 2 == 2
    for cell in cells:
        rows = [json.loads(row) for row in (cell.folder / "generations.jsonl").read_text().splitlines()]
        assert len(rows) == made[cell.spec.task.name]
    assert "accuracy" in done.out.lower()


def test_what_is_missing_is_said_before_anything_is_made(mdm, place, tmp_path):
    model, data = place
    line = f"run --model llada_v --samplers llada --budgets 4 --tasks pope:category=random --output {tmp_path / 'run'}"
    (model / "model-00002-of-00002.safetensors").rename(tmp_path / "shard")
    missing = mdm(f"{line} --model-args pretrained={model},dtype=float32 --data-dir {data}")
    (tmp_path / "shard").rename(model / "model-00002-of-00002.safetensors")
    assert missing.code == 2
    assert "lacks 1 of the 2 files of weights" in missing.err
    nothing = mdm(f"{line} --model-args random={model} --data-dir {tmp_path}")
    assert nothing.code == 2
    assert "its data are not in" in nothing.err
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif("MDM_HARNESS_DATA" not in os.environ, reason="needs POPE's questions")
@pytest.mark.parametrize("name", ["mmada_vqa", "lumina_dimoo_vqa"])
def test_plumbing_of_popes_own_questions_as_the_suite_asks(name, tmp_path, mdm):
    """POPE's published questions about pictures of one colour, to random weights: a test of the plumbing, which says
    nothing about any model."""
    file = Path(os.environ["MDM_HARNESS_DATA"]) / "pope" / "coco_pope_adversarial.json"
    lines = file.read_text().splitlines()[:3]
    picture_files.write(tmp_path / "data" / "pope" / file.name, "\n".join(lines))
    missing = json.loads(lines[0])["image"]
    model = {"mmada_vqa": write_mmada, "lumina_dimoo_vqa": write_lumina}[name](tmp_path / "model")
    codec = f",codec={write_magvit(tmp_path / 'magvit')}" if name == "mmada_vqa" else ""
    line = (
        f"run freecorrection_vqa --model {name} --model-args pretrained={model},resolution=64,dtype=float32{codec} "
        "--tasks pope:category=adversarial:max_tokens=4,pope:category=adversarial:form=long:max_tokens=6 "
        f"--samplers llada,freecorrection --budgets 2,4 --data-dir {tmp_path}/data --output {tmp_path}/out"
    )
    refused = mdm(line)
    assert refused.code == 2
    assert "task pope: 1 of 1 pictures cannot be had. Nothing was generated." in refused.err
    assert f"{missing} is not in {tmp_path}/data" in refused.err
    assert not list((tmp_path / "out").glob("cells/*/generations.jsonl"))
    for image in {json.loads(row)["image"] for row in lines}:
        picture_files.write(
            tmp_path / "data" / "pope" / "val2014" / image, picture_files.content(picture_files.picture())
        )
    dry = mdm(f"{line} --dry-run")
    assert dry.code == 0, dry.err
    assert "0/3 samples" in dry.out
    done = mdm(line)
    assert done.code == 0, done.err
    board = pd.read_csv(tmp_path / "out" / "leaderboard.csv")
    assert board["metric_accuracy"].between(0, 1).all()
    assert (tmp_path / "out" / "leaderboard.md").read_text().count("Sampler effect, best minus worst: ") == 2
