"""Cells as lm-eval's files: what lm-eval writes of the same outputs, and what the import reads back."""

import json

import pytest
from lm_eval.loggers import EvaluationTracker
from lm_eval_local import CHOICE, CHOICES, Replay, theirs_in_full

from harness.analysis.exporting import export_run
from harness.analysis.importing import read_files
from harness.analysis.scoring import score_run
from harness.catalogue import Catalogue
from harness.errors import UserError
from harness.spec import CellSpec, Decoding, ModelSpec, SamplerSpec, TaskSpec
from harness.store import GenerationRecord, RunStore, SampleKey
from harness.task import Output

TEXTS = ["two is 2 , not 3", "it is 3\n4", "44 stop 5", "none at all"]
PROBLEMS = [
    {"question": "Tom has 3 apples and buys 4. How many?", "answer": "3 + 4 = 7\n#### 7"},
    {"question": "What is 6 times 7 thousand?", "answer": "#### 42,000"},
]


def stored(root, task, outputs, samples=1):
    """A run with one cell of these outputs, by document and then by sample."""
    spec = CellSpec(
        model=ModelSpec(name="llada", args={"pretrained": "org/llada", "chat": True}, revision="r", dtype="bfloat16"),
        task=task.identity(), data=task.data_hash(), sampler=SamplerSpec(name="punt", args={"epsilon": 0.05}),
        decoding=Decoding(temperature=0.0), budget=None, seed=3, semantics={"engine": 1},
    )  # fmt: skip
    run = RunStore.create(root, {})
    keys = [SampleKey(document.id, index) for document in task.documents() for index in range(samples)]
    cell = run.cell(spec)
    with cell.lock():
        cell.append([GenerationRecord(key, out, {"nfe": 10}) for key, out in zip(keys, outputs, strict=True)])
    return run


def exported(run, catalogue, output, data_dir=None):
    """The results and the lines of the only cell."""
    score_run(run, catalogue, [], data_dir)
    (path,) = export_run("lm-eval", run, catalogue, data_dir, output).values()
    (lines,) = path.parent.glob("samples_*.jsonl")
    return json.loads(path.read_text()), [json.loads(line) for line in lines.read_text().splitlines()]


def written_by_lm_eval(results, name, folder):
    """The lines that lm-eval's own writer makes of its results."""
    tracker = EvaluationTracker(output_path=str(folder))
    tracker.general_config_tracker.log_experiment_args("mdm", "model=x", None, None, False)
    tracker.save_results_aggregated({"results": results["results"]}, results["samples"])
    tracker.save_results_samples(name, results["samples"][name])
    (path,) = folder.rglob("samples_*.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


SAME = ["doc_id", "doc", "target", "resps", "filtered_resps", "filter", "doc_hash", "prompt_hash", "target_hash"]


def test_the_files_are_those_of_lm_eval_for_the_same_texts(write, tmp_path):
    folder = write()
    catalogue = Catalogue([folder])
    task = catalogue.task(TaskSpec(name="lm_eval:numbers"), None, None)
    results, lines = exported(
        stored(tmp_path / "run", task, [Output(text=t) for t in TEXTS]), catalogue, tmp_path / "out"
    )
    their = theirs_in_full(folder, Replay(TEXTS))
    expected = written_by_lm_eval(their, "numbers", tmp_path / "theirs")
    order = [(line["filter"], line["doc_id"]) for line in expected]
    lines = sorted(lines, key=lambda line: order.index((line["filter"], line["doc_id"])))
    assert [[line[name] for name in SAME] for line in lines] == [[line[name] for name in SAME] for line in expected]
    assert [line["exact_match"] for line in lines] == [line["exact_match"] for line in expected]
    asked = [[line["arguments"]["gen_args_0"]["arg_0"] for line in each] for each in (lines, expected)]
    assert asked[0] == asked[1]
    numbers = their["results"]["numbers"]
    for name in ("exact_match,first", "exact_match,last", "chrf,first", "chrf,last"):
        assert results["results"]["numbers"][name] == pytest.approx(numbers[name])
    assert results["higher_is_better"] == their["higher_is_better"]
    assert results["n-samples"] == their["n-samples"]
    assert results["n-shot"] == their["n-shot"]
    assert results["config"]["mdm"]["cost"] == {"nfe": 10}
    assert results["config"]["model_args"]["epsilon"] == 0.05
    assert results["model_name"] == "org/llada"


def test_likelihoods_are_written_as_lm_eval_writes_them(write, tmp_path):
    class Scores(Replay):
        def loglikelihood(self, requests):
            return [(-float(number), False) for number, _ in enumerate(requests)]

    folder = write(CHOICES, [], CHOICE)
    catalogue = Catalogue([folder])
    task = catalogue.task(TaskSpec(name="lm_eval:endings"), None, None)
    outputs = [Output(logp=(-0.0, -1.0)), Output(logp=(-2.0, -3.0, -4.0)), Output(logp=(-5.0, -6.0))]
    _, lines = exported(stored(tmp_path / "run", task, outputs), catalogue, tmp_path / "out")
    expected = written_by_lm_eval(theirs_in_full(folder, Scores(None), "endings"), "endings", tmp_path / "theirs")
    assert [[line[name] for name in [*SAME, "acc", "acc_norm", "arguments"]] for line in lines] == [
        [line[name] for name in [*SAME, "acc", "acc_norm", "arguments"]] for line in expected
    ]


def test_the_import_reads_back_what_was_exported(tmp_path):
    data = tmp_path / "data" / "gsm8k"
    data.mkdir(parents=True)
    (data / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in PROBLEMS))
    catalogue, folder = Catalogue(), str(tmp_path / "data")
    task = catalogue.task(TaskSpec(name="gsm8k", args={"max_tokens": 128}), folder, None)
    texts = [r"so \boxed{7}", "I do not know", r"\boxed{42000}", r"\boxed{1}"]
    run = stored(tmp_path / "run", task, [Output(text=text) for text in texts], samples=2)
    results, lines = exported(run, catalogue, tmp_path / "out", folder)
    assert results["results"]["gsm8k"]["correct,none"] == 0.5
    assert [line["correct"] for line in lines] == [0.5, 0.5]
    (found,) = read_files("lm-eval", tmp_path / "out", catalogue)
    assert {sample.key: sample.text for sample in found.samples} == {
        key: output.text for key, output in run.cells()[0].generations().items()
    }
    assert [dict(sample.document.data) for sample in found.samples[::2]] == [dict(d.data) for d in task.documents()]
    assert (found.cell.model.name, found.cell.model.dtype) == ("org/llada", "bfloat16")
    assert found.task.settings["max_tokens"] == 128
    assert found.origin["reported"]["lm_eval.correct"] == 0.5


def test_what_is_not_scored_or_has_no_text_is_not_written(write, tmp_path):
    folder = write()
    catalogue = Catalogue([folder])
    task = catalogue.task(TaskSpec(name="lm_eval:numbers"), None, None)
    run = stored(tmp_path / "run", task, [Output(text=text) for text in TEXTS])
    with pytest.raises(UserError, match="not scored as it stands"):
        export_run("lm-eval", run, catalogue, None, tmp_path / "out")
    digits = catalogue.task(TaskSpec(name="digits", args={"count": 3}), None, None)
    other = stored(tmp_path / "digits", digits, [Output((1,)) for _ in digits.documents()])
    assert list(export_run("lm-eval", other, catalogue, None, tmp_path / "out").values()) == [None]
    assert not (tmp_path / "out").exists()
