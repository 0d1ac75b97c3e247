"""The published evaluations of text models, made small: each suite runs from its file on a tiny random checkpoint."""

import json

import pandas as pd
import pytest
from checkpoints import write_dream, write_llada
from ifeval_rows import ROWS, write_rows

from harness.catalogue import Catalogue
from harness.grammar import read_grids

SUITES = [
    *("llada_instruct", "dream_instruct", "punt_ifeval"),
    *(pytest.param(name, marks=pytest.mark.slow) for name in ("llada_1_5", "fast_dllm", "punt_short", "punt_mt_bench")),
]
SUMS = [
    {"question": f"Tom has {n} eggs and buys 2. How many?", "answer": f"{n} + 2 = {n + 2}\n#### {n + 2}"}
    for n in (3, 5)
]


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    root = tmp_path_factory.mktemp("pretrained")
    return {"llada": write_llada(root / "llada"), "dream": write_dream(root / "dream")}


@pytest.fixture
def data(tmp_path, monkeypatch):
    """A data folder with a few rows of IFEval and of GSM8K, in the form of the hub's copy."""
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    folder = write_rows(tmp_path / "data", *ROWS[:1])
    gsm8k = folder / "openai" / "gsm8k"
    (gsm8k / "main").mkdir(parents=True)
    for split in ("train", "test"):
        (gsm8k / "main" / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in SUMS))
    files = "".join(f"  - {{split: {split}, path: main/{split}.jsonl}}\n" for split in ("train", "test"))
    (gsm8k / "README.md").write_text(f"---\nconfigs:\n- config_name: main\n  data_files:\n{files}---\n")
    return folder


@pytest.mark.parametrize("suite", SUITES)
def test_a_suite_of_published_evaluations_runs_small(suite, pretrained, data, tmp_path, mdm):
    model = "dream" if suite == "dream_instruct" else "llada"
    small = f"--limit 1 --budgets 2 --tasks ifeval:max_tokens=6 --data-dir {data} --output {tmp_path}/out"
    arguments = f"--model {model} --model-args pretrained={pretrained[model]},dtype=float32"
    done = mdm(f"run {suite} {arguments} {small}")
    assert done.code == 0, done.err
    board = pd.read_csv(tmp_path / "out" / "leaderboard.csv")
    file = Catalogue().suite(suite)
    named = {grid.name for sweep in file.sweeps for grid in read_grids(sweep.samplers, suite)}
    assert set(board["model"]) == {model}
    assert {label.partition(" ")[0] for label in board["sampler"]} == named
    told = (tmp_path / "out" / "leaderboard.md").read_text()
    for number in (number for sweep in file.sweeps for number in sweep.published):
        assert f"{number.value:g}" in told
        assert number.source.split(";")[0] in told


def test_a_published_evaluation_on_its_own_task(pretrained, data, tmp_path, mdm):
    task = "lm_eval:gsm8k_cot:num_fewshot=2:max_tokens=8"
    arguments = f"--model llada --model-args pretrained={pretrained['llada']},dtype=float32 --tasks {task}"
    rest = f"--budgets 8 --limit 2 --data-dir {data} --output {tmp_path}/out"
    planned = mdm(f"run llada_1_5 {arguments} {rest} --dry-run")
    assert planned.code == 0, planned.err
    assert "0/2 samples  16 forward passes, " in planned.out
    assert "published: GSM8K accuracy 0.838 (ML-GSAI/LLaDA EVAL.md, internal toolkit)" in planned.out
    assert "GB of memory at a batch of 8" in planned.out
    done = mdm(f"run llada_1_5 {arguments} {rest}")
    assert done.code == 0, done.err
    board = pd.read_csv(tmp_path / "out" / "leaderboard.csv")
    assert set(board["nfe"]) <= set(range(1, 9))
    assert any("exact_match" in column for column in board.columns)
