"""Questions about pictures, from files as published to scores, by a tiny random LLaDA-V: that the parts fit together.
Its pictures are of one colour, and its answers mean nothing."""

import json

import picture_files
import pytest
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
