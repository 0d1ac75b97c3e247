"""Pictures that rows name: in a folder of files, in a dataset of the hub, or within the rows."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from harness.errors import UserError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]

FORMATS = ["JPEG", "PNG", "WEBP", "BMP", "GIF"]
"""What is read as a picture."""
EXAMPLES = 3


class Pictures(Protocol):
    """Where the pictures are that rows name."""

    def check(self, names: Iterable[str]) -> None:
        """Raise UserError unless all are there."""

    def open(self, name: str) -> Picture:
        """(H, W, 3) uint8 RGB; UserError for a broken picture."""


class FolderPictures:
    """Files in one of several folders, or in a folder of them: `val2014/COCO_val2014_000000000042.jpg`."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = folders

    def check(self, names: Iterable[str]) -> None:
        """Raise UserError with the first names that are missing, and how many there are."""
        wanted = dict.fromkeys(names)
        missing = [name for name in wanted if self._find(name) is None]
        if missing:
            folders = " or ".join(str(folder) for folder in self._folders)
            raise UserError(
                f"{len(missing)} of {len(wanted)} pictures are not in {folders}: {', '.join(missing[:EXAMPLES])}"
                f"{', …' if len(missing) > EXAMPLES else ''}. Nothing was generated."
            )

    def open(self, name: str) -> Picture:
        """The picture of the file."""
        path = self._find(name)
        if path is None:
            raise UserError(f"picture {name} is not in {self._folders[0]}.")
        return decode(path.read_bytes(), str(path))

    def _find(self, name: str) -> Path | None:
        for folder in self._folders:
            path = folder / name
            # A name comes from a file of somebody else, and must not lead out of the folder.
            if path.is_file() and path.resolve().is_relative_to(folder.resolve()):
                return path
        return None


class DatasetPictures:
    """A column of a dataset of the library `datasets`: a picture is named by `names`, else by the number of its row."""

    def __init__(self, dataset: Any, column: str, where: str, names: Iterable[Any] | None = None) -> None:
        from datasets import Image

        self._dataset = dataset.cast_column(column, Image(decode=False))
        self._rows = {str(name): row for row, name in enumerate(range(len(dataset)) if names is None else names)}
        self._column, self._where = column, where

    def check(self, names: Iterable[str]) -> None:
        """Raise UserError for the first picture that is not there."""
        missing = next((name for name in names if name not in self._rows), None)
        if missing is not None:
            raise UserError(f"{self._where} has no picture {missing!r}, but {len(self._rows)} others.")

    def open(self, name: str) -> Picture:
        """The picture of the row."""
        row = self._rows[name]
        cell = self._dataset[row][self._column] or {}
        where = f"{self._where}, row {row}, column {self._column!r}"
        if cell.get("bytes"):
            return decode(cell["bytes"], where)
        if cell.get("path"):
            return decode(Path(cell["path"]).read_bytes(), where)
        raise UserError(f"{where}: there is no picture.")


class InlinePictures:
    """Pictures in base64 in the rows themselves, by the name of their row, as MMBench has them."""

    def __init__(self, encoded: Mapping[str, str], where: str) -> None:
        self._encoded, self._where = encoded, where

    def check(self, names: Iterable[str]) -> None:
        """Raise UserError for the first row without one."""
        for name in names:
            if name not in self._encoded:
                raise UserError(f"{self._where}: row {name} has no picture.")

    def open(self, name: str) -> Picture:
        """The picture of the row."""
        import base64
        import binascii

        where = f"{self._where}, picture of row {name}"
        try:
            return decode(base64.b64decode(self._encoded[name], validate=True), where)
        except binascii.Error as error:
            raise UserError(f"{where} is not base64: {error}.") from error


def decode(content: bytes, where: str) -> Picture:
    """(H, W, 3) uint8 RGB of the content of a file; UserError where it is no picture. `where` begins the message.

    Grey, palette and CMYK pictures become RGB; transparency is dropped, as the field's loaders do (PIL's `convert`).
    """
    import numpy as np
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            return np.array(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"{where}: cannot be read as a picture ({error}). Replace it.") from error
