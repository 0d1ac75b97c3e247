"""Tasks of lm-eval: what is asked, and what the same outputs score, is what lm-eval's own evaluator says."""

import json

import pytest
from lm_eval_local import Replay, lm_eval_keys, ours, scored, theirs

from harness.catalogue import Catalogue
from harness.errors import UserError
from harness.spec import TaskSpec

TEXTS = ["two is 2 , not 3", "it is 3\n4", "44 stop 5", "none at all"]


@pytest.mark.parametrize("shots", [0, 1, 2])
def test_prompts_and_scores_are_those_of_lm_evals_own_evaluator(write, shots):
    folder, model = write(), Replay(TEXTS)
    results = theirs(folder, model, num_fewshot=shots)
    task = ours(folder, num_fewshot=shots)
    task.check()
    requests = [task.request(document) for document in task.documents()]
    assert [request.prompt for request in requests] == [prompt for prompt, _ in model.asked]
    assert {request.until for request in requests} == {("\n", "stop")}
    assert {request.length for request in requests} == {12}
    expected = lm_eval_keys(results)
    assert expected["exact_match@first"] == 0.75
    assert expected["exact_match@last"] == 0.5
    assert scored(task, TEXTS) == pytest.approx(expected, abs=1e-12)


def test_the_conversation_is_what_lm_eval_hands_to_a_chat_template(write):
    folder, model = write(gen_prefix="It is", num_fewshot=2), Replay(TEXTS)
    theirs(folder, model, apply_chat_template=True, fewshot_as_multiturn=True, system_instruction="Be brief. ")
    task = ours(folder, system="Be brief. ")
    turns = [task.request(document).turns for document in task.documents()]
    assert [[list(turn) for turn in each] for each in turns] == [json.loads(prompt) for prompt, _ in model.asked]
    assert [role for role, _ in turns[0]] == ["system", "user", "assistant", "user", "assistant", "user", "assistant"]
    single = ours(folder, multiturn=False).request(task.documents()[0]).turns
    assert [role for role, _ in single] == ["system", "user", "assistant"]


def test_several_answers_to_a_document_go_through_lm_evals_filters_together(write):
    vote = [{"function": "regex", "regex_pattern": "(\\d)"}, {"function": "majority_vote"}, {"function": "take_first"}]
    folder = write(repeats=3, filter_list=[{"name": "vote", "filter": vote}])
    texts = ["2", "3", "2", "4", "3", "4", "4", "4", "0", "6", "6", "5"]
    results = theirs(folder, Replay(texts))
    assert scored(ours(folder), texts, samples=3) == pytest.approx(lm_eval_keys(results), abs=1e-12)
    assert results["exact_match,vote"] == 0.75


def test_data_and_settings_name_the_cell(write):
    folder = write()
    first = ours(folder)
    assert first.data_hash() == ours(folder).data_hash()
    assert first.data_hash() != ours(folder, num_fewshot=2).data_hash()
    assert first.identity().args["max_tokens"] == 12
    scorer = first.file.scorer
    write(metric_list=[{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}])
    again = ours(folder)
    assert again.file.scorer != scorer
    assert again.data_hash() == first.data_hash()


def test_sampling_is_lm_evals(write):
    folder = write(generation_kwargs={"until": ["\n"], "do_sample": True, "temperature": 0.5})
    assert ours(folder).file.decoding.temperature == 0.5
    assert ours(write()).file.decoding.temperature == 0


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("number", {}, "lm-eval has no task 'number'. Did you mean 'numbers'"),
        ("numbers", {"num_fewshots": 1}, "no setting 'num_fewshots'. Did you mean 'num_fewshot'"),
        ("numbers", {"num_fewshot": -1}, "num_fewshot is -1; it must be at least 0"),
        ("numbers", {"max_tokens": 0}, "max_tokens is 0; it must be at least 1"),
    ],
)
def test_what_is_refused(write, name, settings, message):
    with pytest.raises(UserError, match=message.replace("(", r"\(")):
        ours(write(), name, **settings).check()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dataset_path": "nobody/nothing"}, "hf download --repo-type dataset nobody/nothing"),
        ({"doc_to_text": "{{question.missing.deeper}}"}, "cannot be used"),
        ({"num_fewshot": 0}, "lm-eval keeps this task at 0"),
        ({"output_type": "loglikelihood_rolling", "filter_list": None}, "perplexity of whole texts"),
    ],
)
def test_a_task_that_cannot_be_loaded_says_what_to_do(write, changes, message):
    with pytest.raises(UserError, match=message):
        ours(write(**changes), num_fewshot=1).check()


@pytest.mark.slow  # lm-eval reads all its files
def test_a_group_is_refused_with_its_tasks():
    with pytest.raises(UserError, match=r"It is a group.*lm_eval:minerva_math_algebra,"):
        Catalogue().task_file("lm_eval:minerva_math")


def test_a_dataset_is_taken_from_the_data_folder(write, tmp_path):
    folder = write(dataset_path="org/numbers", dataset_kwargs=None)
    copy = tmp_path / "data" / "org" / "numbers"
    copy.mkdir(parents=True)
    for split in ("train", "test"):
        (folder / f"{split}.jsonl").rename(copy / f"{split}.jsonl")
    task = Catalogue([folder]).task(TaskSpec(name="lm_eval:numbers"), str(tmp_path / "data"), None)
    assert [document.data["doc"]["answer"] for document in task.documents()] == ["2", "3", "4", "6"]


def test_tasks_that_ship_with_lm_eval_declare_their_metrics_without_data():
    known = Catalogue()
    gsm8k = known.task_file("lm_eval:gsm8k")
    assert [metric.key for metric in gsm8k.metrics] == ["exact_match@strict-match", "exact_match@flexible-extract"]
    assert (gsm8k.settings["num_fewshot"], gsm8k.settings["max_tokens"]) == (5, 256)
    humaneval = known.task_file("lm_eval:humaneval_instruct")
    assert [metric.key for metric in humaneval.metrics] == ["pass@1@create_test"]
    assert humaneval.settings["max_tokens"] == 1024
    assert known.task_file("lm_eval:ifeval").primary == "prompt_level_strict_acc"
    assert {metric.level for metric in known.task_file("lm_eval:humaneval_64").metrics} == {"set"}
    squad = known.task_file("lm_eval:squad_completion")
    assert [(metric.key, metric.level) for metric in squad.metrics] == [("contains", "sample")]
    assert {metric.level for metric in known.task_file("lm_eval:squadv2").metrics} == {"set"}


def test_a_metric_of_the_hub_that_cannot_be_had_says_what_to_do(write):
    folder = write(process_results="FUNCTION")
    written = (folder / "numbers.yaml").read_text()
    (folder / "own").mkdir()
    (folder / "numbers.yaml").unlink()
    (folder / "own" / "numbers.yaml").write_text(written.replace("FUNCTION", "!function judge.score"))
    (folder / "own" / "judge.py").write_text("raise FileNotFoundError('No module script at code_eval.py.')")
    with pytest.raises(UserError, match=r"No module script at code_eval.py\. .* evaluate\.load\('NAME'\)"):
        ours(folder).check()
