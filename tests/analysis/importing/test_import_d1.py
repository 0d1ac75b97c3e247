"""d1's published outputs become cells, and their scores the published numbers."""

import json
import math

import numpy as np
import pytest
from d1_data import d1_file, d1_folder, problem, puzzle
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.analysis.frame import cell_frame
from harness.analysis.importing import read_files, write_cells
from harness.analysis.scoring import score_run
from harness.catalogue import Catalogue
from harness.components import resolve_sampler
from harness.errors import UserError
from harness.store import RunStore


def bring(path, output, **chosen):
    return write_cells(output, read_files("d1", path, Catalogue(), **chosen))


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """The run of all files, imported and scored, with no data from anywhere else."""
    output = tmp_path_factory.mktemp("published") / "run"
    cells = bring(d1_folder(), output)
    assert len(cells) == 6
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MDM_HARNESS_DATA", str(output / "nowhere"))
        assert score_run(RunStore(output), Catalogue(), [], None) == 6
    return RunStore(output)


def values(run, task, metric):
    """Budget to {document: value}."""
    found = {}
    for cell in run.cells():
        if cell.spec.task.name == task:
            (summary,) = cell.summaries()
            scores = cell.read_scores(summary.scorer)
            found[cell.spec.budget] = {key.document: float(each[metric]) for key, each in scores.items()}
    return found


@pytest.mark.parametrize(
    ("task", "metric", "count", "percent"),
    [
        ("gsm8k", "correct", 1130, {64: 69.29, 128: 76.37, 256: 78.14}),
        ("sudoku_d1", "cells", 256, {64: 11.72, 128: 6.69, 256: 5.47}),
    ],
)
def test_published_numbers(published, task, metric, count, percent):
    found = values(published, task, metric)
    common = set.intersection(*map(set, found.values()))
    assert len(common) == count
    assert {steps: round(100 * np.mean([each[d] for d in common]), 2) for steps, each in found.items()} == percent


def test_pairing_halves_the_variance(published):
    few, _, many = (values(published, "gsm8k", "correct")[steps] for steps in (64, 128, 256))
    gain = np.array([many[document] - few[document] for document in few])
    assert round(100 * gain.mean(), 1) == 8.8
    assert round(100 * gain.std(ddof=1) / math.sqrt(len(gain)), 2) == 1.45
    apart = [np.var(list(each.values()), ddof=1) / len(each) for each in (few, many)]
    assert round(100 * math.sqrt(sum(apart)), 2) == 1.84


def test_what_a_cell_says(published):
    frame = cell_frame(published).set_index(["task", "budget"])
    row = frame.loc[("gsm8k", 256)]
    assert (row["model"], row["dtype"], row["sampler"], row["knob"]) == (
        "LLaDA-8B-Instruct",
        "bfloat16",
        "llada",
        "steps",
    )
    assert row["params"] == resolve_sampler("llada", {"block": 32}, "test").args
    assert (row["task_args"], row["temperature"], row["data"]) == ("max_tokens=512", 0.0, "imported")
    assert (row["cost.nfe"], row["cost.nfe_nominal"], row["cost.depth"]) == (256, 256, 256)
    assert not {"cost.flops", "cost.token_forwards", "cost.output_tokens"} & set(frame.columns)


def test_the_other_protocol(published):
    from harness.spec import TaskSpec

    specs = [TaskSpec(name="gsm8k", args={"max_tokens": n}, protocol="last_number") for n in (128, 256, 512)]
    assert score_run(published, Catalogue(), specs, None) == 3
    frame = cell_frame(published).set_index(["task", "protocol", "budget"])["metric.correct"]
    assert [round(100 * frame[("gsm8k", "last_number", steps)], 1) for steps in (64, 128, 256)] == [70.9, 78.9, 79.1]
    assert round(100 * frame[("gsm8k", "d1", 64)], 2) == 69.29


def test_further_files_extend_a_cell_and_known_ones_change_nothing(tmp_path):
    one = d1_file(tmp_path / "gsm8k_instruct_128_64_0_generations.json", [problem("A?"), problem("B?")])
    (cell,) = bring(one, tmp_path / "run")
    before = {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()}
    bring(one, tmp_path / "run")
    assert {path: path.read_bytes() for path in (tmp_path / "run").rglob("*") if path.is_file()} == before
    two = d1_file(tmp_path / "gsm8k_instruct_128_64_1_generations.json", [problem("B?"), problem("C?", "none")])
    (same,) = bring(two, tmp_path / "run")
    assert same.id == cell.id
    assert [output.text for output in same.generations().values()] == [r"<answer>\boxed{18}</answer>"] * 2 + ["none"]
    assert [file["file"] for record in same.provenance() for file in record["imported"]] == [one.name, two.name]
    longer = d1_file(one, [problem("A?")], gen_length=256, diffusion_steps=128)
    (other,) = bring(longer, tmp_path / "run")
    assert other.id != cell.id
    assert score_run(RunStore(tmp_path / "run"), Catalogue(), [], None) == 2


def test_a_file_beside_cells_of_ones_own(tmp_path):
    run = RunStore.create(tmp_path / "run", {"name": "mine", "sweeps": []}, name="mine")
    bring(d1_file(tmp_path / "sudoku_x_generations.json", [puzzle()]), run.root)
    assert RunStore(run.root).name == "mine"


