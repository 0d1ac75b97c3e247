"""Handwritten digits of a given class, scored in the feature space of a small classifier.

The reference is the 1,437 training images of the recorded split. The floor of each metric is what real images reach
that neither model nor classifier was trained on: the 360 test images, or random subsets of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from harness.errors import UserError
from harness.metrics.coverage import coverage
from harness.metrics.frechet import frechet_distance, frechet_jackknife, gaussian_statistics
from harness.metrics.jackknife import jackknife
from harness.metrics.kernel import kernel_distance
from harness.metrics.precision_recall import precision_recall
from harness.models.digits_classifier import DigitsClassifier, classify, load_classifier
from harness.models.digits_data import CLASSES, LEVELS, PIXELS, digits_split
from harness.task import Document, Metrics, Observations, Request, Sample, SetMetric, Task

Features = NDArray[np.float32]

SMALLEST_SET = 4
FLOOR_SUBSETS = 10


class Digits(Task):
    """Document `i` asks for the digit `i mod 10`."""

    def check(self) -> None:
        """Raise UserError for a count below one, or if the real digits are not the recorded ones."""
        if self.settings["count"] < 1:
            raise UserError(f"task 'digits': count is {self.settings['count']}, but must be at least 1.")
        digits_split()

    def documents(self) -> Sequence[Document]:
        """`count` documents, ids `0000`, `0001`, …"""
        return [Document(f"{index:04d}", {"label": index % CLASSES}) for index in range(self.settings["count"])]

    def request(self, document: Document) -> Request:
        """An image of the class of `document`."""
        return Request(document.id, length=PIXELS, condition={"label": document.data["label"]})

    def observe(self, samples: Sequence[Sample]) -> Observations:
        """What the classifier sees: `features` (n, 32) float32 and `predicted` (n,) int64 labels."""
        tokens = np.array([_image(sample) for sample in samples], dtype=np.int64).reshape(-1, PIXELS)
        features, predicted = classify(_classifier(), torch.from_numpy(tokens))
        return {"features": features.numpy(), "predicted": predicted.numpy()}

    def score(self, sample: Sample, observation: Mapping[str, Any]) -> Metrics:
        """Whether the classifier sees the class that was asked for."""
        return {"class_accuracy": bool(observation["predicted"] == sample.document.data["label"])}

    def aggregate(self, samples: Sequence[Sample], observations: Observations) -> dict[str, SetMetric]:
        """Distances of the set to the training images; none for a set of fewer than four."""
        features = observations["features"]
        if len(features) < SMALLEST_SET:
            return {}
        return {key: replace(measure(features), floor=_floor(key, len(features))) for key, measure in MEASURES.items()}


def _image(sample: Sample) -> tuple[int, ...]:
    tokens = sample.output.tokens
    if len(tokens) != PIXELS or not all(0 <= token < LEVELS for token in tokens):
        raise UserError(
            f"document {sample.document.id!r}, sample {sample.index}: not an image of {PIXELS} grey levels from 0 to "
            f"{LEVELS - 1}, but {len(tokens)} tokens{f' up to {max(tokens)}' if tokens else ''}."
        )
    return tokens


@cache
def _classifier() -> DigitsClassifier:
    return load_classifier()


@cache
def _real_features() -> tuple[Features, Features]:
    """Features of the training and of the test images."""
    split = digits_split()
    train, test = (
        classify(_classifier(), torch.from_numpy(images))[0].numpy()
        for images in (split.train_images, split.test_images)
    )
    return train, test


@cache
def _reference() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and covariance of the training images' features."""
    return gaussian_statistics(_real_features()[0])


def _frechet(features: Features) -> SetMetric:
    mean, covariance = _reference()
    distance = frechet_distance(mean, covariance, *gaussian_statistics(features))
    return jackknife(distance, frechet_jackknife(features, mean, covariance))


def _kernel(features: Features) -> SetMetric:
    return SetMetric(*kernel_distance(_real_features()[0], features))


def _coverage(features: Features) -> SetMetric:
    return SetMetric(*coverage(_real_features()[0], features))


def _precision(features: Features) -> SetMetric:
    return SetMetric(*precision_recall(_real_features()[0], features)[0])


def _recall(features: Features) -> SetMetric:
    return SetMetric(*precision_recall(_real_features()[0], features)[1])


MEASURES: dict[str, Callable[[Features], SetMetric]] = {
    "fid_digits": _frechet,
    "kid_digits": _kernel,
    "coverage": _coverage,
    "precision": _precision,
    "recall": _recall,
}
"""What is measured of the features (n, 32) of generated images."""


@cache
def _floor(key: str, count: int) -> float:
    """Mean over random sets of `count` test images. There are 360: beyond, the floor stays what these reach."""
    _, real = _real_features()
    if count >= len(real):
        return MEASURES[key](real).value
    rng = np.random.default_rng(0)
    subsets = [rng.choice(len(real), count, replace=False) for _ in range(FLOOR_SUBSETS)]
    return float(np.mean([MEASURES[key](real[subset]).value for subset in subsets]))
