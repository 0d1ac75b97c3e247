"""What a user gets wrong: one clear message on standard error, exit code 2, no traceback, nothing created or lost."""

import json
import shutil

import pytest
import torch
from processes import everything

from harness.executors import loader

SUITE = """\
name: mine
sweeps:
  - models: exact/chain
    tasks: exact
    samplers: random
    budgets: [4]
"""

RUN = "run --model exact/chain --tasks exact --samplers random --budgets 2 --limit 4 --output out"
BIG = "run --model llada:random=8b --tasks waiting_line --samplers halton --budgets 2 --output out"


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    """Work in an empty folder, with no data folder known."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MDM_HARNESS_DATA", raising=False)


def refused(result, *parts, code=2):
    """One message without a traceback that has all the parts."""
    assert result.code == code
    assert "Traceback" not in result.err
    for part in parts:
        assert part in result.err


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("rnu", ["unknown verb 'rnu'", "Did you mean 'run'?"]),
        ("run quikstart", ["unknown suite 'quikstart'", "Did you mean 'quickstart'?"]),
        ("run none.yaml", ["cannot read none.yaml", "No such file"]),
        ("run quickstart --bach-size 3", ["--bach-size", "--batch-size"]),
        ("run quickstart --limit 0", ["--limit", "0", "x>=1"]),
        ("run quickstart --include-path nowhere", ["--include-path nowhere: no such folder"]),
        ("run --tasks exact --samplers eb", ["--model"]),
        ("run --model-args vocab=3 --tasks exact --samplers eb", ["--model-args needs --model"]),
        (RUN.replace("chain", "chian"), ["unknown model 'exact/chian'", "Did you mean 'exact/chain'?"]),
        (RUN + " --model-args vocb=3", ["'exact/chain'", "'vocb'", "Did you mean 'vocab'?"]),
        (RUN + " --model-args vocab=x", ["vocab is 'x'", "integer"]),
        (RUN + " --model-args vocab=1", ["vocab=1", "from 2 to 256"]),
        (RUN.replace("exact --", "exct --"), ["unknown task 'exct'", "Did you mean 'exact'?"]),
        (RUN + " --tasks exact:coun=3", ["'exact'", "'coun'", "Did you mean 'count'?"]),
        (RUN + " --tasks exact:count=x", ["count is 'x'", "1000"]),
        (RUN + " --tasks exact:protocol=x", ["protocol is 'x'", "default"]),
        (RUN + " --tasks digits", ["task 'digits' is for models digits*"]),
        (RUN + " --samplers randon", ["unknown sampler 'randon'", "Did you mean 'random'?"]),
        (RUN + " --samplers eb:gama=1", ["'eb'", "'gama'", "Did you mean 'gamma'?"]),
        (RUN + " --samplers eb:gamma=x", ["gamma is 'x'", "number"]),
        (RUN + " --samplers eb:gamma=-1", ["gamma is -1", "at least 0"]),
        (RUN + " --samplers eb:gamma=.inf", ["gamma is inf", "finite"]),
        (RUN + " --samplers eb:gamma", ["samplers", "'gamma'", "parameter=value"]),
        (RUN + " --samplers eb,,random", ["empty item", "'eb,,random'"]),
        (RUN + " --samplers sequential:order=sideways", ["order is 'sideways'", "left_to_right"]),
        (RUN + " --budgets 0", ["budgets: 0", "at least 1"]),
        (RUN + " --budgets few", ["--budgets", "'few'", "4,8,16"]),
        (RUN.replace("--budgets 2 ", ""), ["'random'", "give budgets"]),
        (RUN + " --seeds -1", ["seeds: -1", "at least 0"]),
        (RUN + " --temperature -1", ["temperature is -1.0", "greater than or equal to 0"]),
        (RUN + " --guidance nan", ["nan", "finite"]),
        (RUN + " --guidance 2", ["guidance", "'exact/chain' does not offer"]),
        # Of a model of any size, before its weights are there or a worker is.
        (BIG + " --devices cpu,cpu", ["'halton'", "needs grid", "'llada' does not offer"]),
        (RUN + " --device tpu9", ["--device tpu9 cannot be used"]),
        ("score --task ifeval --responses none.jsonl --output scored", ["--responses", "none.jsonl"]),
        (RUN + " --shard 0/4", ["--shard 0/4", "1/4 to 4/4"]),
        (RUN + " --shard a/b", ["--shard a/b", "--shard 2/4"]),
        (RUN + " --shard 1/2 --timing", ["--timing", "--shard"]),
        (RUN + " --shard 1/2 --devices cpu,cpu", ["--shard and --devices"]),
        (RUN + " --devices cpu,tpu9", ["--devices cpu,tpu9", "'tpu9' is no device"]),
        (RUN + " --workers 2", ["--workers is for --executor ray"]),
        ("score", ["give the folder of a run, or all of --task, --responses and --output"]),
        ("report nowhere", ["nowhere is no run"]),
        (RUN + " --tasks ifeval --data-dir nowhere", ["nowhere", "input_data.jsonl"]),
        ("ls nothing", ["nothing", "tasks"]),
        ("train digitz", ["digitz"]),
    ],
)  # fmt: skip
def test_a_mistake_on_the_command_line(mdm, tmp_path, line, parts):
    refused(mdm(line), *parts)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("budgets: [4]", "budgets: four", ["sweeps.0.budgets is 'four'", "list"]),
        ("budgets: [4]", "budgets: [true]", ["sweeps.0.budgets.0 is True", "integer"]),
        ("budgets: [4]", "limit: '10'", ["sweeps.0.limit is '10'", "integer"]),
        ("    samplers", "    samplres", ["unknown key 'sweeps.0.samplres'", "'sweeps.0.samplers' is missing"]),
        ("budgets:", "budget:", ["unknown key 'sweeps.0.budget'", "Did you mean 'budgets'?"]),
        ("name: mine", "nmae: mine", ["unknown key 'nmae'", "Did you mean 'name'?"]),
        ("name: mine", "name: [mine", ["is not valid YAML", "line 2"]),
        ("random", "{name: eb, gamma: [1, x]}", ["gamma is 'x'", "number"]),
        ("random", "{name: eb, gama: 1}", ["'gama'", "Did you mean 'gamma'?"]),
        ("random", "{gamma: 1}", ["no `name`"]),
        ("random", "7", ["samplers", "7"]),
        (SUITE, "- 1\n", ["expected keys and values, found list"]),
        (SUITE, "", ["expected keys and values"]),
        (SUITE, "name: 2024-99-99\n", ["is not valid YAML"]),
    ],
)
def test_a_mistake_in_a_suite(mdm, tmp_path, old, new, parts):
    assert old in SUITE
    (tmp_path / "suite.yaml").write_text(SUITE.replace(old, new, 1))
    refused(mdm("run suite.yaml --output out"), "suite.yaml", *parts)
    assert [path.name for path in tmp_path.iterdir()] == ["suite.yaml"]


def test_a_suite_that_is_no_text(mdm, tmp_path):
    (tmp_path / "suite.yaml").write_bytes(b"\xff\xfe\x00")
    refused(mdm("validate suite.yaml"), "suite.yaml is not UTF-8")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_where_there_is_none(mdm, tmp_path):
    refused(mdm(RUN + " --device cuda"), "--device cuda cannot be used")
    assert not list(tmp_path.iterdir())


def test_a_task_whose_code_is_not_there(mdm, tmp_path):
    text = "name: t\nsummary: s\ncode: task.py:Missing\nprimary: m\nmetrics: [{key: m, label: M, direction: lower}]\n"
    (tmp_path / "task.yaml").write_text(text)
    line = "validate --model exact/chain --tasks t --samplers sequential --include-path ."
    refused(mdm(line), "task.py: no such Python file")
    (tmp_path / "task.py").write_text("")
    refused(mdm(line), "task.yaml", "'task.py:Missing'", "no class 'Missing'")
    (tmp_path / "task.yaml").write_text(text.replace("summary", "sumary"))
    refused(mdm(line), "task.yaml", "'sumary'", "Did you mean 'summary'?")
    assert ["t", "m", "?"] in [row.split() for row in mdm("ls tasks --include-path .").out.splitlines()]


@pytest.mark.parametrize("output", ["file", "file/below"])
def test_an_output_that_cannot_be_written(mdm, tmp_path, output):
    (tmp_path / "file").write_text("mine")
    refused(mdm(RUN + f" --output {output}"), f"cannot write {output}")
    assert everything(tmp_path) == {"file": b"mine"}


def test_a_folder_of_something_else(mdm, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("mine")
    for line in (RUN, "report out", "score out"):
        refused(mdm(line), "out is no run")
    assert everything(tmp_path) == {"out/thesis.tex": b"mine"}


def test_a_torn_last_line_is_made_again_and_a_damaged_one_is_named(mdm, tmp_path):
    assert mdm(RUN).code == 0
    file = next(tmp_path.glob("out/cells/*/generations.jsonl"))
    whole = file.read_bytes()
    file.write_bytes(whole[:-7])
    again = mdm(RUN)
    assert again.code == 0
    assert "1 samples made, 3 were there" in again.err
    assert sorted(file.read_bytes().splitlines()) == sorted(whole.splitlines())

    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(lines[0] + lines[1][:9] + b"\n" + lines[2] + lines[3])
    before = everything(tmp_path / "out" / "cells")
    for line in (RUN + " --limit 5", "report out", "score out"):
        refused(mdm(line), "generations.jsonl, line 2", "restore the line")
    assert everything(tmp_path / "out" / "cells") == before


def test_a_cell_copied_by_hand(mdm, tmp_path):
    assert mdm(RUN).code == 0
    cell = next(tmp_path.glob("out/cells/*"))
    shutil.copytree(cell, cell.with_name("0123456789abcdef"))
    refused(mdm("score out"), cell.name, "0123456789abcdef")
    report = mdm("report out")
    assert report.code == 0
    assert cell.name in report.err
    assert "0123456789abcdef" in report.err


def test_score_goes_on_past_damaged_cells_and_fails_at_the_end(mdm, tmp_path):
    assert mdm(RUN.replace("--budgets 2", "--budgets 1,2,3")).code == 0
    cells = sorted(tmp_path.glob("out/cells/*"))
    for summary in tmp_path.glob("out/cells/*/scores/*"):
        summary.unlink()
    (cells[0] / "cell.json").unlink()
    (cells[1] / "generations.jsonl").write_text("{}\n")
    scored = mdm("score out")
    assert scored.code == 2
    assert "1 cells scored" in scored.out
    error = scored.err[scored.err.index("error: ") :]
    assert "these cells could not be scored; the others are:" in error
    assert cells[0].name in error
    assert cells[1].name in error
    assert cells[2].name not in error
    assert list(cells[2].glob("scores/*.summary.json"))


def test_a_model_that_fails_in_the_middle(mdm, tmp_path, monkeypatch):
    load_model = loader.load_model

    def failing(spec, device):
        model, calls = load_model(spec, device), iter(range(6))
        logits = model.logits

        def broken(inputs, index):
            values, extra = logits(inputs, index)
            return (values if next(calls, None) is not None else values * float("nan")), extra

        model.logits = broken
        return model

    line = RUN + " --limit 20 --batch-size 2"
    monkeypatch.setattr(loader, "load_model", failing)
    refused(mdm(line), "exact/chain · exact", "maximum nan", "What was made before is kept", code=1)
    kept = next(tmp_path.glob("out/cells/*/generations.jsonl")).read_bytes()
    assert len(kept.splitlines()) == 6  # 6 calls, 2 steps a sample, 2 rows a batch

    monkeypatch.setattr(loader, "load_model", load_model)
    assert "14 samples made, 6 were there" in mdm(line).err
    assert next(tmp_path.glob("out/cells/*/generations.jsonl")).read_bytes().startswith(kept)


def test_a_sampler_that_breaks_the_rules_and_a_real_bug(mdm, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "samplers.py").write_text(
        """
