"""Tasks about pictures from the command line: a model that draws noise, and tiny random networks that look at it."""

import json
import shutil

import pandas as pd
import pytest
from image_checkpoints import write_clip, write_drawer, write_mask2former

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


def test_networks_that_are_not_there_stop_a_run_before_it_draws(root, tmp_path, mdm):
    task = f"geneval:detector={tmp_path}:clip={root}/clip"
    where = f"--include-path {root}/mine --data-dir {root}/data"
    run = f"run --model drawer --tasks {task} --samplers random --budgets 2 {where} --output {tmp_path}/out"
    refused = mdm(run)
    assert refused.code == 2
    assert "the detector" in refused.err
    assert "cannot be loaded" in refused.err
    assert not (tmp_path / "out" / "cells").exists()
