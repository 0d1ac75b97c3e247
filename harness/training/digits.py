"""The two trainings on scikit-learn's digits: the masked diffusion model, and the classifier that scores it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from harness.models.digits_classifier import ClassifierConfig, DigitsClassifier
from harness.models.digits_data import CLASSES, GRID, LEVELS, PIXELS, digits_split
from harness.models.transformer import Transformer, TransformerConfig
from harness.spec import Scalar
from harness.training.objective import Predict, masked_cross_entropy, negative_elbo
from harness.training.problem import Problem, fill

VALIDATION = 137
"""The last of the 1,437 training images (whose order is random) are held out of the training, for validation."""


@dataclass(frozen=True)
class Images:
    """Images (N, 64) int64 and labels (N,) int64."""

    tokens: Tensor
    labels: Tensor


def images(device: str) -> tuple[Images, Images, Images]:
    """Training, validation and test images."""
    split = digits_split()
    tokens = torch.from_numpy(split.train_images).to(device)
    labels = torch.from_numpy(split.train_labels).to(device)
    test = Images(torch.from_numpy(split.test_images).to(device), torch.from_numpy(split.test_labels).to(device))
    return (
        Images(tokens[:-VALIDATION], labels[:-VALIDATION]),
        Images(tokens[-VALIDATION:], labels[-VALIDATION:]),
        test,
    )


def shift(tokens: Tensor, reach: int) -> Tensor:
    """Images (B, 64) moved by up to `reach` pixels along both axes, each by its own draw, blank where nothing was."""
    height, width = GRID
    padded = F.pad(tokens.view(-1, height, width), (reach, reach, reach, reach))
    row = torch.randint(0, 2 * reach + 1, (len(tokens), 1, 1), device=tokens.device)
    column = torch.randint(0, 2 * reach + 1, (len(tokens), 1, 1), device=tokens.device)
    rows = row + torch.arange(height, device=tokens.device)[:, None]
    columns = column + torch.arange(width, device=tokens.device)
    each = torch.arange(len(tokens), device=tokens.device)[:, None, None]
    return padded[each, rows, columns].flatten(1)


@dataclass(frozen=True)
class Diffusion:
    """Objective of `digits`: share of rows whose label is dropped, so that the model also learns without."""

    class_dropout: float = 0.1


def diffusion(network: Mapping[str, Scalar], objective: Mapping[str, Scalar], device: str) -> Problem:
    """Class-conditional masked diffusion; validated and reported by the bound in nats per image."""
    sizes = {"vocab_size": LEVELS, "length": PIXELS, "classes": CLASSES}
    config = fill(TransformerConfig, "network", {**sizes, **network})
    settings = fill(Diffusion, "objective", objective)
    train, validation, test = images(device)
    positions = torch.arange(PIXELS, device=device)

    def predictor(model: nn.Module) -> Predict:
        def predict(tokens: Tensor, labels: Tensor) -> Tensor:
            logits: Tensor = model(
                tokens, positions.expand_as(tokens), labels, torch.ones_like(tokens, dtype=torch.bool)
            )
            return logits

        return predict

    def loss(model: nn.Module, batch: Tensor, progress: float) -> Tensor:
        labels = train.labels[batch]
        dropped = torch.rand(labels.shape, device=device) < settings.class_dropout
        labels = torch.where(dropped, config.null_class, labels)
        return masked_cross_entropy(predictor(model), train.tokens[batch], labels, config.mask_id)

    def bound(model: nn.Module, data: Images, orders: int, labels: Tensor | None = None) -> float:
        labels = data.labels if labels is None else labels
        return float(negative_elbo(predictor(model), data.tokens, labels, config.mask_id, orders=orders).mean())

    def report(model: nn.Module) -> dict[str, float]:
        conditional = bound(model, test, 16)
        return {
            "nats_per_image": conditional,
            "bits_per_pixel": conditional / PIXELS / math.log(2),
            "nats_per_image_unconditional": bound(model, test, 16, torch.full_like(test.labels, config.null_class)),
        }

    return Problem(
        config, Transformer(config), len(train.tokens), loss, lambda model: bound(model, validation, 8), report
    )


@dataclass(frozen=True)
class Classification:
    """Objective of `digits_classifier`: how many pixels a training image may be moved, and label smoothing."""

    shift: int = 1
    label_smoothing: float = 0.0


def classification(network: Mapping[str, Scalar], objective: Mapping[str, Scalar], device: str) -> Problem:
    """The classifier; validated by cross-entropy, reported by accuracy."""
    config = fill(ClassifierConfig, "network", network)
    settings = fill(Classification, "objective", objective)
    train, validation, test = images(device)

    def loss(model: nn.Module, batch: Tensor, progress: float) -> Tensor:
        tokens = shift(train.tokens[batch], settings.shift)
        return F.cross_entropy(model(tokens), train.labels[batch], label_smoothing=settings.label_smoothing)

    @torch.inference_mode()
    def measure(model: nn.Module, data: Images) -> tuple[float, float]:
        logits = model(data.tokens)
        right = (logits.argmax(-1) == data.labels).double().mean()
        return float(F.cross_entropy(logits, data.labels)), float(right)

    def report(model: nn.Module) -> dict[str, float]:
        cross_entropy, accuracy = measure(model, test)
        return {"cross_entropy": cross_entropy, "accuracy": accuracy}

    return Problem(
        config, DigitsClassifier(config), len(train.tokens), loss, lambda model: measure(model, validation)[0], report
    )
