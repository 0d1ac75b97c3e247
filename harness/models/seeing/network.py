"""A text network with an eye."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from torch import Tensor

from harness.models.text.network import Shape, TextNetwork

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Eye(Protocol):
    """What turns a picture (H, W, 3) uint8 into features; an `nn.Module`."""

    def __call__(self, picture: NDArray[np.uint8]) -> Tensor:
        """(n, width of the text network) features, a function of this picture alone."""

    def count(self, height: int, width: int) -> int:
        """n, for a picture of so many pixels."""

    def flops(self, height: int, width: int) -> float:
        """FLOPs of one call."""

    def settle(self, device: str) -> None:
        """Put what is no weight on `device`."""


class EyeShape(Protocol):
    """Sizes of an eye."""

    def build(self) -> Eye:
        """The eye of these sizes."""


@dataclass(frozen=True)
class SeeingShape(Shape):
    """Sizes of a `SeeingNetwork`: those of the text network, and those of its `eye`."""

    eye: EyeShape = field(kw_only=True)


class SeeingNetwork(TextNetwork):
    """A `TextNetwork` some of whose input embeddings are the features that its `eye` makes of a picture."""

    def __init__(self, shape: SeeingShape) -> None:
        super().__init__(shape)
        self.eye = shape.eye.build()

    def settle(self, device: str) -> None:
        """As in `TextNetwork`, and the same of the eye."""
        super().settle(device)
        self.eye.settle(device)
