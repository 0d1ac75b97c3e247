"""Which of GenEval's ten colours an object has, by CLIP, as the official code asks it.

The object is cut out along its box with everything around it grey; it has the colour whose three sentences, averaged,
are nearest to it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from harness.metrics.clip import Clip, Embeddings
from harness.metrics.geneval import COLOURS

GREY = 0x99


class ColourNamer:
    """Colours of objects, by a `Clip`."""

    def __init__(self, clip: Clip) -> None:
        self._clip = clip
        self._classes: dict[str, Embeddings] = {}

    def name(
        self,
        picture: NDArray[np.uint8],
        label: str,
        boxes: NDArray[np.float32],
        masks: NDArray[np.bool_],
    ) -> NDArray[np.int64]:
        """(n,) places in COLOURS of objects of one class: boxes (n, 4), masks (n, H, W) in a picture (H, W, 3)."""
        cut = [cut_out(picture, box, mask) for box, mask in zip(boxes, masks, strict=True)]
        nearness: Embeddings = self._clip.pictures(cut) @ self._colours(label).T
        places: NDArray[np.int64] = nearness.argmax(axis=1)
        return places

    def _colours(self, label: str) -> Embeddings:
        """(10, d) directions of the colours of a class."""
        if label not in self._classes:
            texts = [sentence for colour in COLOURS for sentence in sentences(colour, label)]
            means = self._clip.texts(texts).reshape(len(COLOURS), 3, -1).mean(axis=1)
            self._classes[label] = means / np.linalg.norm(means, axis=1, keepdims=True)
        return self._classes[label]


def sentences(colour: str, label: str) -> Sequence[str]:
    """GenEval's three sentences about an object of a colour."""
    return (f"a photo of a {colour} {label}", f"a photo of a {colour}-colored {label}", f"a photo of a {colour} object")


def cut_out(picture: NDArray[np.uint8], box: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The part of a picture within a box, grey outside of the mask."""
    x0, y0, x1, y1 = (round(float(side)) for side in box)
    return np.where(mask[..., None], picture, np.uint8(GREY))[y0:y1, x0:x1]
