"""The pictures that a model has been asked about, and the features of those it is being asked about."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from torch import Tensor

from harness.models.seeing.network import Eye
from harness.picture import Picture

ROOM = 2**29
"""Bytes of features that are kept beyond those of the running rows: 17 of LLaDA-V's largest in bfloat16."""


class Pictures:
    """Pictures by number, each once, and how large they are.

    They are opened where features are made: when a row needs them, each picture's by itself, so that they do not depend
    on the neighbours. Features are forgotten when there is no room, least recently used first, to be made again.
    """

    def __init__(self, eye: Eye) -> None:
        self._eye = eye
        self._pictures: list[Picture] = []
        self._sizes: list[tuple[int, int]] = []
        self._numbers: dict[Picture, int] = {}
        self._features: OrderedDict[int, Tensor] = OrderedDict()

    def number(self, picture: Picture) -> int:
        """The number of a picture, the same for equal ones; UserError for what is none."""
        if picture not in self._numbers:
            self._sizes.append(picture.size())
            self._numbers[picture] = len(self._pictures)
            self._pictures.append(picture)
        return self._numbers[picture]

    def size(self, number: int) -> tuple[int, int]:
        """(height, width) of a picture."""
        return self._sizes[number]

    def grid(self, number: int) -> tuple[int, int] | None:
        """`Eye.grid` of a picture."""
        return self._eye.grid(*self._sizes[number])

    def features(self, numbers: Iterable[int]) -> dict[int, Tensor]:
        """The features of these pictures, (n, width) each."""
        wanted = dict.fromkeys(numbers)
        for number in wanted:
            if number not in self._features:
                self._features[number] = self._eye(self._pictures[number].pixels())
            self._features.move_to_end(number)
        found = {number: self._features[number] for number in wanted}
        size = sum(features.nbytes for number, features in self._features.items() if number not in wanted)
        while size > ROOM:
            size -= self._features.popitem(last=False)[1].nbytes
        return found
