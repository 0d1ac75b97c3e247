"""The tasks vqa_mini and vqa_mini_short: documents, requests, and the scores of right, wrong and hostile texts."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.catalogue import Catalogue
from harness.errors import UserError
from harness.miniworld import questions
from harness.miniworld.scenes import codes, encode
from harness.spec import TaskSpec
from harness.task import Document, Output, Sample

NAMES = ["vqa_mini", "vqa_mini_short"]
SCENE = [[0, 1, "circle", "red"], [1, 5, "square", "blue"], [3, 3, "circle", "blue"]]
DOCUMENT = Document("0000", {"scene": SCENE, "question": "how many circles are there", "answer": "2"})
RIGHT = "blue square top right, red circle top left, blue circle middle center, so the answer is 2."


def make_task(name, **settings):
    return Catalogue().task(TaskSpec(name=name, args=settings), None, None)


def score(task, text, document=DOCUMENT):
    return task.score(Sample(document, 0, Output(text=text)), {})


@pytest.mark.parametrize("name", NAMES)
def test_documents_are_plain_data_with_the_picture_as_cluster(name):
    task = make_task(name, count=10)
    task.check()
    documents = task.documents()
    assert [document.id for document in documents] == [f"{index:04d}" for index in range(10)]
    assert [document.cluster for document in documents] == ["000"] * 4 + ["001"] * 4 + ["002"] * 2
    for document in documents:
        assert json.loads(json.dumps(document.data)) == document.data
    pictures = {json.dumps(document.data["scene"]): document.cluster for document in documents}
    assert sorted(pictures.values()) == ["000", "001", "002"]
    assert make_task(name, count=10).data_hash() == task.data_hash() != make_task(name, count=11).data_hash()


@pytest.mark.parametrize(("name", "length"), [("vqa_mini", 32), ("vqa_mini_short", 2)])
def test_the_request_shows_the_scene(name, length):
    task = make_task(name, count=8)
    for document, asked in zip(task.documents(), questions.test_questions(8, name == "vqa_mini"), strict=True):
        request = task.request(document)
        assert (request.document, request.prompt, request.length) == (document.id, asked.question, length)
        pixels = request.image.pixels()
        assert request.image.size() == pixels.shape[:2] == (64, 64)
        assert pixels.dtype == np.uint8
        assert np.array_equal(encode(pixels), codes(asked.scene))


@pytest.mark.parametrize("long", [True, False])
def test_true_answers_score_one(long):
    task = make_task(NAMES[not long], count=60)
    for document, asked in zip(task.documents(), questions.test_questions(60, long), strict=True):
        scores = score(task, asked.answer, document)
        assert {key for key, value in scores.items() if value} == {"accuracy", "things", "description", "grounded"} & {
            *scores
        }
        assert max(scores.values()) == 1


@pytest.mark.parametrize(
    ("text", "accuracy", "things", "no_answer"),
    [
        (RIGHT, 1, 1, False),
        (RIGHT.upper(), 1, 1, False),
        (RIGHT.replace("2", "3"), 0, 1, False),
        (RIGHT.replace("2", "two"), 0, 1, False),  # ten equal references: VQA normalises nothing
        (RIGHT.replace("square", "star"), 1, 2 / 3, False),
        (RIGHT.replace("blue square top right, ", ""), 1, 4 / 5, False),
        (RIGHT.replace("blue square top right", "red circle top left"), 1, 2 / 3, False),
        (RIGHT.replace("so the answer is 2", ""), 0, 1, True),
        ("so the answer is 2", 1, 0, False),
        ("2", 0, 0, True),
        ("", 0, 0, True),
    ],
)
def test_scores_of_a_long_answer(text, accuracy, things, no_answer):
    assert score(make_task("vqa_mini"), text) == {
        "accuracy": accuracy,
        "things": things,
        "grounded": accuracy * things,
        "description": things == 1,
        "no_answer": no_answer,
    }


@pytest.mark.parametrize(
    ("text", "accuracy"), [("2", 1), (" 2\n", 1), ("3", 0), ("", 0), ("so the answer is 2", 0), (RIGHT, 0)]
)
def test_scores_of_a_short_answer(text, accuracy):
    assert score(make_task("vqa_mini_short"), text) == {"accuracy": accuracy}


@given(st.one_of(st.text(), st.lists(st.sampled_from([*questions.WORDS, "\n", "so the answer is"])).map(" ".join)))
@pytest.mark.parametrize("task", [make_task(name) for name in NAMES], ids=NAMES)
def test_any_text_has_a_score(task, text):
    scores = score(task, text)
    assert set(scores) == {metric.key for metric in task.file.metrics}
    assert all(0 <= value <= 1 for value in scores.values())


@pytest.mark.parametrize("name", NAMES)
def test_mistakes_are_named(name):
    with pytest.raises(UserError, match=f"'{name}': count is 0"):
        make_task(name, count=0).check()
    with pytest.raises(UserError, match=f"'{name}' scores text.*use a text model"):
        make_task(name).score(Sample(DOCUMENT, 0, Output(tokens=(1, 2))), {})


def test_the_long_form_is_ranked_by_grounded_answers_and_the_short_one_by_accuracy():
    assert [make_task(name).file.primary for name in NAMES] == ["grounded", "accuracy"]
