"""The guides, followed to the letter: their files written, their commands run."""

import csv
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def follow(tmp_path, monkeypatch, mdm):
    """`follow(guide)` writes the files of a guide into an empty folder and runs its commands; returns their results."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MDM_HARNESS_DATA", raising=False)

    def run(guide):
        text = (DOCS / guide).read_text(encoding="utf-8")
        for path, content in re.findall(r'^```\w+ title="(.+?)"\n(.*?)^```$', text, re.M | re.S):
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_text(content, encoding="utf-8")
        (script,) = re.findall(r"^```sh\n(.*?)^```$", text, re.M | re.S)
        results = []
        for line in script.replace("\\\n", " ").splitlines():
            program, *arguments = shlex.split(line)
            assert program == "mdm-eval"
            results.append(mdm("", *arguments))
            assert results[-1].code == 0, results[-1].err
        return results

    return run


def test_add_a_sampler(follow, tmp_path):
    listing, checked, run = follow("add_a_sampler.md")
    assert re.search(r"^share +rho ", listing.out, re.M)
    assert {line.split()[1] for line in checked.out.splitlines()} == {"pass", "n/a"}
    assert all(line.startswith("share ") for line in checked.out.splitlines())
    assert "share" in run.out
    board = (tmp_path / "results" / "share" / "leaderboard.csv").read_text().splitlines()
    settings = [line for line in board if ",share (least=" in line]
    assert len(settings) == 5  # the sweep of three, and two values of `least`
    assert len([line for line in board if ",confidence," in line]) == 2


def test_add_a_sampler_in_a_package(follow, tmp_path):
    follow("add_a_sampler.md")
    site = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--no-build-isolation", "--no-deps", "--no-index"]
    subprocess.run([*install, "--target", site, tmp_path / "my_package"], check=True, capture_output=True)
    code = "import sys; from harness.cli import main; main(sys.argv[1:])"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(DOCS.parent)])}

    def mdm_eval(*arguments):
        command = [sys.executable, "-c", code, *arguments]
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout

    assert re.search(r"^eager +- ", mdm_eval("ls", "samplers"), re.M)
    assert "eager  fail" not in mdm_eval("check", "sampler", "eager")
    checked = mdm_eval("validate", "--model", "exact/chain", "--tasks", "exact", "--samplers", "eager", "--limit", "3")
    assert checked == "ok: 1 cells, 3 samples\n"
    made = mdm_eval("run", "--model", "exact/chain", "--tasks", "exact", "--samplers", "eager", "--limit", "3")
    assert re.search(r"^.*\beager\b.*$", made, re.M)


def test_add_a_task(follow, tmp_path):
    listing, validated, run, scored = follow("add_a_task.md")
    assert re.search(r"^ink +ink ", listing.out, re.M)
    assert validated.out == "ok: 1 cells, 3 samples\n"
    assert "ink@pixels · digits: Ink, fraction (higher is better)" in run.out
    assert "4 cells scored" in scored.out
    board = (tmp_path / "results" / "ink" / "leaderboard.md").read_text()
    assert "### ink@grey · digits" in board
    assert "### ink@pixels · digits" in board
    assert "Distinct images" in board


def test_add_a_model(follow, tmp_path):
    listing, validated, run = follow("add_a_model.md")
    assert re.search(r"^digits_encoder +image ", listing.out, re.M)
    assert validated.out == "ok: 1 cells, 2 samples\n"
    assert "digits_encoder" in run.out
    board = (tmp_path / "results" / "encoder" / "leaderboard.csv").read_text().splitlines()
    assert len([line for line in board if ",confidence," in line]) == 2
    assert len([line for line in board if ",threshold," in line]) == 1


def test_add_a_generator(follow, tmp_path, mdm):
    listing, run = follow("add_a_generator.md")
    assert re.search(r"^euler +steps +1 call +Generator: Probability-flow ODE", listing.out, re.M)
    assert "euler" in run.out
    with (tmp_path / "results" / "gaussian" / "leaderboard.csv").open(newline="") as file:
        board = {row["setting"]: row for row in csv.DictReader(file)}
    assert {setting: float(row["nfe"]) for setting, row in board.items()} == {"steps=1": 1.0, "steps=8": 8.0}
    assert float(board["steps=8"]["metric_class_accuracy"]) > 0.5
    refused = mdm("", "run", "--include-path", "mine", "--model", "digits_gaussian", "--tasks", "digits",
                  "--samplers", "random", "--budgets", "4")  # fmt: skip
    assert refused.code == 2
    assert "'digits_gaussian' is no token canvas: sampler 'random' cannot run it" in refused.err
    refused = mdm("", "run", "--include-path", "mine", "--model", "digits", "--tasks", "digits", "--samplers", "euler",
                  "--budgets", "4")  # fmt: skip
    assert refused.code == 2
    assert "needs denoises_pixels, which model 'digits' does not offer" in refused.err
    refused = mdm("check sampler euler", "--include-path", "mine")
    assert refused.code == 2
    assert "'euler' is a generator" in refused.err


def test_import(follow, tmp_path):
    imported, scored, added, rescored = follow("import.md")
    assert "LLaDA-8B-Instruct x gsm8k x llada steps=64  1 samples" in imported.out
    assert "gsm8k@d1 · LLaDA-8B-Instruct: Correct answers" in scored.out
    assert "lm_eval.exact_match@flexible-extract 0.0000" in added.out
    assert "2 cells scored" in rescored.out
    board = (tmp_path / "results" / "theirs" / "leaderboard.csv").read_text()
    assert "gsm8k@last_number,my-model,lm_eval" in board


@pytest.mark.slow  # lm-eval's command reads all its files
def test_lm_eval(follow, tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    ours, theirs = follow("lm_eval.md")
    assert "lm_eval:words" in ours.out
    assert "|exact_match|" in theirs.out
    (told,) = (tmp_path / "results" / "theirs").rglob("results_*.json")
    assert '"nfe"' in told.read_text()
