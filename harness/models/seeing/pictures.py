"""The pictures that a model has been asked about, and the features of those it is being asked about."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from hashlib import sha256
from typing import TYPE_CHECKING

from torch import Tensor

from harness.models.seeing.network import Eye

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ROOM = 2**29
"""Bytes of features that are kept beyond those of the running rows: 17 of LLaDA-V's largest in bfloat16."""


class Pictures:
    """Pictures by number, each once. They are those of the requests, which hold them anyway, and no copies.

    Features are made when a row needs them, each picture's by itself, so that they do not depend on the neighbours; and
    forgotten when there is no room, least recently used first, to be made again.
    """

    def __init__(self, eye: Eye) -> None:
        self._eye = eye
        self._pictures: list[NDArray[np.uint8]] = []
        self._numbers: dict[tuple[object, ...], int] = {}
        self._features: OrderedDict[int, Tensor] = OrderedDict()

    def number(self, picture: NDArray[np.uint8]) -> int:
        """The number of a picture, the same for equal ones."""
        key = (picture.shape, sha256(picture.tobytes()).digest())
        if key not in self._numbers:
            self._numbers[key] = len(self._pictures)
            self._pictures.append(picture)
        return self._numbers[key]

    def grid(self, number: int) -> tuple[int, int] | None:
        """`Eye.grid` of a picture."""
        return self._eye.grid(*self._pictures[number].shape[:2])

    def features(self, numbers: Iterable[int]) -> dict[int, Tensor]:
        """The features of these pictures, (n, width) each."""
        wanted = dict.fromkeys(numbers)
        for number in wanted:
            if number not in self._features:
                self._features[number] = self._eye(self._pictures[number])
            self._features.move_to_end(number)
        found = {number: self._features[number] for number in wanted}
        size = sum(features.nbytes for number, features in self._features.items() if number not in wanted)
        while size > ROOM:
            size -= self._features.popitem(last=False)[1].nbytes
        return found