def test_names_can_be_told(tmp_path):
    path = d1_file(tmp_path / "mine_generations.json", [puzzle()], checkpoint_path="/a/b/step-7/")
    with pytest.raises(UserError, match=r"mine_generations\.json: its name tells no task.*--task"):
        bring(path, tmp_path / "run")
    (cell,) = bring(path, tmp_path / "run", task="sudoku_d1", model="tuned")
    assert (cell.spec.model.name, cell.spec.model.args) == ("tuned", {"checkpoint": "b/step-7"})


def test_only_known_tasks_of_a_folder(tmp_path, caplog):
    d1_file(tmp_path / "in" / "math500_instruct_128_64_0_generations.json", [1])
    with pytest.raises(UserError, match="none of the 1 files"):
        bring(tmp_path / "in", tmp_path / "run")
    d1_file(tmp_path / "in" / "gsm8k_instruct_128_64_0_generations.json", [problem()])
    d1_file(tmp_path / "in" / "sudoku_instruct_128_64_0_generations.json", [puzzle()])
    assert len(bring(tmp_path / "in", tmp_path / "run")) == 2
    assert "1 files are of tasks that are not known here" in caplog.text
    (cell,) = bring(tmp_path / "in", tmp_path / "other", task="gsm8k")
    assert cell.spec.task.name == "gsm8k"


@pytest.mark.parametrize(
    ("rows", "other", "message"),
    [
        ([problem(), 3], {}, r"generations\.1: an object is needed, found int"),
        (
            [{"question": "A?", "ground_truth": 1.0}],
            {},
            r"generations\.0: 'generations' must be a text, but it is miss",
        ),
        ([{"question": "A?", "generations": "x"}], {}, r"generations\.0: 'ground_truth' is missing"),
        ([problem(text=None)], {}, r"generations\.0: 'generations' must be a text, found None"),
        ([problem(question=7)], {}, r"generations\.0: 'question' must be a text, found 7"),
        ([problem(answer="many")], {}, r"generations\.0: `answer` must end in a number"),
        ([problem(), problem(text="other")], {}, r"generations\.1: .*generations\.0 has another output"),
        ([problem(), problem(answer=3.0)], {}, r"generations\.1: document .* has other data than in .*generations\.0"),
        ([], {"gen_length": "128"}, "'gen_length' must be a whole number, found '128'"),
        ([], {"gen_length": 10**400}, "'gen_length' must be a whole number"),
        ([], {"gen_length": 100}, "'gen_length' 100 must be a multiple of 'block_length' 32"),
        ([], {"diffusion_steps": 0}, "'diffusion_steps' 0 at least 1"),
        ([], {"block_length": True}, "'block_length' must be a whole number, found True"),
        ([], {"model_path": None}, "'model_path' must be a text, found None"),
        ([], {"model_path": "/"}, "'model_path' names no model"),
        ([], {"generations": {}}, "'generations' must be a list"),
    ],
)
def test_a_broken_file_is_named_and_nothing_written(tmp_path, rows, other, message):
    path = d1_file(tmp_path / "gsm8k_x_generations.json", rows, **other)
    with pytest.raises(UserError, match="gsm8k_x_generations.json.*" + message):
        bring(path, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("content", [b"", b"[]", b'{"generations": [', b"\xff\xfe", b"[" * 100_000])
def test_a_foreign_file_is_named(tmp_path, content):
    path = tmp_path / "gsm8k_x_generations.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"gsm8k_x_generations\.json"):
        bring(path, tmp_path / "run")


def test_what_is_stored_is_never_replaced(tmp_path):
    path = tmp_path / "gsm8k_x_generations.json"
    (cell,) = bring(d1_file(path, [problem()]), tmp_path / "run")
    before = {each: each.read_bytes() for each in (tmp_path / "run").rglob("*") if each.is_file()}
    for rows, message in [
        ([problem("New?"), problem(text="other")], rf"generations\.1: .*{cell.id} has another output.*--model"),
        (
            [problem("New?"), problem(answer=2.0)],
            r"generations\.1: document .* other data than in .*test\.jsonl, line 1",
        ),
    ]:
        with pytest.raises(UserError, match=message):
            bring(d1_file(path, rows), tmp_path / "run")
    assert {each: each.read_bytes() for each in (tmp_path / "run").rglob("*") if each.is_file()} == before


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="is no run"):
        bring(d1_file(tmp_path / "gsm8k_x_generations.json", [problem()]), tmp_path / "taken")
    assert [path.name for path in (tmp_path / "taken").iterdir()] == ["mine.txt"]


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None)),
                    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
                    max_leaves=4)  # fmt: skip


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), text=st.text(st.characters(codec=None)))
def test_any_json_gives_cells_or_one_message(tmp_path_factory, data, text):
    folder = tmp_path_factory.mktemp("any")
    row = problem(text, text)
    row[data.draw(st.sampled_from(sorted(row)))] = data.draw(JSON)
    content = json.loads(d1_file(folder / "gsm8k_x_generations.json", [problem("1?"), row]).read_text())
    content[data.draw(st.sampled_from(sorted(content)))] = data.draw(JSON)
    (folder / "gsm8k_x_generations.json").write_text(json.dumps(content))
    try:
        bring(folder / "gsm8k_x_generations.json", folder / "run")
    except UserError:
        assert not (folder / "run").exists()
    else:
        score_run(RunStore(folder / "run"), Catalogue(), [], None)
