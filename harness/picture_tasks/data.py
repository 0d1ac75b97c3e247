"""Rows of a task about pictures: from files as published, or as the Hugging Face hub has them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.dataset import Rows, data_folder, load_from_hub
from harness.errors import UserError
from harness.jsonl import read_json_lines
from harness.picture_tasks.pictures import DatasetPictures, Pictures

Loaded = tuple[Rows, Pictures]


@dataclass(frozen=True)
class PictureData:
    """Where a task's rows and pictures are.

    task      name of the task, for error messages, and of its folder in the data folder
    source    where the files are published, and what they are; None where that is the hub alone
    hub       name on the hub
    split     of the hub's dataset
    config    name of the hub's configuration, None for the only one
    column    of the pictures in the hub's dataset
    pictures  the hub's configuration that has the pictures, with an `id`, where rows only name them by `column`; None
              where the rows have them
    """

    task: str
    source: str | None
    hub: str
    split: str
    config: str | None = None
    column: str = "image"
    pictures: str | None = None

    def load(self, data_dir: str | None, published: Callable[[Path], Loaded | None]) -> Loaded:
        """Rows and pictures: from the data folder, if there is one, else from the hub.

        In the data folder or its folder `task` they are as published (`published` reads them, None where its files are
        not there); else the folder `task` is a copy of the hub's repository, with its .parquet files. A row of the hub
        has the name of its picture in place of the picture.
        """
        folder = data_folder(data_dir)
        if folder is None:
            return self._rows(self._from_hub, self.hub)
        for place in (folder / self.task, folder):
            if place.is_dir() and (found := published(place)):
                return found
        copy = folder / self.task
        if any(copy.glob(f"**/{self.split}-*.parquet")):
            return self._rows(lambda config: self._from_copy(copy, config), str(copy))
        raise UserError(
            f"task {self.task}: its data are not in {folder} (from --data-dir, or the environment variable "
            f"MDM_HARNESS_DATA), nor in {copy}. Get {self._wanted}."
        )

    @property
    def _wanted(self) -> str:
        copy = f"a copy of the repository {self.hub} of the Hugging Face hub as its folder {self.task}"
        return copy if self.source is None else f"{self.source}; or {copy}"

    def _from_copy(self, folder: Path, config: str | None) -> Any:
        from datasets import load_dataset

        place = next((one for one in (folder / str(config), folder / "data" / str(config)) if one.is_dir()), folder)
        files = sorted(map(str, place.glob(f"**/{self.split}-*.parquet")))
        return load_dataset("parquet", data_files=files, split="train")

    def _from_hub(self, config: str | None) -> Any:
        without = f"give a folder as --data-dir that has {self._wanted}"
        return load_from_hub(self.task, self.hub, config, self.split, without)

    def _rows(self, read: Callable[[str | None], Any], where: str) -> Loaded:
        dataset = read(self.config)
        if self.column not in dataset.column_names:
            raise UserError(
                f"task {self.task}: {where} has no column {self.column!r}, but {', '.join(dataset.column_names)}."
            )
        if self.pictures is None:
            pictures = DatasetPictures(dataset, self.column, where)
            names = map(str, range(len(dataset)))
        else:
            images = read(self.pictures)
            pictures = DatasetPictures(images, "image", f"{where}, {self.pictures}", names=images["id"])
            names = map(str, dataset[self.column])
        plain = dataset.select_columns([name for name in dataset.column_names if not _is_picture(dataset, name)])

        def rows() -> Iterator[tuple[str, Mapping[str, Any]]]:
            for number, (row, name) in enumerate(zip(plain, names, strict=True)):
                yield f"{where}, row {number}", {**row, self.column: name}

        return rows(), pictures


def _is_picture(dataset: Any, column: str) -> bool:
    from datasets import Image

    return isinstance(dataset.features[column], Image)


def read_rows(path: Path) -> Rows:
    """The objects of a file of JSON lines, or of one JSON list, with where each stands; UserError for other content."""
    with path.open("rb") as file:
        first = file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if first != b"[":
        return ((f"{path}, line {number}", row) for number, row in read_json_lines(path))
    rows = read_json(path)
    if not all(isinstance(row, dict) for row in rows):
        raise UserError(f"{path}: a list of JSON objects is needed.")
    return ((f"{path}, item {number}", row) for number, row in enumerate(rows))


def read_json(path: Path) -> Any:
    """The content of a JSON file; UserError where it is none."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: not valid JSON ({error}). Get the file anew.") from error
