"""scikit-learn's 1,797 handwritten digits as tokens, with one fixed split into training and test images.

8x8 pixels of 17 grey levels, copied from the test part of the UCI set "Optical Recognition of Handwritten Digits"
(Alpaydin & Kaynak 1998); they come with scikit-learn, so nothing is downloaded.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from harness.errors import UserError

GRID = (8, 8)
PIXELS = 64
LEVELS = 17
CLASSES = 10
SPLIT_HASH = "28d636f2f47ec885"


@dataclass(frozen=True)
class DigitsSplit:
    """Images (N, 64) int64 of grey levels 0 … 16 in row-major order, and labels (N,) int64."""

    train_images: NDArray[np.int64]
    train_labels: NDArray[np.int64]
    test_images: NDArray[np.int64]
    test_labels: NDArray[np.int64]


@lru_cache(maxsize=1)
def digits_split() -> DigitsSplit:
    """The 1,437 training and 360 test images, stratified by label; UserError if they are not the recorded ones."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    parts = train_test_split(
        images.astype(np.int64), labels.astype(np.int64), test_size=360, stratify=labels, random_state=0
    )
    train_images, test_images, train_labels, test_labels = parts
    split = DigitsSplit(train_images, train_labels, test_images, test_labels)
    found = split_hash(split)
    if found != SPLIT_HASH:
        raise UserError(
            f"scikit-learn's digits are not the images this project was built on: their split hashes to {found} "
            f"instead of {SPLIT_HASH}. Reinstall scikit-learn (1.9 gives the recorded split)."
        )
    return split


def split_hash(split: DigitsSplit) -> str:
    """First 16 hex digits of the SHA-256 of images and labels, training then test."""
    digest = hashlib.sha256()
    for part in (split.train_images, split.train_labels, split.test_images, split.test_labels):
        digest.update(np.ascontiguousarray(part, dtype="<u1").tobytes())
    return digest.hexdigest()[:16]
