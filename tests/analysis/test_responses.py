"""Responses from elsewhere: the official verdicts of IFEval, and every mistake a file of responses may hold."""

import json

import pytest
from ifeval_rows import ROWS, make_task, real_data, write_rows

from harness.analysis.responses import score_responses
from harness.errors import UserError


def write(path, *rows):
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), "utf-8")
    return path


def read(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.fixture
def task(tmp_path):
    return make_task(write_rows(tmp_path / "data", *ROWS))


@pytest.mark.parametrize(
    "model", ["Qwen__Qwen2.5-0.5B-Instruct-GPTQ-Int4", "hugging-quants__Meta-Llama-3.1-8B-Instruct-AWQ-INT4"]
)
def test_official_verdicts_instruction_by_instruction(model, tmp_path):
    data = real_data()
    responses, output = data / "ifeval" / f"responses_{model}.jsonl", tmp_path / "scores.jsonl"
    if not responses.is_file():
        pytest.skip(f"{responses.name} is not in the data folder")
    summary = score_responses(make_task(data, "deterministic"), responses, output)
    official, ours = read(responses), read(output)
    assert [(row["id"], row["metrics"]["instruction_strict"], row["metrics"]["instruction_loose"]) for row in ours] == [
        (row["key"], row["strict"], row["loose"]) for row in official
    ]
    for kind in ("strict", "loose"):
        verdicts = [row[kind] for row in official]
        flat = [each for row in verdicts for each in row]
        metrics = summary["metrics"]
        assert metrics[f"prompt_{kind}"]["value"] == pytest.approx(sum(map(all, verdicts)) / len(official))
        assert metrics[f"instruction_{kind}"]["value"] == pytest.approx(sum(flat) / len(flat))
    assert (summary["documents"], summary["documents_in_task"]) == (len(official), 541)


def test_protocols_differ_only_where_lm_eval_draws_at_random(tmp_path):
    """Seeded, lm-eval's own scoring function gives our verdicts for all but the two keys with a random letter."""
    from langdetect import DetectorFactory

    data = real_data()
    files = sorted((data / "ifeval").glob("responses_*.jsonl"))
    if not files:
        pytest.skip("no responses in the data folder")
    responses = write(tmp_path / "r.jsonl", *read(files[0])[:200])
    score_responses(make_task(data, "deterministic"), responses, tmp_path / "ours")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DetectorFactory, "seed", 0)
        score_responses(make_task(data, "lm_eval"), responses, tmp_path / "theirs")
    rows = zip(read(tmp_path / "ours"), read(tmp_path / "theirs"), strict=True)
    assert {ours["id"] for ours, theirs in rows if ours != theirs} <= {1122, 1129}


def test_output_and_summary(task, tmp_path):
    rows = [
        {"id": "11", "response": "two words", "tokens": 2},
        {"key": 7, "response": "no quotes"},
        {"key": 3, "response": ""},
    ]
    summary = score_responses(task, write(tmp_path / "r.jsonl", *rows), tmp_path / "new" / "scores.jsonl")
    everything = {
        "prompt_strict": True,
        "prompt_loose": True,
        "instruction_strict": [True],
        "instruction_loose": [True],
    }
    nothing = {"prompt_strict": False, "prompt_loose": False}
    assert read(tmp_path / "new" / "scores.jsonl") == [
        {"id": 11, "metrics": everything},
        {"id": 7, "metrics": {**nothing, "instruction_strict": [True, False], "instruction_loose": [True, False]}},
        {"id": 3, "metrics": {**nothing, "instruction_strict": [False], "instruction_loose": [False]}},
    ]
    assert summary["metrics"]["prompt_strict"]["value"] == pytest.approx(1 / 3)
    assert summary["metrics"]["instruction_strict"]["value"] == pytest.approx(2 / 4)
    assert summary["metrics"]["prompt_strict"]["stderr"] == pytest.approx((2 / 9 / 2) ** 0.5)
    assert (summary["task"], summary["protocol"]) == ("ifeval", "deterministic")


def test_a_part_of_the_documents_is_scored_and_counted(task, tmp_path):
    responses = write(tmp_path / "r.jsonl", {"key": 3, "response": "fine"}, "")
    summary = score_responses(task, responses, tmp_path / "scores.jsonl")
    assert (summary["documents"], summary["documents_in_task"]) == (1, 3)
    assert summary["metrics"]["prompt_strict"] == {"value": 1.0, "stderr": None}


GOOD = {"key": 3, "response": "fine"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"key": 7, "respon', "line 2: not valid JSON"),
        ("[" * 100_000, "line 2: not valid JSON"),
        ("3", "line 2: a JSON object is needed, found int"),
        ({"response": "x"}, "line 2: needs `key` .or `id`."),
        ({"key": 7.0, "response": "x"}, "line 2: needs `key`.*found 7.0"),
        ({"key": True, "response": "x"}, "line 2: needs `key`.*found True"),
        ({"key": 7}, "line 2: needs `response`.*None"),
        ({"key": 7, "response": ["x"]}, "line 2: needs `response`"),
        ({"key": 99, "response": "x"}, "line 2: no document of the task has the key 99"),
        ({"id": "3", "response": "x"}, "line 2: the document '3' already has a response in line 1"),
    ],
)
def test_a_bad_row_is_named_and_nothing_is_written(task, tmp_path, line, message):
    output = tmp_path / "out" / "scores.jsonl"
    with pytest.raises(UserError, match=message):
        score_responses(task, write(tmp_path / "r.jsonl", GOOD, line), output)
    assert not output.parent.exists()


def test_no_responses_at_all(task, tmp_path):
    with pytest.raises(UserError, match="holds no responses"):
        score_responses(task, write(tmp_path / "r.jsonl", ""), tmp_path / "scores.jsonl")
    with pytest.raises(UserError, match=r"cannot read .*absent\.jsonl: No such file"):
        score_responses(task, tmp_path / "absent.jsonl", tmp_path / "scores.jsonl")
    (tmp_path / "latin").write_bytes(b'{"key": 3, "response": "\xe9"}\n')
    with pytest.raises(UserError, match="not UTF-8"):
        score_responses(task, tmp_path / "latin", tmp_path / "scores.jsonl")


def test_an_output_that_cannot_be_written_is_found_before_scoring(task, tmp_path, monkeypatch):
    monkeypatch.setattr(type(task), "score", lambda *args: pytest.fail("scored before the output was checked"))
    responses = write(tmp_path / "r.jsonl", GOOD)
    before = responses.read_bytes()
    for output in (tmp_path, responses, responses / "below_a_file.jsonl"):
        with pytest.raises(UserError, match="cannot write"):
            score_responses(task, responses, output)
    assert responses.read_bytes() == before


def test_an_older_output_stays_when_scoring_fails(task, tmp_path, monkeypatch):
    responses, output = write(tmp_path / "r.jsonl", GOOD), write(tmp_path / "scores.jsonl", "old")
    monkeypatch.setattr(type(task), "score", lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        score_responses(task, responses, output)
    assert output.read_text() == "old\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "r.jsonl", "scores.jsonl"]