from dataclasses import dataclass
from harness.canvas import Edit
from harness.samplers import SamplerInfo, samplers

@samplers.register("idle", SamplerInfo("Never commits", "nobody", knob=None))
@dataclass(frozen=True)
class Idle:
    def init(self, canvas):
        return {}
    def step(self, view, ask):
        return Edit(view.masked & False, ask().top1)

@samplers.register("buggy", SamplerInfo("Divides by zero", "nobody", knob=None))
class Buggy(Idle):
    def step(self, view, ask):
        return 1 / 0
"""
    )
    line = RUN + " --include-path mine --samplers "
    refused(mdm(line + "idle"), "sampler Idle left masks", code=1)
    with pytest.raises(ZeroDivisionError):  # a bug keeps its traceback
        mdm(line + "buggy")


def test_nothing_is_loaded_for_what_is_complete(mdm, tmp_path, monkeypatch):
    assert mdm(RUN).code == 0

    def never(spec, device):
        raise AssertionError("a model was loaded")

    monkeypatch.setattr(loader, "load_model", never)
    before = everything(tmp_path / "out")
    scores = next(tmp_path.glob("out/cells/*/scores/*.summary.json"))
    metrics = json.loads(scores.read_bytes())["metrics"]
    scores.unlink()
    assert "1 cells scored" in mdm("score out").out
    assert json.loads(scores.read_bytes())["metrics"] == metrics
    (tmp_path / "out" / "leaderboard.md").unlink()
    assert mdm("report out").code == 0
    assert mdm(RUN).code == 0
    assert everything(tmp_path / "out") == before
    with pytest.raises(AssertionError, match="a model was loaded"):
        mdm(RUN + " --limit 5")


def test_a_larger_limit_adds_documents_to_the_same_cells(mdm, tmp_path):
    assert mdm(RUN).code == 0
    small = {path.parent.name: path.read_bytes() for path in tmp_path.glob("out/cells/*/generations.jsonl")}
    grown = mdm(RUN + " --limit 7")
    assert "3 samples made, 4 were there" in grown.err
    large = {path.parent.name: path.read_bytes() for path in tmp_path.glob("out/cells/*/generations.jsonl")}
    assert large.keys() == small.keys()
    assert all(large[cell].startswith(small[cell]) and large[cell] != small[cell] for cell in small)
    assert "Documents: 7." in grown.out
