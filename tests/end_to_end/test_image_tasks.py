"""Tasks about pictures from the command line: a model that draws noise, and tiny random networks that look at it."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from image_checkpoints import write_clip, write_dinov2, write_drawer, write_inception, write_mask2former
from PIL import Image
from prompted_checkpoints import write_lumina, write_magvit, write_mmada

ROWS = [
    {"tag": tag, "include": [{"class": "dog", "count": 1, **more}], "prompt": f"a photo of a dog for {tag}"}
    for tag, more in [
        *(("single_object", {}), ("two_object", {}), ("counting", {}), ("position", {})),
        *(("colors", {"color": "red"}), ("color_attr", {"color": "blue"})),
    ]
]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("pictures")
    write_drawer(root / "mine")
    write_mask2former(root / "detector", sharpness=60)
    write_clip(root / "clip")
    (root / "data").mkdir()
    (root / "data" / "evaluation_metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return root


def test_geneval_runs_grows_and_is_scored_again_without_its_networks(root, tmp_path, mdm):
    networks = shutil.copytree(root, tmp_path / "root")
    task = f"geneval:detector={networks}/detector:clip={networks}/clip"
    where = f"--include-path {root}/mine --data-dir {root}/data"
    out = tmp_path / "out"
    run = f"run --model drawer --tasks {task} --samplers random --budgets 2 --samples 2 {where} --output {out}"
    assert mdm(f"{run} --limit 3").code == 0
    (cell,) = (out / "cells").iterdir()
    (seen,) = (cell / "observations").glob("*.safetensors")
    first = seen.stat().st_size
    done = mdm(run)
    assert done.code == 0, done.err
    assert "geneval@hf_mask2former · drawer: GenEval (mean over tags)" in done.out
    assert first < seen.stat().st_size
    assert not list((cell / "observations").glob("*.parts"))
    board = pd.read_csv(out / "leaderboard.csv")
    assert board["metric_geneval"].between(0, 1).all()
    assert board["metric_prompts"].between(0, 1).all()
    shutil.rmtree(networks)
    shutil.rmtree(cell / "scores")
    again = mdm(f"score {out} --task {task} {where}")
    assert again.code == 0, again.err
    pd.testing.assert_frame_equal(pd.read_csv(out / "leaderboard.csv"), board)


@pytest.mark.parametrize("name", ["mmada", "lumina_dimoo"])
def test_published_models_draw_for_geneval_as_their_suite_asks(name, root, tmp_path, mdm):
    {"mmada": write_mmada, "lumina_dimoo": write_lumina}[name](tmp_path / name)
    write_magvit(tmp_path / "magvit")
    codec = {"mmada": f",codec={tmp_path}/magvit", "lumina_dimoo": ""}[name]
    done = mdm(
        f"run freecorrection_t2i --model {name} --model-args pretrained={tmp_path}/{name},height=48,width=32{codec} "
        f"--tasks geneval:detector={root}/detector:clip={root}/clip --samplers maskgit:protocol={name} --budgets 2 "
        f"--samples 1 --limit 1 --data-dir {root}/data --output {tmp_path}/out"
    )
    assert done.code == 0, done.err
    pictures = list((tmp_path / "out").glob("cells/*/images/*.png"))
    assert len(pictures) == 2  # one at the guidance of either release
    with Image.open(pictures[0]) as picture:
        assert picture.size == (32, 48)
    assert pd.read_csv(tmp_path / "out" / "leaderboard.csv")["metric_correct"].between(0, 1).all()


def test_networks_that_are_not_there_stop_a_run_before_it_draws(root, tmp_path, mdm):
    task = f"geneval:detector={tmp_path}:clip={root}/clip"
    where = f"--include-path {root}/mine --data-dir {root}/data"
    run = f"run --model drawer --tasks {task} --samplers random --budgets 2 {where} --output {tmp_path}/out"
    refused = mdm(run)
    assert refused.code == 2
    assert "the detector" in refused.err
    assert "cannot be loaded" in refused.err
    assert not (tmp_path / "out" / "cells").exists()


@pytest.mark.parametrize(
    ("task", "protocol"), [("fid", "clean"), ("fid_imagenet", "dinov2"), ("fid_coco", "legacy_tensorflow")]
)
def test_fid_runs_from_classes_and_captions(root, tmp_path, monkeypatch, mdm, task, protocol):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    real = tmp_path / "real"
    real.mkdir()
    for number in range(12):
        pixels = np.random.default_rng(number).integers(0, 256, (4, 5, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((40, 30)).save(real / f"{number}.png")
    rows = [{"id": i, "image_id": i, "caption": f"a photo of {i} dogs"} for i in range(30)]
    (root / "data" / "captions_val2014.json").write_text(json.dumps({"annotations": rows}))
    settings = f"reference={real}:inception={write_inception(root / 'inception')}:dinov2={write_dinov2(root / 'dino')}"
    where = f"--include-path {root}/mine --data-dir {root}/data"
    run = f"run --model drawer --tasks {task}:{settings}:protocol={protocol} --samplers random --budgets 1,2 {where}"
    done = mdm(f"{run} --limit 24 --output {tmp_path}/out")
    assert done.code == 0, done.err
    board = pd.read_csv(tmp_path / "out" / "leaderboard.csv")
    assert (board["metric_fid"] > 0).all()
    assert (board["metric_kid"].notna()).all()
    assert board["metric_inception_score"].notna().all() == (protocol != "dinov2")
    assert f"{task}@{protocol} · drawer: Fréchet distance" in done.out
