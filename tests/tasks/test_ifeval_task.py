"""The task: rows from a file or the hub, what is checked before a run, and the scores of the set."""

import pytest
from ifeval_rows import ROWS, make_task, write_rows

from harness.errors import UserError
from harness.task import Document, Output, Sample


def outputs(task, **responses: str) -> list[Sample]:
    texts = {key.removeprefix("k"): text for key, text in responses.items()}
    return [Sample(each, 0, Output(text=texts[each.id])) for each in task.documents() if each.id in texts]


def test_documents_and_requests(tmp_path):
    task = make_task(write_rows(tmp_path, *ROWS))
    assert [document.id for document in task.documents()] == ["7", "3", "11"]
    request = task.request(task.documents()[0])
    assert (request.document, request.prompt, request.length) == ("7", ROWS[0]["prompt"], 1280)


def test_the_file_is_also_found_in_a_subfolder_and_by_the_environment(tmp_path, monkeypatch):
    write_rows(tmp_path / "ifeval", *ROWS)
    monkeypatch.setenv("MDM_HARNESS_DATA", str(tmp_path))
    assert len(make_task(None).documents()) == 3


def test_hub_rows_give_the_same_documents_as_the_file(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.delenv("MDM_HARNESS_DATA", raising=False)
    # A dataset has one schema: every argument of any instruction in each row, None where there is none.
    padded = datasets.Dataset.from_list([{**row, "kwargs": row["kwargs"]} for row in ROWS])
    assert padded[0]["kwargs"][0]["num_words"] is None
    asked = {}
    monkeypatch.setattr(datasets, "load_dataset", lambda name, **options: asked.update(options, name=name) or padded)
    hub, local = make_task(None), make_task(write_rows(tmp_path, *ROWS))
    assert hub.documents() == local.documents()
    assert hub.data_hash() == local.data_hash()
    assert asked == {"name": "google/IFEval", "split": "train"}


def test_no_network_says_how_to_get_the_file(monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.delenv("MDM_HARNESS_DATA", raising=False)

    def offline(*args, **options):
        raise ConnectionError("Couldn't reach 'google/IFEval' on the Hub")

    monkeypatch.setattr(datasets, "load_dataset", offline)
    with pytest.raises(UserError, match=r"Couldn't reach.*input_data\.jsonl from https://.*--data-dir"):
        make_task(None).check()


def test_a_missing_file_names_the_folder(tmp_path):
    with pytest.raises(UserError, match=r"neither input_data\.jsonl.*--data-dir"):
        make_task(tmp_path).check()


ROW = ROWS[0]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"key": 1, "prompt"', "line 2: not valid JSON"),
        ("[1, 2]", "line 2: a JSON object is needed, found list"),
        ({**ROW, "key": "1000"}, "line 2: `key` must be a whole number, found '1000'"),
        ({**ROW, "key": True}, "line 2: `key` must be a whole number"),
        (ROW, "line 2: document 7 occurs twice"),
        ({**ROW, "key": 8, "prompt": None}, "line 2: `prompt` must be a text"),
        ({**ROW, "key": 8, "instruction_id_list": []}, "line 2: `instruction_id_list` must be a list"),
        ({**ROW, "key": 8, "kwargs": [None, None]}, "line 2: `kwargs` must be a list of objects"),
        ({**ROW, "key": 8, "kwargs": [{}]}, "line 2: 2 instructions but 1 `kwargs`"),
    ],
)
def test_a_malformed_line_is_named(tmp_path, line, message):
    with pytest.raises(UserError, match=message):
        make_task(write_rows(tmp_path, ROW, line)).check()


def test_an_unknown_instruction_is_found_before_the_run(tmp_path):
    row = {"key": 5, "prompt": "p", "instruction_id_list": ["punctuation:no_coma"], "kwargs": [{}]}
    with pytest.raises(UserError, match=r"key 5: unknown instruction.*punctuation:no_comma"):
        make_task(write_rows(tmp_path, row)).check()


SENTENCES = {
    "key": 9,
    "prompt": "p",
    "instruction_id_list": ["length_constraints:number_sentences"],
    "kwargs": [{"num_sentences": 2, "relation": "at least"}],
}


@pytest.fixture
def _without_punkt(monkeypatch):
    import nltk.data

    monkeypatch.setattr(nltk.data, "path", [])


@pytest.mark.usefixtures("_without_punkt")
def test_punkt_is_asked_for_only_by_documents_that_need_it(tmp_path):
    make_task(write_rows(tmp_path, *ROWS)).check()
    with pytest.raises(UserError, match=r"key 9\).*python -m nltk\.downloader punkt_tab.*NLTK_DATA"):
        make_task(write_rows(tmp_path, *ROWS, SENTENCES)).check()


def test_scores(tmp_path):
    task = make_task(write_rows(tmp_path, *ROWS))
    task.check()
    samples = outputs(task, k7='"quoted, well"', k3="Sure, fine:\nplain", k11="some words")
    assert [task.score(sample, {}) for sample in samples] == [
        {
            "prompt_strict": False,
            "prompt_loose": False,
            "instruction_strict": [False, True],
            "instruction_loose": [False, True],
        },
        {
            "prompt_strict": False,
            "prompt_loose": True,
            "instruction_strict": [False],
            "instruction_loose": [True],
        },
        {
            "prompt_strict": True,
            "prompt_loose": True,
            "instruction_strict": [True],
            "instruction_loose": [True],
        },
    ]
    of_set = task.aggregate(samples, {})
    assert of_set["instruction_strict"].value == 2 / 4  # over instructions, not over documents
    assert of_set["instruction_loose"].value == 3 / 4
    assert of_set["instruction_strict"].stderr > 0
    # A document's right instructions, less what as many have on average: three documents with four instructions.
    right_less_mean = [1 - 2 * 3 / 4, 1 - 3 / 4, 1 - 3 / 4]
    assert of_set["instruction_loose"].parts == pytest.approx([3 / 4 + 3 / 4 * each for each in right_less_mean])


def test_a_model_without_text_is_refused(tmp_path):
    task = make_task(write_rows(tmp_path, *ROWS))
    with pytest.raises(UserError, match="use a text model"):
        task.score(Sample(Document("7"), 0, Output(tokens=(1, 2))), {})


def test_declared_metrics_are_the_ones_that_are_scored(tmp_path):
    task = make_task(write_rows(tmp_path, *ROWS))
    declared = {metric.key for metric in task.file.metrics}
    samples = outputs(task, k3="x")
    assert declared == set(task.score(samples[0], {}))
    assert {metric.key for metric in task.file.metrics if metric.level == "set"} == set(task.aggregate(samples, {}))
