"""The suites of published image models, made small: each runs from its file on a tiny checkpoint."""

import json

import numpy as np
import pandas as pd
import pytest
from image_checkpoints import write_clip, write_inception, write_mask2former
from released_weights import halton_arguments, maskgit_arguments, tensors, write, write_meissonic

from harness.catalogue import Catalogue
from harness.grammar import read_grids


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write(tmp_path_factory.mktemp("released") / "files")


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """The task, with statistics of nothing real and a network of random weights."""
    root = tmp_path_factory.mktemp("scored")
    np.savez(root / "real.npz", mu=np.zeros(2048), sigma=np.eye(2048))
    return f"fid_imagenet:classes=10:reference={root}/real.npz:inception={write_inception(root / 'inception')}"


def dit_arguments(folder):
    import torch

    from harness.models.image.codecs.kl import KLShape, random_kl

    torch.save(tensors("dit"), folder / "dit.pt")
    random_kl(KLShape(32, (1, 2), 1), "cpu").network.save_pretrained(folder / "vae")
    return {"pretrained": f"{folder}/dit.pt", "vae": f"{folder}/vae", "heads": 4}


@pytest.mark.parametrize(
    ("suite", "model", "arguments"),
    [
        pytest.param("halton_imagenet", "halton_maskgit", halton_arguments, marks=pytest.mark.slow),
        ("dimo_imagenet", "maskgit_dimo", lambda folder: maskgit_arguments(folder, "student.bin")),
        pytest.param("mc_dit_imagenet", "dit", dit_arguments, marks=pytest.mark.slow),
    ],
)
def test_a_suite_runs_small(suite, model, arguments, folder, scored, tmp_path, mdm):
    written = ",".join(f"{name}={value}" for name, value in arguments(folder).items())
    done = mdm(
        f"run {suite} --model {model} --model-args {written} --tasks {scored} --limit 2 --budgets 2 "
        f"--output {tmp_path}/out"
    )
    check(done, suite, tmp_path)


@pytest.mark.slow
def test_the_suite_of_prompts_runs_small(tmp_path, mdm):
    folder = write_meissonic(tmp_path / "meissonic")
    row = {"tag": "single_object", "include": [{"class": "dog", "count": 1}], "prompt": "a photo of a dog"}
    (tmp_path / "evaluation_metadata.jsonl").write_text(json.dumps(row) + "\n")
    networks = f"detector={write_mask2former(tmp_path / 'detector')}:clip={write_clip(tmp_path / 'clip')}"
    arguments = f"pretrained={folder},transformer={folder}/transformer,height=8,width=12"
    done = mdm(
        f"run dimo_t2i --model meissonic_dimo --model-args {arguments} --tasks geneval:{networks} --limit 1 "
        f"--budgets 2 --data-dir {tmp_path} --output {tmp_path}/out"
    )
    check(done, "dimo_t2i", tmp_path)


def check(done, suite, tmp_path):
    """The leaderboard has each sampler of the suite, and what was published."""
    assert done.code == 0, done.err
    board = pd.read_csv(tmp_path / "out" / "leaderboard.csv")
    file = Catalogue().suite(suite)
    named = {grid.name for sweep in file.sweeps for grid in read_grids(sweep.samplers, suite)}
    assert {label.partition(" ")[0] for label in board["sampler"]} == named
    told = (tmp_path / "out" / "leaderboard.md").read_text()
    for number in (number for sweep in file.sweeps for number in sweep.published):
        assert f"{number.value:g}" in told
        assert number.source in told
