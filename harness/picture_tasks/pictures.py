"""Pictures that rows name: in a folder of files, in a dataset of the hub, or within the rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

from harness.errors import UserError
from harness.picture import Encoded, Picture

EXAMPLES = 5


class Pictures(Protocol):
    """Where the pictures are that rows name."""

    def find(self, name: str) -> Picture:
        """The picture of this name, which is not opened; UserError where there is none."""


class FolderPictures:
    """Files in one of several folders, or in a folder of them: `val2014/COCO_val2014_000000000042.jpg`."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = folders

    def find(self, name: str) -> Encoded:
        """The picture of the file."""
        inner = Path(name)
        # A name comes from a file of somebody else, and must not lead out of the folder.
        if not inner.is_absolute() and ".." not in inner.parts:
            for folder in self._folders:
                path = folder / inner
                if path.is_file():
                    return Encoded(path, str(path), path)
        raise UserError(f"{name} is not in {' or '.join(str(folder) for folder in self._folders)}.")


class DatasetPictures:
    """A column of a dataset of the library `datasets`: a picture is named by `names`, else by the number of its row."""

    def __init__(self, dataset: Any, column: str, where: str, names: Iterable[Any] | None = None) -> None:
        from datasets import Image

        self._cells = dataset.select_columns([column]).cast_column(column, Image(decode=False))
        self._rows = {str(name): row for row, name in enumerate(range(len(dataset)) if names is None else names)}
        self._column, self._where = column, where

    def find(self, name: str) -> Encoded:
        """The picture of the row."""
        if name not in self._rows:
            raise UserError(f"{self._where} has no picture {name!r}, but {len(self._rows)} others.")
        row = self._rows[name]
        where = f"{self._where}, row {row}, column {self._column!r}"
        cell = self._cells[row][self._column] or {}
        if cell.get("bytes"):
            # The same picture may be there in many rows.
            return Encoded(sha256(cell["bytes"]).digest(), where, partial(self._read, row))
        if cell.get("path"):
            return Encoded(Path(cell["path"]), where, Path(cell["path"]))
        raise UserError(f"{where}: there is no picture.")

    def _read(self, row: int) -> bytes:
        content: bytes = self._cells[row][self._column]["bytes"]
        return content


class InlinePictures:
    """Pictures in base64 in the rows themselves, by the name of their row, as MMBench has them."""

    def __init__(self, encoded: Mapping[str, str], where: str) -> None:
        self._encoded, self._where = encoded, where

    def find(self, name: str) -> Encoded:
        """The picture of the row."""
        if name not in self._encoded:
            raise UserError(f"{self._where}: row {name} has no picture.")
        where = f"{self._where}, picture of row {name}"
        return Encoded(sha256(self._encoded[name].encode()).digest(), where, partial(self._read, name, where))

    def _read(self, name: str, where: str) -> bytes:
        import base64
        import binascii

        try:
            return base64.b64decode(self._encoded[name], validate=True)
        except (binascii.Error, ValueError) as error:
            raise UserError(f"{where} is not base64: {error}.") from error


def check_pictures(pictures: Pictures, wanted: Mapping[str, str]) -> None:
    """Raise UserError unless all pictures are there and begin as pictures do; `wanted` are their names, and of each a
    document that asks about it. Only headers are read: of 1,000 files in 0.1 s.

    The message has the first few problems, and how many there are.
    """
    from tqdm import tqdm

    problems = []
    for name, document in tqdm(wanted.items(), desc="checking pictures", unit="picture", disable=None, delay=2):
        try:
            pictures.find(name).size()
        except UserError as error:
            problems.append(f"\n  document {document}: {error}")
    if problems:
        more = len(problems) - EXAMPLES
        raise UserError(
            f"{len(problems)} of {len(wanted)} pictures cannot be had. Nothing was generated."
            + "".join(problems[:EXAMPLES])
            + (f"\n  and {more} more" if more > 0 else "")
        )
