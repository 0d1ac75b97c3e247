"""Pictures that models are asked about. They are opened when somebody looks, so that requests stay small."""

from __future__ import annotations

import io
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from harness.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    Pixels = NDArray[np.uint8]

FORMATS = ["JPEG", "PNG", "WEBP", "BMP", "GIF"]
"""What is read as a picture."""


class Picture(Protocol):
    """Small and hashable; those that are equal have the same pixels."""

    def size(self) -> tuple[int, int]:
        """(height, width), which a file's header tells; UserError for what is no picture."""

    def pixels(self) -> Pixels:
        """(H, W, 3) uint8 RGB, made anew by each call: whoever asks drops them soon. UserError for a broken picture."""


@dataclass(frozen=True)
class Drawn:
    """A picture that a function makes, equal to others of its `name`."""

    name: Hashable
    draw: Callable[[], Pixels] = field(compare=False)

    def size(self) -> tuple[int, int]:
        height, width = self.draw().shape[:2]
        return height, width

    def pixels(self) -> Pixels:
        return self.draw()


@dataclass(frozen=True)
class Encoded:
    """A picture as published, in one of `FORMATS`.

    name     the same for the same content: a hash, or the path of the file
    where    it stands, at the beginning of messages
    content  its file, or a function that reads the bytes of one
    """

    name: Hashable
    where: str = field(compare=False)
    content: Path | Callable[[], bytes] = field(compare=False)

    def size(self) -> tuple[int, int]:
        with self._open() as image:
            return image.height, image.width

    def pixels(self) -> Pixels:
        """Grey, palette and CMYK pictures become RGB; transparency is dropped, as the field's loaders do (PIL's
        `convert`)."""
        import numpy as np

        with self._open() as image:
            return np.array(image.convert("RGB"))

    @contextmanager
    def _open(self) -> Iterator[Image.Image]:
        from PIL import Image, UnidentifiedImageError

        file = self.content if isinstance(self.content, Path) else io.BytesIO(self.content())
        try:
            with Image.open(file, formats=FORMATS) as image:
                yield image
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            what = f"it is none in {', '.join(FORMATS)}" if isinstance(error, UnidentifiedImageError) else error
            raise UserError(f"{self.where}: cannot be read as a picture ({what}). Replace it.") from error
