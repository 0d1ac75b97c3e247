"""The task `digits` on real images, whose scores are known, and on sets with known faults."""

from dataclasses import replace

import numpy as np
import pytest

from harness.catalogue import Catalogue
from harness.errors import UserError
from harness.models.digits_data import digits_split
from harness.spec import TaskSpec
from harness.task import Document, Output, Sample


def task(count=360):
    made = Catalogue().task(TaskSpec(name="digits", args={"count": count}), None, None)
    made.check()
    return made


def real_samples(images, labels):
    return [
        Sample(Document(f"{row:04d}", {"label": int(label)}), 0, Output(tuple(image)))
        for row, (image, label) in enumerate(zip(images.tolist(), labels, strict=True))
    ]


@pytest.fixture(scope="module")
def test_samples():
    split = digits_split()
    return real_samples(split.test_images, split.test_labels)


def scores(samples, made=None):
    made = made or task()
    observations = made.observe(samples)
    each = [
        made.score(sample, {name: array[row] for name, array in observations.items()})["class_accuracy"]
        for row, sample in enumerate(samples)
    ]
    return np.mean(each), made.aggregate(samples, observations)


def test_documents_ask_for_the_digits_in_turn():
    made = task(12)
    documents = made.documents()
    assert [document.id for document in documents] == [f"{i:04d}" for i in range(12)]
    assert [made.request(document).condition["label"] for document in documents] == [*range(10), 0, 1]
    assert made.request(documents[0]).length == 64


def test_metrics_are_those_that_the_yaml_declares(test_samples):
    made = task()
    accuracy, of_set = scores(test_samples, made)
    declared = {metric.key: metric.level for metric in made.file.metrics}
    assert {key for key, level in declared.items() if level == "set"} == set(of_set)
    assert declared["class_accuracy"] == "sample"
    assert accuracy > 0.98


def test_real_images_reach_the_floor(test_samples):
    _, of_set = scores(test_samples)
    for metric in of_set.values():
        assert metric.value == pytest.approx(metric.floor, rel=1e-6)
        assert metric.stderr > 0
    # By Naeem et al. 2020, of equal distributions: 1 − Π (m − 1 − i) / (n + m − 1 − i) for i < 5.
    assert of_set["coverage"].floor == pytest.approx(0.67, abs=0.05)


def test_floor_of_a_small_set_is_that_of_small_real_sets(test_samples):
    _, of_set = scores(test_samples[:40])
    _, whole = scores(test_samples)
    assert of_set["fid_digits"].floor > 2 * whole["fid_digits"].floor
    assert abs(of_set["fid_digits"].value - of_set["fid_digits"].floor) < 4 * of_set["fid_digits"].stderr
    assert abs(of_set["kid_digits"].value) < 4 * of_set["kid_digits"].stderr


def test_a_collapsed_set_keeps_its_accuracy_and_loses_the_rest(test_samples):
    first = {}
    for sample in test_samples:
        first.setdefault(sample.document.data["label"], sample.output)
    collapsed = [replace(sample, output=first[sample.document.data["label"]]) for sample in test_samples]
    accuracy, of_set = scores(collapsed)
    assert accuracy > 0.8
    assert of_set["fid_digits"].value > 10 * of_set["fid_digits"].floor
    assert of_set["kid_digits"].value > 3 * of_set["kid_digits"].stderr
    assert of_set["coverage"].value < of_set["coverage"].floor / 4
    assert of_set["precision"].value > 0.5
    assert of_set["recall"].value < of_set["recall"].floor / 4


def test_noise_scores_worse_than_any_digit(test_samples):
    rng = np.random.default_rng(0)
    noise = [replace(s, output=Output(tuple(rng.integers(0, 17, 64).tolist()))) for s in test_samples]
    accuracy, of_set = scores(noise)
    assert accuracy < 0.3
    assert of_set["fid_digits"].value > 50 * of_set["fid_digits"].floor
    assert of_set["coverage"].value < 0.05
    assert of_set["precision"].value < of_set["precision"].floor / 2


def test_a_set_of_three_has_no_distances(test_samples):
    assert scores(test_samples[:3])[1] == {}
    assert set(scores(test_samples[:4])[1]) == {"fid_digits", "kid_digits", "coverage", "precision", "recall"}


@pytest.mark.parametrize("tokens", [(), (0,) * 63, (0,) * 63 + (17,), (-1,) * 64])
def test_what_is_no_image_is_refused(tokens):
    with pytest.raises(UserError, match="'0000'"):
        task().observe([Sample(Document("0000", {"label": 0}), 0, Output(tokens))])


def test_a_count_of_zero_is_refused():
    with pytest.raises(UserError, match="count is 0"):
        task(0)
