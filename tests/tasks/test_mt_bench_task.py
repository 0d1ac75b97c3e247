"""The task mt_bench, and its answers as FastChat's judge reads them."""

import json
import os
from pathlib import Path

import pytest
from checkpoints import write_llada

from harness.analysis.exporting import export_run
from harness.catalogue import Catalogue
from harness.errors import UserError
from harness.executors.inline import execute
from harness.executors.loader import ModelLoader
from harness.executors.making import Options
from harness.executors.plan import make_plan
from harness.spec import SuiteFile, TaskSpec
from harness.store import RunStore
from harness.task import Document, Output, Sample

ROWS = [
    {"question_id": 81, "category": "writing", "turns": ["Write.", "Write again."]},
    {"question_id": 82, "category": "math", "turns": ["What is 1 + 1?", "And 2 + 2?"], "reference": ["2", "4"]},
]


def task(folder):
    return Catalogue().task(TaskSpec(name="mt_bench", args={"max_tokens": 6}), str(folder), None)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "mt_bench").mkdir()
    (tmp_path / "mt_bench" / "question.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return tmp_path


def test_questions_become_conversations(folder):
    one = task(folder)
    documents = one.documents()
    assert [(document.id, document.stratum) for document in documents] == [("81", "writing"), ("82", "math")]
    request = one.request(documents[1])
    assert (request.prompt, request.then, request.length) == ("What is 1 + 1?", ("And 2 + 2?",), 6)


def test_other_questions_than_the_published_ones_are_refused(folder):
    with pytest.raises(UserError, match=r"the 2 questions in .* are not the 80 of MT-Bench"):
        task(folder).check()
    with pytest.raises(UserError, match=r"Get the file from https://github\.com/lm-sys"):
        task(folder / "mt_bench" / "nothing").check()


def test_the_published_questions_are_accepted():
    path = Path(os.environ.get("MDM_HARNESS_DATA", "nowhere")) / "mt_bench" / "question.jsonl"
    if not path.is_file():
        pytest.skip(f"MT-Bench's questions are not at {path}")
    one = task(path.parents[1])
    one.check()
    assert len(one.documents()) == 80


@pytest.mark.parametrize("row", [{"question_id": "81", "turns": ["a"]}, {"question_id": 1, "turns": []}, {}])
def test_rows_that_are_refused(tmp_path, row):
    (tmp_path / "question.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(UserError, match="line 1: `"):
        task(tmp_path).documents()


def test_scores_need_no_judge(folder):
    sample = Sample(Document("81"), 0, Output((1,), "", before=("one two three",)))
    assert task(folder).score(sample, {}) == {"answered": 0.5, "words": 1.5, "repetition": 0.0}


def test_answers_are_made_kept_and_handed_to_the_judge(folder, monkeypatch):
    kind = type(task(folder))
    monkeypatch.setattr(kind, "check", lambda self: None)
    checkpoint = write_llada(folder / "llada")
    sweep = {"models": f"llada:pretrained={checkpoint}:dtype=float32", "samplers": "confidence", "budgets": [3],
             "tasks": "mt_bench:max_tokens=6", "temperature": 1.0}  # fmt: skip
    plan = make_plan(SuiteFile.model_validate({"name": "t", "sweeps": [sweep]}), Catalogue(), str(folder), "t")
    run = RunStore.create(folder / "run", {})
    execute(plan, run, ModelLoader("cpu"), Options(2))
    (cell,) = run.cells()
    assert {cost["nfe"] for cost in cell.costs().values()} == {6}
    (path,) = export_run("mt-bench", run, Catalogue(), str(folder), folder / "out").values()
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert [row["question_id"] for row in rows] == [81, 82]
    for row in rows:
        (choice,) = row["choices"]
        (output,) = [out for key, out in cell.generations().items() if key.document == str(row["question_id"])]
        assert choice == {"index": 0, "turns": [*output.before, output.text]}
        assert len(choice["turns"]) == 2
        assert set(row) == {"question_id", "answer_id", "model_id", "choices", "tstamp"}
        assert path.name == f"{row['model_id']}.jsonl"
