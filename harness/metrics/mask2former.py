"""Objects in pictures, found by a Mask2Former of transformers that was trained on COCO's instances.

Cheng et al. 2022, Masked-attention Mask Transformer for Universal Image Segmentation, arXiv:2112.01527. From logits to
objects as its authors and mmdetection go, where a mask is cut out at the picture's own size (transformers does so at
384 pixels). The network is run at the size that its checkpoint's preprocessor says.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from harness.errors import UserError
from harness.metrics import pretrained
from harness.metrics.coco import CLASSES

MOST = 100
"""Objects of a picture, as in mmdetection."""
LEAST_SCORE = 0.05
"""Objects below it are not told; GenEval keeps those above 0.3."""
_WHAT = "the detector"


class Found(NamedTuple):
    """The objects of a picture, best first.

    labels  (n,) int64, of COCO's 80 classes
    scores  (n,) float32: probability of the class, times how sure the mask is within itself
    boxes   (n, 4) float32 x0, y0, x1, y1 in pixels: the first column and row of the mask, and those after its last
    masks   (n, H, W) bool
    """

    labels: NDArray[np.int64]
    scores: NDArray[np.float32]
    boxes: NDArray[np.float32]
    masks: NDArray[np.bool_]


class InstanceDetector:
    """The detector by the folder or hub name of its checkpoint; `at_once` pictures of one size make a batch."""

    def __init__(self, name: str, at_once: int = 8) -> None:
        self.name, self.at_once = name, at_once

    def check(self) -> None:
        """Raise UserError where the checkpoint cannot be had, or is none of COCO's instances."""
        pretrained.check(self.name, _WHAT, "AutoConfig", "AutoImageProcessor")
        named = pretrained.load("AutoConfig", self.name, _WHAT).id2label
        labels = [named[place] for place in sorted(named)]
        if len(labels) != len(CLASSES) or (labels[0], labels[-1]) != (CLASSES[0], CLASSES[-1]):
            raise UserError(
                f"{_WHAT} {self.name!r} knows {len(labels)} classes, from {labels[0]!r} to {labels[-1]!r}; "
                f"the {len(CLASSES)} of COCO are needed, from {CLASSES[0]!r} to {CLASSES[-1]!r}."
            )

    @cached_property
    def _processor(self) -> Any:
        return pretrained.load("AutoImageProcessor", self.name, _WHAT)

    @cached_property
    def _network(self) -> Any:
        return pretrained.load_network("Mask2FormerForUniversalSegmentation", self.name, _WHAT)

    def detect(self, pictures: Sequence[NDArray[np.uint8]]) -> Iterator[Found]:
        """What is in each picture, (H, W, 3) RGB, in their order; a batch's pictures are next to each other."""
        for _, same in groupby(pictures, key=lambda picture: picture.shape):
            group = list(same)
            for start in range(0, len(group), self.at_once):
                yield from self._batch(group[start : start + self.at_once])

    @torch.inference_mode()
    def _batch(self, pictures: Sequence[NDArray[np.uint8]]) -> Iterator[Found]:
        inputs = self._processor(images=list(pictures), return_tensors="pt")
        seen = inputs["pixel_values"].to(self._network.device)  # of one size, so without padding
        out = self._network(pixel_values=seen)
        for logits, masks in zip(out.class_queries_logits, out.masks_queries_logits, strict=True):
            full = interpolate(masks[None], size=seen.shape[-2:], mode="bilinear")[0]
            yield objects(logits, full, pictures[0].shape[:2])


def objects(logits: Tensor, masks: Tensor, size: Sequence[int]) -> Found:
    """The objects of a picture of `size` H, W from class logits (Q, C + 1) and mask logits (Q, h, w) of Q queries."""
    chances = logits.softmax(-1)[:, :-1]
    best, place = chances.flatten().topk(min(MOST, chances.numel()))
    place, best = place[best > LEAST_SCORE], best[best > LEAST_SCORE]  # a mask can only take from the score
    query, label = place // chances.shape[1], place % chances.shape[1]
    drawn, place = torch.unique(query, return_inverse=True)
    # Each mask as a picture of its own, since there may be none.
    cut = interpolate(masks[drawn, None], size=tuple(size), mode="bilinear")[place, 0]
    inside = cut > 0
    sure = (cut.sigmoid() * inside).sum((1, 2)) / (inside.sum((1, 2)) + 1e-6)
    scores = best * sure
    order = scores.argsort(descending=True, stable=True)
    order = order[scores[order] > LEAST_SCORE]
    return Found(
        label[order].cpu().numpy(),
        scores[order].cpu().numpy(),
        _boxes(inside[order]).cpu().numpy(),
        inside[order].cpu().numpy(),
    )


def _boxes(masks: Tensor) -> Tensor:
    """(n, 4) float32 boxes around masks (n, H, W) that are not empty."""
    if len(masks) == 0:
        return torch.zeros(0, 4)
    sides = []
    for axis in (1, 2):  # over rows: which columns are taken
        taken = masks.any(axis).int()
        sides.append((taken.argmax(1), taken.shape[1] - taken.flip(1).argmax(1)))
    (x0, x1), (y0, y1) = sides
    return torch.stack([x0, y0, x1, y1], dim=1).float()
