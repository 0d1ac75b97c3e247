"""Questions about pictures, from files as published to scores, by tiny random models: that the parts fit together.
Their pictures are of one colour, and their answers mean nothing."""

import json
import os
from pathlib import Path

import pandas as pd
import picture_files
import pytest
from prompted_checkpoints import write_lumina, write_magvit, write_mmada
from seeing_checkpoints import write_dimple, write_lavida, write_llada_v

from harness.store import RunStore

SHORT = {"pope": 4, "vqav2": 1, "gqa": 1, "mme": 4, "mmbench": 2, "mmmu": 2}
LONG = {**SHORT, "mathvista": 3, "coco_caption": 2}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    root = tmp_path_factory.mktemp("seeing")
    for task in LONG:
        getattr(picture_files, f"write_{task}")(root / "data")
    return write_llada_v(root / "model"), root / "data"


@pytest.mark.parametrize(("form", "made"), [("short", SHORT), ("long", LONG)])
def test_tasks_from_their_files_to_their_scores(mdm, place, tmp_path, form, made):
    model, data = place
    line = f"run --model llada_v --model-args random={model},dtype=float32 --samplers llada,threshold:tau=0.5"
    more = dict.fromkeys(SHORT, f":form={form}") | {"coco_caption": ":protocol=plain"}
    more["pope"] += ":category=random"
    tasks = ",".join(f"{task}{more.get(task, '')}:max_tokens=12" for task in made)
    done = mdm(f"{line} --budgets 4 --tasks {tasks} --limit 4 --data-dir {data} --output {tmp_path / 'run'}")
    assert done.code == 0, done.err
    cells = list(RunStore(tmp_path / "run").cells())
    assert sorted(cell.spec.task.name for cell in cells) == sorted([*made, *made])
    for cell in cells:
        rows = [json.loads(row) for row in (cell.folder / "generations.jsonl").read_text().splitlines()]
        assert len(rows) == made[cell.spec.task.name]
        assert list(cell.folder.glob("scores/*.jsonl"))
    assert "accuracy" in done.out.lower()


@pytest.mark.parametrize(("name", "write"), [("lavida", write_lavida), ("dimple", write_dimple)])
def test_other_models_that_see(mdm, tmp_path, name, write):
    picture_files.write_pope(tmp_path / "data")
    for path in (tmp_path / "data" / "pope" / "val2014").iterdir():
        path.write_bytes(picture_files.content(picture_files.picture(size=(56, 56)), "JPEG"))
    arguments = f"pretrained={write(tmp_path / 'model')},dtype=float32"
    done = mdm(
        f"run --model {name} --model-args {arguments} --tasks pope:category=random:max_tokens=4 --samplers llada "
        f"--budgets 2 --data-dir {tmp_path / 'data'} --output {tmp_path / 'run'}"
    )
    assert done.code == 0, done.err
    (cell,) = RunStore(tmp_path / "run").cells()
    assert len(cell.generations()) == SHORT["pope"]


def test_both_forms_in_a_run(mdm, place, tmp_path):
    model, data = place
    form = "pope:category=random:max_tokens=4"
    done = mdm(
        f"run --model llada_v --model-args random={model},dtype=float32 --samplers llada,random --budgets 2,4 "
        f"--tasks {form},{form}:form=long --data-dir {data} --output {tmp_path / 'run'}"
    )
    assert done.code == 0, done.err
    bare = mdm(f"compare {tmp_path / 'run'} llada random --task pope")
    assert bare.code == 0, bare.err
    assert "pope@official · " in bare.out
    assert "pope@official long · " in bare.out
    # The name of the task says nothing about the form, so that both are scored.
    scored = mdm(f"score {tmp_path / 'run'} --task pope --protocol word")
    assert scored.code == 0, scored.err
    assert "8 cells scored" in scored.out
    short = mdm(f"score {tmp_path / 'run'} --task pope:form=short:category=random:max_tokens=4 --protocol official")
    assert "0 cells scored" in short.out


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
