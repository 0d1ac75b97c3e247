"""The task geneval_mini on pictures that are right, wrong or broken, and its mean over tags."""

import json
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from harness.catalogue import Catalogue
from harness.errors import UserError
from harness.metrics.geneval import TAGS
from harness.miniworld.captions import scene_for
from harness.miniworld.scenes import CODES, Thing, pixels, render
from harness.miniworld.split import held_out
from harness.spec import TaskSpec
from harness.task import Output, Sample


def make_task(**settings):
    task = Catalogue().task(TaskSpec(name="geneval_mini", args=settings), None, None)
    task.check()
    return task


TASK = make_task()
EMPTY = Output(image=render(()))


def right(document, seed=0):
    return Output(image=render(scene_for(document.data, np.random.default_rng(seed))))


def evaluate(samples, task=TASK):
    """The scores of each sample, and those of the set."""
    observations = task.observe(samples)
    rows = [{name: array[row] for name, array in observations.items()} for row in range(len(samples))]
    return [task.score(*pair) for pair in zip(samples, rows, strict=True)], task.aggregate(samples, observations)


def verdicts_only(score):
    return {name: value for name, value in score.items() if name != "image_text"}


def document_of(tag):
    return next(document for document in TASK.documents() if document.data["tag"] == tag)


def test_documents_are_held_out_prompts_in_which_the_tags_take_turns():
    documents = TASK.documents()
    assert 120 <= len(documents) <= 180
    assert [document.id for document in documents] == [f"{index:04d}" for index in range(len(documents))]
    assert all(held_out(document.data["prompt"]) for document in documents)
    assert Counter(document.stratum for document in documents[:30]) == dict.fromkeys(TAGS, 5)
    for document in documents:
        assert json.loads(json.dumps(document.data)) == document.data
        assert TASK.request(document).prompt == document.data["prompt"]
    assert make_task(per_tag=2).data_hash() != TASK.data_hash() == make_task().data_hash()


def test_per_tag_must_be_positive():
    with pytest.raises(UserError, match="per_tag is 0, but must be at least 1"):
        make_task(per_tag=0)


def test_right_pictures_are_all_correct_and_empty_ones_none():
    documents = TASK.documents()
    scores, metrics = evaluate([Sample(document, 0, right(document)) for document in documents])
    assert [*map(verdicts_only, scores)] == [{"correct": True, document.data["tag"]: True} for document in documents]
    assert (metrics["geneval"].value, metrics["geneval"].stderr) == (1.0, 0.0)
    scores, metrics = evaluate([Sample(document, 0, EMPTY) for document in documents])
    assert not any(each["correct"] for each in scores)
    assert metrics["geneval"].value == 0


def test_pictures_of_another_prompt_are_mostly_wrong():
    documents = TASK.documents()
    shifted = [*documents[6:], *documents[:6]]
    _, metrics = evaluate([Sample(a, 0, right(b)) for a, b in zip(documents, shifted, strict=True)])
    assert metrics["geneval"].value < 0.2


@pytest.mark.parametrize(
    ("tag", "things"),
    [
        ("counting", lambda name: [Thing(0, 2 * i, name, "red") for i in range(4)] + [Thing(4, 4, name, "blue")]),
        ("colors", lambda name: [Thing(0, 0, name, "red")]),
    ],
)
def test_too_many_things_or_the_wrong_colour_are_wrong(tag, things):
    document = next(d for d in TASK.documents() if d.data["tag"] == tag and d.data["include"][0].get("color") != "red")
    picture = render(tuple(things(document.data["include"][0]["class"])))
    scores, _ = evaluate([Sample(document, 0, Output(image=picture))])
    assert verdicts_only(scores[0]) == {"correct": False, tag: False}


def test_the_mean_over_tags_and_its_error_are_those_of_a_stratified_cluster_sample():
    """Two pictures a document, right or empty at random, against the formulas in plain Python."""
    rng = np.random.default_rng(3)
    documents = TASK.documents()[:36]
    verdicts = rng.random((len(documents), 2)) < 0.7
    samples = [
        Sample(document, index, right(document) if verdicts[row, index] else EMPTY)
        for row, document in enumerate(documents)
        for index in (0, 1)
    ]
    scores, metrics = evaluate(samples)
    assert [each["correct"] for each in scores] == verdicts.reshape(-1).tolist()
    means = {
        tag: [verdicts[row].mean() for row, document in enumerate(documents) if document.data["tag"] == tag]
        for tag in TAGS
    }
    variance = sum(np.var(each, ddof=1) / len(each) for each in means.values()) / 36
    assert metrics["geneval"].value == pytest.approx(np.mean([np.mean(each) for each in means.values()]))
    assert metrics["geneval"].stderr == pytest.approx(np.sqrt(variance))
    parts = np.array(metrics["geneval"].parts).reshape(-1, 2)
    assert parts.mean() == pytest.approx(metrics["geneval"].value)
    by_tag = [parts.mean(axis=1)[[d.data["tag"] == tag for d in documents]] for tag in TAGS]
    stratified = sum(len(each) * np.var(each, ddof=1) for each in by_tag) / len(documents) ** 2
    assert stratified == pytest.approx(variance)


def test_without_a_picture_of_each_tag_there_is_no_mean():
    documents = TASK.documents()
    _, metrics = evaluate([Sample(document, 0, right(document)) for document in documents[:5]])
    assert "geneval" not in metrics
    _, metrics = evaluate([Sample(document, 0, right(document)) for document in documents[:6]])
    assert metrics["geneval"].value == 1
    assert metrics["geneval"].stderr is None  # one document of each tag


def test_pictures_of_nonsense_and_from_files_are_scored(tmp_path):
    document = document_of("position")
    Image.fromarray(right(document).image).save(tmp_path / "right.png")
    nonsense = pixels(np.random.default_rng(0).integers(0, CODES, 64))
    scores, _ = evaluate(
        [Sample(document, 0, Output(image=tmp_path / "right.png")), Sample(document, 1, Output(image=nonsense))]
    )
    assert [each["correct"] for each in scores] == [True, False]


def test_observations_are_plain_arrays_by_sample():
    samples = [Sample(document, 0, right(document)) for document in TASK.documents()[:6]]
    observations = TASK.observe([*samples, Sample(samples[0].document, 1, EMPTY)])
    assert {name: array.shape for name, array in observations.items()} == {
        "classes": (7, 16),
        "colours": (7, 16),
        "scores": (7, 16),
        "boxes": (7, 16, 4),
        "features": (7, 64),
        "image_text": (7,),
    }
    assert all(array.dtype.kind in "if" for array in observations.values())
    assert TASK.observe([])["boxes"].shape == (0, 16, 4)


@pytest.mark.parametrize(
    ("output", "message"),
    [(Output(text="a circle"), "has none"), (Output(image=np.zeros((32, 32, 3), np.uint8)), "64 x 64")],
)
def test_an_output_without_a_picture_of_the_world_is_an_error(output, message):
    with pytest.raises(UserError, match=message):
        TASK.observe([Sample(document_of("colors"), 0, output)])
