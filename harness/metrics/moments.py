"""Mean and covariance of features as sums, so that sets of any size stream, merge and split."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
BLOCK = 4096
"""Rows that are added up at once: a memory map is never read as a whole."""


@dataclass(frozen=True)
class Moments:
    """Of n features of width d: how many, their sum (d,) and the sum of their outer products (d, d), float64."""

    count: int
    total: Array
    products: Array

    @classmethod
    def of(cls, features: NDArray[np.floating]) -> Moments:
        """Of features (n, d), a memory map or an array."""
        width = features.shape[1]
        total, products = np.zeros(width), np.zeros((width, width))
        for start in range(0, len(features), BLOCK):
            block = np.asarray(features[start : start + BLOCK], dtype=np.float64)
            total += block.sum(axis=0)
            products += block.T @ block
        return cls(len(features), total, products)

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.count + other.count, self.total + other.total, self.products + other.products)

    def __sub__(self, other: Moments) -> Moments:
        """Of the features without some of them."""
        return Moments(self.count - other.count, self.total - other.total, self.products - other.products)

    @property
    def mean(self) -> Array:
        """(d,)."""
        return self.total / self.count

    @property
    def covariance(self) -> Array:
        """(d, d), unbiased; of at least two features."""
        if self.count < 2:
            raise ValueError(f"a covariance needs at least two features, got {self.count}")
        return (self.products - self.count * np.outer(self.mean, self.mean)) / (self.count - 1)
