"""A picture as LLaVA-NeXT cuts it ("anyres"): the whole of it at the tower's resolution, and tiles of it at a higher.

Liu et al. 2024, https://llava-vl.github.io/blog/2024-01-30-llava-next; as in ML-GSAI/LLaDA-V 2252769 and
jacklishufan/LaViDa 284ef5c, `llava/mm_utils.py` and `llava/model/llava_arch.py`.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

Resolutions = tuple[tuple[int, int], ...]
_SHRINK = 1.1
"""Features are shrunk where they are more than allowed by this factor in each direction."""


@dataclass(frozen=True)
class Cut:
    """What becomes of a picture's tiles.

    tiles  (rows, columns) of them
    keep   (top, bottom, left, right) of what the picture covers in the grid of features of all tiles; the rest is the
           black border that fills the tiles
    shape  (height, width) of the features in the end: what is kept, shrunk where it is too much
    """

    tiles: tuple[int, int]
    keep: tuple[int, int, int, int]
    shape: tuple[int, int]


def cut(height: int, width: int, resolutions: Resolutions, tile: int, grid: int, most: int | None) -> Cut:
    """How a picture of `height` x `width` pixels is cut into tiles of `tile` pixels and grid x grid features each;
    `most` tiles' worth of features are left, None = any number."""
    wide, high = best_resolution(height, width, resolutions)
    rows, columns = high // tile, wide // tile
    top, left, bottom, right = 0, 0, rows * grid, columns * grid
    if width / height > right / bottom:
        top = (bottom - int(height * (right / width))) // 2
        bottom -= top
    else:
        left = (right - int(width * (bottom / height))) // 2
        right -= left
    shape = bottom - top, right - left
    if most is not None:
        times = math.sqrt(shape[0] * shape[1] / (most * grid**2))
        if times > _SHRINK:
            shape = int(shape[0] // times), int(shape[1] // times)
    return Cut((rows, columns), (top, bottom, left, right), shape)


def best_resolution(height: int, width: int, resolutions: Resolutions) -> tuple[int, int]:
    """The (width, height) in which most of the picture's pixels survive, and among equals the smallest."""

    def key(resolution: tuple[int, int]) -> tuple[int, int]:
        scale = min(resolution[0] / width, resolution[1] / height)
        used = min(int(width * scale) * int(height * scale), width * height)
        return used, used - resolution[0] * resolution[1]

    return max(resolutions, key=key)


def views(picture: NDArray[np.uint8], resolutions: Resolutions, tile: int) -> NDArray[np.float32]:
    """(1 + tiles, 3, tile, tile) of a picture (H, W, 3): the whole of it squeezed into a square, then its tiles in
    reading order. Values from −1 to 1."""
    from PIL import Image

    whole = Image.fromarray(picture)
    wide, high = best_resolution(whole.height, whole.width, resolutions)
    framed = _framed(whole, wide, high)
    corners = [(x, y) for y in range(0, high, tile) for x in range(0, wide, tile)]
    squares = [whole.resize((tile, tile)), *(framed.crop((x, y, x + tile, y + tile)) for x, y in corners)]
    # The released processor rescales in float64 and normalises in float32.
    pixels = np.stack([np.asarray(square) for square in squares]).transpose(0, 3, 1, 2)
    unit: NDArray[np.float32] = (pixels.astype(np.float64) * (1 / 255)).astype(np.float32)
    normal: NDArray[np.float32] = (unit - np.float32(0.5)) / np.float32(0.5)
    return normal


def _framed(image: Image.Image, width: int, height: int) -> Image.Image:
    """The picture as large as it fits into `width` x `height`, in the middle of a black frame."""
    from PIL import Image

    across, down = width / image.width, height / image.height
    if across < down:
        size = width, min(math.ceil(image.height * across), height)
    else:
        size = min(math.ceil(image.width * down), width), height
    framed = Image.new("RGB", (width, height))
    framed.paste(image.resize(size), ((width - size[0]) // 2, (height - size[1]) // 2))
    return framed


def read_resolutions(pinpoints: Any, tile: int) -> Resolutions:
    """The resolutions (width, height) that `image_grid_pinpoints` of a configuration names: a list of pairs, the same
    as text, or a range of tiles such as `(1x1),...,(6x6)`; UserError for anything else."""
    found: Any = pinpoints
    if isinstance(pinpoints, str):
        ends = [(int(x), int(y)) for x, y in re.findall(r"\((\d+)x(\d+)\)", pinpoints)]
        if ends:
            (x0, y0), (x1, y1) = ends[0], ends[-1]
            found = [(x * tile, y * tile) for x in range(x0, x1 + 1) for y in range(y0, y1 + 1)]
        else:
            try:
                found = ast.literal_eval(pinpoints)
            except (ValueError, SyntaxError):
                found = None
    if not (isinstance(found, Sequence) and found and all(_is_resolution(pair, tile) for pair in found)):
        raise UserError(
            f"config.json: image_grid_pinpoints is {str(pinpoints)[:80]!r}; a list of widths and heights is needed, "
            f"each a multiple of {tile}."
        )
    return tuple((int(width), int(height)) for width, height in found)


def _is_resolution(pair: Any, tile: int) -> bool:
    return (
        isinstance(pair, Sequence)
        and len(pair) == 2
        and all(isinstance(side, int) and side > 0 and side % tile == 0 for side in pair)
    )
