"""The small classifier of handwritten digits whose features and verdicts score the task `digits`."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from harness.models.digits_data import CLASSES, GRID, LEVELS
from harness.models.weights_file import filled


@dataclass(frozen=True)
class ClassifierConfig:
    """Sizes of a `DigitsClassifier`: channels of its convolutions, number of features, dropout while training."""

    channels: int = 32
    features: int = 32
    dropout: float = 0.0


class DigitsClassifier(nn.Module):
    """Three 3x3 convolutions, one pooling, and a layer of features under the ten logits."""

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__()
        width = config.channels
        self.body = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1),
            nn.GELU(),
            nn.Conv2d(width, 2 * width, 3, padding=1),
            nn.GELU(),
            nn.MaxPool2d(2),
            nn.Conv2d(2 * width, 2 * width, 3, padding=1),
            nn.GELU(),
            nn.Flatten(),
            nn.Dropout(config.dropout),
            nn.Linear(2 * width * GRID[0] * GRID[1] // 4, config.features),
            # Features of one scale: the kernel of KID is not invariant to it.
            nn.LayerNorm(config.features, elementwise_affine=False),
        )
        self.head = nn.Linear(config.features, CLASSES)

    def features(self, tokens: Tensor) -> Tensor:
        """(N, features) float32 of images (N, 64) int64 of grey levels."""
        pixels = tokens.view(-1, 1, *GRID).float() / (LEVELS - 1) * 2 - 1
        features: Tensor = self.body(pixels)
        return features

    def forward(self, tokens: Tensor) -> Tensor:
        """(N, 10) class logits of images (N, 64) int64."""
        logits: Tensor = self.head(self.features(tokens))
        return logits


def load_classifier(weights: str = "digits_classifier") -> DigitsClassifier:
    """The shipped classifier (or one at a path) in evaluation mode on the CPU."""
    return filled(weights, ClassifierConfig, DigitsClassifier)


def classify(network: DigitsClassifier, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """(N, features) float32 features and (N,) int64 predicted labels of images (N, 64) int64."""
    with torch.inference_mode():
        features = network.features(tokens)
        return features, network.head(features).argmax(dim=-1)
