"""A small pair of towers in the way of CLIP (Radford et al. 2021), which say how well a picture fits a caption.

It was made by `run_eval.py train mini_contrastive`; `weights/mini_contrastive.md` says how good it is, and at what.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from harness.errors import UserError, did_you_mean
from harness.miniworld.captions import WORDS
from harness.miniworld.scenes import COLOURS, GRID, PATCH, SHAPES, SIZE, Scene
from harness.models.transformer import Block, TransformerConfig
from harness.models.weights_file import filled

Embeddings = NDArray[np.float32]

LONGEST = 10
"""Words of the longest caption; later positions have never been trained."""
DESCRIPTION = len(COLOURS) + 3 * len(SHAPES) + 1
BATCH = 256
"""Pictures or texts that go through a tower at once."""

_IDS = {word: index for index, word in enumerate(WORDS)}
_PADDING = len(WORDS)


@dataclass(frozen=True)
class ContrastiveConfig:
    """Sizes of `Towers`.

    channels  of the convolutions
    width, depth, heads  of the transformer over words
    features  of a picture, before the projection
    size      of the space that pictures and texts share
    """

    channels: int = 64
    width: int = 64
    depth: int = 2
    heads: int = 4
    features: int = 64
    size: int = 64


class Towers(nn.Module):
    """Picture tower, text tower, the logarithm of the factor that turns cosines into logits, and a description.

    Two towers alone do not learn relations: while neither tells them, the other has nothing to agree with. So the
    features of a picture are also trained to give linearly what is where, which then teaches the texts, and how many
    patches are wrong, which no caption would make them see.
    """

    def __init__(self, config: ContrastiveConfig) -> None:
        super().__init__()
        self.picture = PictureTower(config)
        self.text = TextTower(config)
        self.log_scale = nn.Parameter(torch.tensor(1 / 0.07).log())
        self.describe = nn.Linear(config.features, DESCRIPTION)
        self.apply(_initialise)

    def forward(self, pixels: Tensor, words: Tensor) -> tuple[Tensor, Tensor]:
        """Of pictures (N, 64, 64, 3) uint8 and texts (M, L) int64 of `word_ids`.

        (N, M) logits of pictures against texts, and (N, DESCRIPTION) estimates of what `description` gives.
        """
        scale = self.log_scale.clamp(max=np.log(100)).exp()
        features = self.picture.features(pixels)
        logits = scale * self.picture.embed(features) @ self.text(words).T
        return logits, self.describe(features)


class PictureTower(nn.Module):
    """Patches, then windows of two by two patches, summed over the picture, and a head.

    The sums are plain, which can count, and weighted by the row and by the column of the window, which tell where.
    """

    weights: Tensor

    def __init__(self, config: ContrastiveConfig) -> None:
        super().__init__()
        width = config.channels
        self.windows = nn.Sequential(
            nn.Conv2d(3, width // 2, PATCH // 2, stride=PATCH // 2),
            nn.GELU(),
            nn.Conv2d(width // 2, width, 2, stride=2),
            nn.GELU(),
            nn.Conv2d(width, width, 2),
            nn.GELU(),
            nn.Conv2d(width, width, 1),
            nn.GELU(),
        )
        self.register_buffer("weights", _weights(GRID - 1), persistent=False)
        self.head = nn.Sequential(
            nn.Linear(3 * width, 2 * width),
            nn.GELU(),
            nn.Linear(2 * width, config.features),
            nn.LayerNorm(config.features, elementwise_affine=False),
        )
        self.project = nn.Linear(config.features, config.size, bias=False)

    def features(self, pixels: Tensor) -> Tensor:
        """(N, features) float32 of pictures (N, 64, 64, 3) uint8."""
        x = pixels.permute(0, 3, 1, 2).float() / 127.5 - 1
        sums = torch.einsum("nchw,khw->nck", self.windows(x), self.weights)
        features: Tensor = self.head(sums.flatten(1))
        return features

    def embed(self, features: Tensor) -> Tensor:
        """(N, size) unit vectors of features (N, features)."""
        return F.normalize(self.project(features), dim=-1)

    def forward(self, pixels: Tensor) -> Tensor:
        """(N, size) unit vectors of pictures (N, 64, 64, 3) uint8."""
        return self.embed(self.features(pixels))


class TextTower(nn.Module):
    """A small transformer over words and their positions; the mean over the words is projected."""

    def __init__(self, config: ContrastiveConfig) -> None:
        super().__init__()
        sizes = TransformerConfig(_PADDING, LONGEST, 0, config.width, config.depth, config.heads)
        self.word = nn.Embedding(_PADDING + 1, config.width)
        self.position = nn.Embedding(LONGEST, config.width)
        self.blocks = nn.ModuleList(Block(sizes) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width)
        self.project = nn.Linear(config.width, config.size, bias=False)

    def forward(self, words: Tensor) -> Tensor:
        """(M, size) unit vectors of texts (M, L) int64 of `word_ids`."""
        valid = words != _PADDING
        x = self.word(words) + self.position.weight[: words.shape[1]]
        for block in self.blocks:
            x = block(x, valid[:, None, None, :])
        mean = (self.norm(x) * valid[..., None]).sum(dim=1) / valid.sum(dim=1, keepdim=True)
        return F.normalize(self.project(mean), dim=-1)


def _weights(side: int) -> Tensor:
    """(3, side, side): one, the row and the column, the last two from −1 to 1; small enough for sums of unit scale."""
    ramp = torch.linspace(-1, 1, side).expand(side, side)
    return torch.stack([torch.ones(side, side), ramp.T, ramp]) / side


def _initialise(module: nn.Module) -> None:
    """Products of unit scale, so that small differences between texts get through."""
    if isinstance(module, nn.Embedding):
        nn.init.normal_(module.weight, std=0.3)
    elif isinstance(module, nn.Linear | nn.Conv2d):
        nn.init.normal_(module.weight, std=module.weight[0].numel() ** -0.5)


def load_contrastive(weights: str = "mini_contrastive") -> Towers:
    """The shipped towers (or those at a path) in evaluation mode on the CPU."""
    return filled(weights, ContrastiveConfig, Towers)


def embed_pictures(model: Towers, pixels: NDArray[np.uint8]) -> Embeddings:
    """(N, 64) float32 unit vectors of pictures (N, 64, 64, 3) uint8 RGB."""
    return _in_batches(model.picture, _pictures(pixels))


def picture_features(model: Towers, pixels: NDArray[np.uint8]) -> Embeddings:
    """(N, 64) float32 features before the projection, for Fréchet distances, of pictures (N, 64, 64, 3) uint8 RGB."""
    return _in_batches(model.picture.features, _pictures(pixels))


def embed_texts(model: Towers, texts: Sequence[str]) -> Embeddings:
    """(N, 64) float32 unit vectors of captions; UserError for a text with words that no caption has."""
    return _in_batches(model.text, word_ids(texts))


def word_ids(texts: Sequence[str]) -> Tensor:
    """(N, 10) int64 ids of the words of each text, then padding; UserError for an unknown word or a wrong length."""
    ids = torch.full((len(texts), LONGEST), _PADDING)
    for row, text in zip(ids, texts, strict=True):
        words = text.lower().split()
        unknown = next((word for word in words if word not in _IDS), None)
        if unknown is not None:
            raise UserError(
                f"caption {text!r}: the contrastive model knows the {len(WORDS)} words of the small world's captions, "
                f"and {unknown!r} is none of them.{did_you_mean(unknown, WORDS)}"
            )
        if not 1 <= len(words) <= LONGEST:
            raise UserError(f"caption {text!r}: must have one to {LONGEST} words, found {len(words)}.")
        row[: len(words)] = torch.tensor([_IDS[word] for word in words])
    return ids


def description(scene: Scene) -> NDArray[np.float32]:
    """(DESCRIPTION,) what is where: number of each colour; of each shape number, and sums of rows and of columns.

    The last says how much is wrong in a picture, which is nothing in that of a scene.
    """
    colours = np.zeros(len(COLOURS), dtype=np.float32)
    shapes = np.zeros((len(SHAPES), 3), dtype=np.float32)
    centre = (GRID - 2) / 2
    for thing in scene:
        colours[list(COLOURS).index(thing.colour)] += 1
        shapes[SHAPES.index(thing.shape)] += 1, thing.row / centre - 1, thing.column / centre - 1
    return np.concatenate([colours, shapes.reshape(-1), np.zeros(1, dtype=np.float32)])


def _pictures(pixels: NDArray[np.uint8]) -> Tensor:
    if pixels.shape[1:] != (SIZE, SIZE, 3) or pixels.dtype != np.uint8:
        raise ValueError(f"pictures must be (N, {SIZE}, {SIZE}, 3) uint8, found {pixels.shape} {pixels.dtype}")
    return torch.from_numpy(pixels)


@torch.inference_mode()
def _in_batches(tower: Callable[[Tensor], Tensor], inputs: Tensor) -> Embeddings:
    found: Embeddings = torch.cat([tower(batch) for batch in torch.split(inputs, BATCH)]).numpy()
    return found
