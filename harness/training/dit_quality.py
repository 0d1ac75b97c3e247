"""How good the samples of a digits DiT are, and how much its encoder knows of what it does not see."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harness.engine.engine import Engine
from harness.engine.generator import Job
from harness.metrics.coverage import coverage
from harness.metrics.frechet import frechet_distance, gaussian_statistics
from harness.models.digits_classifier import classify, load_classifier
from harness.models.digits_data import CLASSES, GRID, digits_split
from harness.models.digits_dit import DigitsDiT, scaled
from harness.samplers import samplers
from harness.samplers.edm import Heun
from harness.spec import Decoding
from harness.task import Request
from harness.training.digits import VALIDATION

SAMPLES, STEPS = 360, 9
FITTED = 1437 - VALIDATION
LEVELS = (0.1, 0.3, 0.6, 1.0, 2.0)
"""Deviations of the noise at which the encoder is probed; that of images is 0.5."""
PENALTIES = tuple(10.0**power for power in range(-4, 3))
"""Of the probe, as shares of the mean variance of what it sees."""


class Quality:
    """Measures on digits."""

    def __init__(self) -> None:
        split = digits_split()
        self.classifier = load_classifier()
        self.real = classify(self.classifier, torch.from_numpy(split.train_images))[0].numpy()
        self.images = torch.from_numpy(np.concatenate([split.train_images, split.test_images]))

    def samples(self, dit: Any) -> dict[str, float]:
        """Of 360 samples by 9 steps of Heun (17 forwards), with the same random numbers at each call."""
        info, decoding = samplers["heun"].info, Decoding()
        requests = [Request(f"{i:04d}", condition={"label": i % CLASSES}) for i in range(SAMPLES)]
        jobs = [Job("", request, 0, Heun(), info, decoding, STEPS, 0) for request in requests]
        made = {one.job.request.document: one.output.tokens for one in Engine(DigitsDiT(dit), SAMPLES).generate(jobs)}
        features, predicted = classify(self.classifier, torch.tensor([made[each.document] for each in requests]))
        asked = torch.tensor([request.condition["label"] for request in requests])
        return {
            "frechet_distance": frechet_distance(
                *gaussian_statistics(self.real), *gaussian_statistics(features.numpy())
            ),
            "class_accuracy": float((predicted == asked).double().mean()),
            "coverage": coverage(self.real, features.numpy())[0],
        }

    def known(self, dit: Any) -> dict[str, float]:
        """For each level of noise, the share of the variance of hidden clean patches that a linear probe predicts from
        the encoder's features of the noisy patches it sees: every other one, as on a chessboard, without a label.

        In the manner of the paper's figure 1, which shows the mutual information of masked and unmasked patches at each
        noise variance [reconstructed].
        """
        return {f"known_{level:g}": self._probe(level, dit) for level in LEVELS}

    def known_of_pixels(self, patch: int) -> dict[str, float]:
        """The same of the noisy patches themselves instead of features, and, at level 0, of clean ones."""
        return {f"pixels_{level:g}": self._probe(level, patch=patch) for level in (0.0, *LEVELS)}

    @torch.inference_mode()
    def _probe(self, level: float, dit: Any = None, patch: int = 0) -> float:
        patch = dit.config.patch if dit else patch
        side = GRID[0] // patch
        place = torch.arange(side**2)
        seen = (place // side + place) % 2 == 0
        clean = scaled(self.images, patch)
        noisy = clean + level * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))
        features = _features(dit, noisy[:, seen], level, place[seen]) if dit else noisy[:, seen]
        return _explained(features.flatten(1).double().cpu(), clean[:, ~seen].flatten(1).double())


def _features(dit: Any, noisy: Tensor, level: float, places: Tensor) -> Tensor:
    device = dit.patch.weight.device
    sigma = torch.full((len(noisy),), level, device=device)
    condition = dit.condition(sigma, torch.full((len(noisy),), dit.config.null_class, device=device))
    features: Tensor = dit.encode(noisy.to(device), sigma, condition, places.expand(len(noisy), -1).to(device))
    return features


def _explained(seen: Tensor, hidden: Tensor) -> float:
    """Share of the variance of `hidden` (N, m) that a ridge regression on `seen` (N, d) explains on test images; it is
    fitted to training images, with the penalty that is best on validation images."""
    fit, choose, test = (slice(*ends) for ends in pairwise((0, FITTED, FITTED + VALIDATION, len(seen))))
    seen, hidden = seen - seen[fit].mean(0), hidden - hidden[fit].mean(0)
    values, vectors = torch.linalg.eigh(seen[fit].T @ seen[fit])
    target = vectors.T @ (seen[fit].T @ hidden[fit])

    def explained(part: slice, penalty: float) -> float:
        weights = vectors @ (target / (values + penalty * values.mean())[:, None])
        return float(1 - ((hidden[part] - seen[part] @ weights) ** 2).sum() / (hidden[part] ** 2).sum())

    return explained(test, max(PENALTIES, key=lambda penalty: explained(choose, penalty)))
