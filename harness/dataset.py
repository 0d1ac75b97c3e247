"""Documents of a dataset: from a file of JSON lines in the data folder, else from the hub, or from where it is
published."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import UserError
from harness.jsonl import read_json_lines
from harness.remote import RemoteFile
from harness.task import Document

Rows = Iterable[tuple[str, Mapping[str, Any]]]
"""Each row with where it stands, for error messages."""


@dataclass(frozen=True)
class Dataset:
    """Where a task's rows are.

    task    name of the task, for error messages
    file    path within the data folder, such as `gsm8k/test.jsonl`; also found there without its own folder
    source  URL where the file is published
    hub     name on the hub, None where it is not there
    config  name of the hub's configuration, None for the only one
    split   of the hub
    sha256  of the file, for one that is downloaded from `source` itself
    """

    task: str
    file: str
    source: str
    hub: str | None = None
    config: str | None = None
    split: str = "test"
    sha256: str | None = None

    def documents(
        self, data_dir: str | None, document: Callable[[Mapping[str, Any], str], Document]
    ) -> Sequence[Document]:
        """What `document` makes of each row and where it stands.

        Raises UserError where the file is not in the data folder, the hub does not answer, or an id is there twice.
        """
        return each_once(self._rows(data_dir), document)

    def _rows(self, data_dir: str | None) -> Rows:
        if data_folder(data_dir) is None and self.hub is not None:
            return self._hub_rows(self.hub)
        path = self.path(data_dir)
        return ((f"{path}, line {number}", row) for number, row in read_json_lines(path))

    def path(self, data_dir: str | None) -> Path:
        """The file in the data folder; without one, as downloaded from its source. UserError where it is not there."""
        folder = data_folder(data_dir)
        if folder is not None:
            return self._local_path(folder)
        if self.sha256 is not None:
            return RemoteFile(self._name, self.source, self.sha256).find(f"task {self.task}")
        raise UserError(
            f"task {self.task} needs {self._name}, which no hub has. Get it from {self.source} and pass its folder as "
            "--data-dir."
        )

    @property
    def _name(self) -> str:
        return Path(self.file).name

    def _local_path(self, folder: Path) -> Path:
        for path in (folder / self.file, folder / self._name):
            if path.is_file():
                return path
        raise UserError(
            f"task {self.task}: neither {self._name} nor {self.file} is in the data folder {folder} (from --data-dir, "
            f"or the environment variable MDM_HARNESS_DATA). Get the file from {self.source}."
        )

    def _hub_rows(self, hub: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        without = f"get {self._name} from {self.source} and pass its folder as --data-dir"
        dataset = load_from_hub(self.task, hub, self.config, self.split, without)
        return ((f"{hub}, row {number}", row) for number, row in enumerate(dataset, start=1))


def each_once(
    rows: Rows, document: Callable[[Mapping[str, Any], str], Document], what: str = "document"
) -> Sequence[Document]:
    """The document of each row, in their order; UserError for an id that is there twice, of a `what`."""
    found: dict[str, Document] = {}
    for where, row in rows:
        one = document(row, where)
        if found.setdefault(one.id, one) is not one:
            raise UserError(f"{where}: {what} {one.id} occurs twice; each must be there once.")
    return list(found.values())


def load_from_hub(task: str, hub: str, config: str | None, split: str, without: str) -> Any:
    """A dataset of the Hugging Face hub; UserError, which says what to do `without` network, where it cannot be had."""
    from datasets import load_dataset

    try:
        return load_dataset(hub, *([config] if config else []), split=split)
    except (OSError, ValueError, RuntimeError) as error:  # no network, offline mode, no such cache
        raise UserError(
            f"task {task}: cannot load {hub} from the Hugging Face hub ({type(error).__name__}: {error}). "
            f"Without network, {without}."
        ) from error


def data_folder(data_dir: str | None) -> Path | None:
    """The data folder: as given, else of the environment variable MDM_HARNESS_DATA, else None."""
    folder = data_dir or os.environ.get("MDM_HARNESS_DATA")
    return Path(folder).expanduser() if folder else None


def read_prompts(place: str, needs: str) -> list[tuple[str, str]]:
    """Id and text of each prompt of a file: the lines of a text, or the `prompt` of JSON lines, which may have an `id`.

    Ids are numbers of lines where there is none. Raises UserError, which begins with `needs`, where the file is not
    there, and for a row that has no text, or an id that another has.
    """
    path = Path(place).expanduser()
    if not path.is_file():
        raise UserError(f"{needs}: prompts is {place!r}, and there is no such file.")
    if path.suffix == ".jsonl":
        rows = [(str(row.get("id", f"{number:06d}")), row.get("prompt")) for number, row in read_json_lines(path)]
    else:
        try:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise UserError(f"{path} is not UTF-8 text: {error}") from error
        rows = [(f"{number:06d}", line.strip()) for number, line in enumerate(lines, start=1) if line.strip()]
    prompts: dict[str, str] = {}
    for name, prompt in rows:
        if not isinstance(prompt, str) or not prompt.strip():
            raise UserError(f"{path}: `prompt` of {name} must be a text, found {prompt!r}.")
        if name in prompts:
            raise UserError(f"{path}: the `id` {name!r} occurs twice; each must be there once.")
        prompts[name] = prompt
    if not prompts:
        raise UserError(f"{path} holds no prompts.")
    return list(prompts.items())
