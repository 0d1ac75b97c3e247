"""What Di[M]O asks of the models that it distils: conditions, and how good pictures made for them are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.errors import UserError, did_you_mean
from harness.metrics.coverage import coverage
from harness.metrics.frechet import frechet_distance, gaussian_statistics
from harness.metrics.geneval import judge
from harness.metrics.precision_recall import precision_recall
from harness.metrics.shape_detector import detect
from harness.miniworld import captions, scenes
from harness.miniworld.vocabulary import FIRST_CODE
from harness.models.digits import DigitsDenoiser, digits
from harness.models.digits_classifier import classify, load_classifier
from harness.models.digits_data import CLASSES, LEVELS, PIXELS, digits_split
from harness.models.mini.contrastive import load_contrastive, picture_features
from harness.models.mini.denoiser import MiniDenoiser, mini
from harness.models.start import Start
from harness.task import Request

Features = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Teacher:
    """A model with its start as a student.

    conditions  of examples, by their numbers (B,) int64; each depends on its own number alone
    request     of a condition
    measure     of conditions and the tokens (N, holes) made for them: named numbers, `frechet_distance` among them
    """

    denoiser: DigitsDenoiser | MiniDenoiser
    start: Start
    conditions: Callable[[Tensor], Sequence[Any]]
    request: Callable[[Any], Request]
    measure: Callable[[Sequence[Any], Tensor], dict[str, float]]


def teacher(name: str, weights: str, start: Mapping[str, float], device: str) -> Teacher:
    """The teacher `name`, with shipped weights or with those at a path, and a start of its student."""
    makers = {"digits": _digits, "mini": _mini}
    if name not in makers:
        raise UserError(f"recipe: objective.teacher = {name!r}.{did_you_mean(name, makers)}")
    return makers[name](weights or name, start, device)


def _digits(weights: str, start: Mapping[str, float], device: str) -> Teacher:
    """Classes, all equally likely; real images are the training images."""
    split, classifier = digits_split(), load_classifier()
    real = classify(classifier, torch.from_numpy(split.train_images))[0].numpy()

    def measure(labels: Sequence[int], tokens: Tensor) -> dict[str, float]:
        features, predicted = classify(classifier, tokens)
        shares = torch.bincount(predicted, minlength=CLASSES).double() / len(predicted)
        return {
            **likeness(real, features.numpy()),
            "class_accuracy": float((predicted == torch.tensor(labels)).double().mean()),
            "class_entropy": float(torch.special.entr(shares).sum()),
            "unique": unique(tokens),
        }

    begin = Start(start["mask_ratio"], start["perturbation"], 0, LEVELS)
    denoiser = DigitsDenoiser(digits(weights=weights, device=device).network, begin)
    return Teacher(
        denoiser,
        begin,
        lambda examples: (examples % CLASSES).tolist(),
        lambda label: Request("", length=PIXELS, condition={"label": label}),
        measure,
    )


def _mini(weights: str, start: Mapping[str, float], device: str) -> Teacher:
    """Prompts for pictures, none of them held out; real pictures are random scenes of the same prompts."""
    towers = load_contrastive()

    def prompts(examples: Tensor) -> list[captions.Metadata]:
        return [captions.training_prompt(np.random.default_rng(each)) for each in examples.tolist()]

    def measure(asked: Sequence[captions.Metadata], tokens: Tensor) -> dict[str, float]:
        rng = np.random.default_rng(0)
        real = np.stack([scenes.render(captions.scene_for(each, rng)) for each in asked])
        made = np.stack([scenes.pixels(codes) for codes in (tokens - FIRST_CODE).numpy()])
        right = [correct(each, picture) for each, picture in zip(asked, made, strict=True)]
        return {
            **likeness(picture_features(towers, real), picture_features(towers, made)),
            "correct": float(np.mean(right)),
            "unique": unique(tokens),
        }

    begin = Start(start["mask_ratio"], start["perturbation"], FIRST_CODE, scenes.CODES)
    denoiser = MiniDenoiser(mini(weights=weights, device=device).network, begin)
    return Teacher(denoiser, begin, prompts, lambda metadata: Request("", prompt=metadata["prompt"]), measure)


def likeness(real: Features, made: Features) -> dict[str, float]:
    """Fréchet distance, precision, recall and coverage of features."""
    (precision, _), (recall, _) = precision_recall(real, made)
    distance = frechet_distance(*gaussian_statistics(real), *gaussian_statistics(made))
    covered, _ = coverage(real, made)
    return {"frechet_distance": distance, "precision": precision, "recall": recall, "coverage": covered}


def unique(tokens: Tensor) -> float:
    """The share of samples (N, L) that differ from all before them."""
    return len(torch.unique(tokens, dim=0)) / len(tokens)


def correct(metadata: captions.Metadata, picture: NDArray[np.uint8]) -> bool:
    """GenEval's verdict on a picture."""
    found: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for thing in detect(picture):
        found[thing.label].append({"box": thing.box, "score": thing.score, "color": thing.colour})
    return judge(metadata, found).correct
