"""What the contrastive model says in geneval_mini: its distance knows rendered scenes, its score the prompt."""

import numpy as np
import pytest

from harness.catalogue import Catalogue
from harness.miniworld.captions import scene_for
from harness.miniworld.scenes import CODES, Thing, codes, pixels, render
from harness.spec import TaskSpec
from harness.task import Output, Sample

TASK = Catalogue().task(TaskSpec(name="geneval_mini"), None, None)
DOCUMENTS = TASK.documents()


def draw(change=lambda scene, rng: codes(scene), seed=5, count=1):
    """Samples of scenes that fit the prompts, as codes of patches that `change` may damage."""
    rng = np.random.default_rng(seed)
    return [
        Sample(document, index, Output(image=pixels(change(scene_for(document.data, rng), rng))))
        for document in DOCUMENTS
        for index in range(count)
    ]


def distance(samples):
    return TASK.aggregate(samples, TASK.observe(samples))["fid_scenes"]


def image_text(samples):
    return TASK.observe(samples)["image_text"]


def four_patches_wrong(scene, rng):
    grid = codes(scene)
    grid[rng.choice(np.flatnonzero(grid), 4, replace=False)] = rng.integers(1, CODES, 4)
    return grid


def one_thing_missing(scene, rng):
    return codes(scene[1:])


def all_red(scene, rng):
    return codes(tuple(Thing(thing.row, thing.column, thing.shape, "red") for thing in scene))


def always_the_same(scene, rng):
    return codes((Thing(2, 2, "star", "pink"),))


@pytest.fixture(scope="module")
def rendered():
    return distance(draw())


def test_rendered_scenes_are_at_the_floor(rendered):
    other = distance(draw(seed=6))
    for metric in (rendered, other):
        assert metric.value == pytest.approx(metric.floor, abs=3 * metric.stderr)
    assert rendered.floor == other.floor  # the same prompts, the same number


@pytest.mark.parametrize("damage", [four_patches_wrong, one_thing_missing, all_red, always_the_same])
def test_other_scenes_are_farther_away(rendered, damage):
    metric = distance(draw(damage))
    assert metric.value > rendered.value + 4 * metric.stderr
    assert metric.floor == rendered.floor


def test_a_collapse_keeps_precision_and_loses_recall():
    samples = draw()
    of_scenes = TASK.aggregate(samples, TASK.observe(samples))
    for key in ("precision", "recall"):
        assert of_scenes[key].value == pytest.approx(of_scenes[key].floor, abs=0.12)
    samples = draw(always_the_same)
    of_one = TASK.aggregate(samples, TASK.observe(samples))
    assert of_one["precision"].value > 0.9
    assert of_one["recall"].value < 0.05


def test_more_pictures_come_closer_and_so_does_the_floor(rendered):
    three = distance(draw(count=3))
    assert three.floor < 0.6 * rendered.floor
    assert three.value == pytest.approx(three.floor, abs=4 * three.stderr)


def test_a_few_pictures_have_a_distance_and_three_have_none():
    samples = draw()[:4]
    assert np.isfinite(distance(samples).value)
    assert "fid_scenes" not in TASK.aggregate(samples[:3], TASK.observe(samples[:3]))


def test_the_score_prefers_the_prompt_to_another(rendered):
    samples = draw()
    swapped = [
        Sample(other.document, 0, sample.output)
        for sample, other in zip(samples, [*samples[1:], samples[0]], strict=True)
    ]
    right, wrong = image_text(samples), image_text(swapped)
    assert ((wrong >= 0) & (wrong <= 2.5)).all()
    assert (right > wrong).mean() > 0.95
    assert right.mean() > 2 * wrong.mean()


def test_the_score_falls_when_a_thing_is_missing():
    assert image_text(draw(one_thing_missing)).mean() < 0.7 * image_text(draw()).mean()


def test_a_score_is_what_the_task_reports():
    samples = draw()[:3]
    observations = TASK.observe(samples)
    for row, sample in enumerate(samples):
        score = TASK.score(sample, {name: array[row] for name, array in observations.items()})
        assert score["image_text"] == observations["image_text"][row]


def test_no_picture_breaks_it():
    rng = np.random.default_rng(0)
    noise = [rng.integers(0, 256, (64, 64, 3), dtype=np.uint8), np.zeros((64, 64, 3), np.uint8), render(())]
    samples = [Sample(DOCUMENTS[i], i // 3, Output(image=noise[i % 3])) for i in range(9)]
    assert np.isfinite(image_text(samples)).all()
    metric = distance(samples)
    assert np.isfinite([metric.value, metric.stderr, metric.floor]).all()
