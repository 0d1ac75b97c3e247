"""A text network with an eye."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import torch
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

    def grid(self, height: int, width: int) -> tuple[int, int] | None:
        """(rows, columns) of the features, where each has a position by its row and by its column; None where their
        positions run on like those of a text."""

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
    """Sizes of a `SeeingNetwork`: those of the text network, and those of its `eye`.

    sections  pairs of channels of a head that are rotated by the position in time, by that in height and by that in
              width, where positions have these three (Qwen2-VL's M-RoPE)
    """

    eye: EyeShape = field(kw_only=True)
    sections: tuple[int, int, int] | None = field(default=None, kw_only=True)


class SeeingNetwork(TextNetwork):
    """A `TextNetwork` some of whose input embeddings are the features that its `eye` makes of a picture."""

    def __init__(self, shape: SeeingShape) -> None:
        super().__init__(shape)
        self.eye = shape.eye.build()
        self.sections = shape.sections

    def turned(self, x: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Cosine and sine as `rotation` has them, of the `positions` (3, B, L) in time, height and width."""
        assert self.sections is not None
        sections = [*self.sections, *self.sections]
        by_axis = [self.rotation(x, each) for each in positions]

        def mixed(parts: list[Tensor]) -> Tensor:
            split = [torch.split(part, sections, dim=-1) for part in parts]
            return torch.cat([split[i % 3][i] for i in range(6)], dim=-1)

        return mixed([cosine for cosine, _ in by_axis]), mixed([sine for _, sine in by_axis])

    def settle(self, device: str) -> None:
        """As in `TextNetwork`, and the same of the eye."""
        super().settle(device)
        self.eye.settle(device)
