"""GenEval in the small world: pictures from held-out prompts, seen by an exact detector, judged by GenEval's rules.

Beside it, what a contrastive model sees: how well a picture fits its prompt, and how far the pictures are, as a set,
from scenes that were rendered for the same prompts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache, cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import UserError
from harness.metrics.clip_score import clip_score
from harness.metrics.frechet import frechet_distance, frechet_jackknife, gaussian_statistics
from harness.metrics.geneval import judge
from harness.metrics.geneval_scores import mean_over_tags
from harness.metrics.jackknife import jackknife
from harness.metrics.precision_recall import precision_recall
from harness.metrics.shape_detector import detect
from harness.miniworld.captions import scene_for, test_prompts
from harness.miniworld.scenes import COLOURS, SHAPES, SIZE, render
from harness.models.mini.contrastive import Towers, embed_pictures, embed_texts, load_contrastive, picture_features
from harness.task import Document, Metrics, Observations, Request, Sample, SetMetric, Task, pixels

MOST_DETECTIONS = 16
"""Kept of a picture, best first; no more things fit into one."""
NOTHING = -1
"""In place of a class and a colour where a picture has fewer detections."""
SMALLEST_SET = 4
REFERENCE, FLOOR = 10, 10
"""Scenes rendered of each prompt: those that pictures are compared with, and others, compared in place of pictures."""

Pictures = NDArray[np.uint8]
Features = NDArray[np.float32]

_COLOUR_NAMES = tuple(COLOURS)


class GenEvalMini(Task):
    """A document is a prompt with its metadata in GenEval's own format; its stratum is the tag."""

    @cached_property
    def _documents(self) -> Sequence[Document]:
        prompts = test_prompts(self.settings["per_tag"])
        return [Document(f"{index:04d}", prompt, stratum=prompt["tag"]) for index, prompt in enumerate(prompts)]

    def check(self) -> None:
        """Raise UserError for fewer than one prompt of a tag."""
        if self.settings["per_tag"] < 1:
            raise UserError(f"task {self.file.name!r}: per_tag is {self.settings['per_tag']}, but must be at least 1.")

    def documents(self) -> Sequence[Document]:
        """Prompts of which the tags take turns, ids `0000`, `0001`, …"""
        return self._documents

    def request(self, document: Document) -> Request:
        """The prompt."""
        return Request(document.id, prompt=document.data["prompt"])

    def observe(self, samples: Sequence[Sample]) -> Observations:
        """What the detector sees, best first: (n, 16) `classes`, `colours` and `scores`, and (n, 16, 4) `boxes`.

        And the contrastive model: (n, 64) `features` of the pictures, (n,) `image_text` scores with their prompts.
        """
        pictures = np.array([_picture(sample) for sample in samples], dtype=np.uint8).reshape(-1, SIZE, SIZE, 3)
        texts = embed_texts(_towers(), [sample.document.data["prompt"] for sample in samples])
        return {
            **_detected(pictures),
            "features": picture_features(_towers(), pictures),
            "image_text": clip_score(embed_pictures(_towers(), pictures), texts),
        }

    def score(self, sample: Sample, observation: Mapping[str, Any]) -> Metrics:
        """Whether the picture is `correct`, which also counts for its tag, and its `image_text` score."""
        correct = judge(sample.document.data, _detections(observation)).correct
        return {
            "correct": correct,
            sample.document.data["tag"]: correct,
            "image_text": float(observation["image_text"]),
        }

    def aggregate(self, samples: Sequence[Sample], observations: Observations) -> dict[str, SetMetric]:
        """`geneval`, the mean of the six tags' accuracies, and `fid_scenes`, `precision` and `recall`.

        The first is not there while a tag has no picture, the others for fewer than four pictures.
        """
        correct = [
            self.score(sample, {name: array[row] for name, array in observations.items()})["correct"]
            for row, sample in enumerate(samples)
        ]
        mean = mean_over_tags(samples, correct)
        metrics = {} if mean is None else {"geneval": mean}
        if len(samples) >= SMALLEST_SET:
            metrics |= self._likeness(samples, observations["features"])
        return metrics

    def _likeness(self, samples: Sequence[Sample], features: Features) -> dict[str, SetMetric]:
        """How like the pictures are to ten scenes of each one's prompt; the floor is that of other scenes."""
        rows = np.array([int(sample.document.id) for sample in samples])
        turns = np.array([sample.index for sample in samples])
        scenes = self._scenes[rows]
        real = scenes[:, :REFERENCE].reshape(-1, scenes.shape[-1])
        reference = gaussian_statistics(real)
        distance = frechet_distance(*reference, *gaussian_statistics(features))
        others = [scenes[range(len(rows)), REFERENCE + (turns + turn) % FLOOR] for turn in range(FLOOR)]
        floor = float(np.mean([frechet_distance(*reference, *gaussian_statistics(each)) for each in others]))
        precision, recall = precision_recall(real, features)
        floors = precision_recall(real, others[0])
        return {
            "fid_scenes": jackknife(distance, frechet_jackknife(features, *reference), floor),
            "precision": SetMetric(*precision, floors[0][0]),
            "recall": SetMetric(*recall, floors[1][0]),
        }

    @cached_property
    def _scenes(self) -> Features:
        """(documents, REFERENCE + FLOOR, 64) features of rendered scenes of each prompt."""
        rng = np.random.default_rng(0)
        count = REFERENCE + FLOOR
        scenes = [render(scene_for(document.data, rng)) for document in self._documents for _ in range(count)]
        return picture_features(_towers(), np.array(scenes)).reshape(len(self._documents), count, -1)


@cache
def _towers() -> Towers:
    return load_contrastive()


def _picture(sample: Sample) -> Pictures:
    picture = pixels(sample.output)
    if picture.shape != (SIZE, SIZE, 3):
        raise UserError(
            f"document {sample.document.id!r}, sample {sample.index}: a picture of the small world has {SIZE} x {SIZE} "
            f"pixels; this one has {picture.shape[1]} x {picture.shape[0]}."
        )
    return picture


def _detected(pictures: Pictures) -> Observations:
    """What the detector sees in pictures (n, 64, 64, 3) uint8."""
    observations: dict[str, NDArray[Any]] = {
        "classes": np.full((len(pictures), MOST_DETECTIONS), NOTHING, dtype=np.int8),
        "colours": np.full((len(pictures), MOST_DETECTIONS), NOTHING, dtype=np.int8),
        "scores": np.zeros((len(pictures), MOST_DETECTIONS), dtype=np.float32),
        "boxes": np.zeros((len(pictures), MOST_DETECTIONS, 4), dtype=np.float32),
    }
    for row, picture in enumerate(pictures):
        for column, found in enumerate(detect(picture)[:MOST_DETECTIONS]):
            observations["classes"][row, column] = SHAPES.index(found.label)
            observations["colours"][row, column] = _COLOUR_NAMES.index(found.colour)
            observations["scores"][row, column] = found.score
            observations["boxes"][row, column] = found.box
    return observations


def _detections(observation: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """One row of what `observe` returned, as GenEval's rules read it."""
    by_class: dict[str, list[dict[str, Any]]] = defaultdict(list)
    rows = zip(*(observation[name].tolist() for name in ("classes", "colours", "scores", "boxes")), strict=True)
    for label, colour, score, box in rows:
        if label != NOTHING:
            by_class[SHAPES[label]].append({"box": box, "score": score, "color": _COLOUR_NAMES[colour]})
    return by_class
