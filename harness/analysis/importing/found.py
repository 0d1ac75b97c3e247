"""What a reader finds in a file, and the checks that all readers need."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from harness.catalogue import Catalogue, validated
from harness.errors import UserError
from harness.spec import CellSpec, Scalar, TaskSpec
from harness.store import IMPORTED, Cost, SampleKey
from harness.task import Document, Task

T = TypeVar("T")

SEMANTICS = 1
"""Raised by hand whenever the same file begins to give another cell."""


@dataclass(frozen=True)
class FoundSample:
    """One output: where it stands, what it is an output of, its index among those of its document, its text, and the
    PNG file of its picture if it has one."""

    where: str
    document: Document
    index: int
    text: str
    image: Path | None = None

    @property
    def key(self) -> SampleKey:
        """What it is stored under."""
        return SampleKey(self.document.id, self.index)


@dataclass(frozen=True)
class FoundFile:
    """The outputs of one file, all of one cell.

    cost      of each sample, as far as it is known
    origin    what else the file says of where it comes from; for the cell's provenance
    """

    path: Path
    task: Task
    cell: CellSpec
    samples: Sequence[FoundSample]
    cost: Cost
    origin: Mapping[str, Any]

    def provenance(self) -> dict[str, Any]:
        """Name and content of the file, and its origin."""
        digest = hashlib.sha256(self.path.read_bytes()).hexdigest()
        return {"file": self.path.name, "sha256": digest, **self.origin}


def open_task(catalogue: Catalogue, name: str, settings: Mapping[str, Scalar]) -> Task:
    """The task that outputs are imported to; raises UserError for one that knows no rows, or not these settings."""
    task = catalogue.task(TaskSpec(name=name, args=dict(settings)), None, None)
    if task.data_file is None:
        raise UserError(f"task {name!r} reads its documents from no file, so that outputs cannot bring theirs along.")
    return task


def cell_spec(task: Task, where: str, **parts: Any) -> CellSpec:
    """The cell of `model`, `sampler`, `decoding` and `budget`, given as plain data; UserError where one is none."""
    content = {
        **parts,
        "task": task.identity().model_dump(),
        "data": IMPORTED,
        "seed": 0,
        "semantics": {"import": SEMANTICS, "task": task.file.semantics},
    }
    return validated(content, CellSpec, where)


def need(row: Mapping[str, Any], key: str, kind: type[T], where: str) -> T:
    """The value of a key, which must be there and of this kind."""
    value = row.get(key)
    if not isinstance(value, kind) or isinstance(value, bool) or (isinstance(value, int) and abs(value) >= 2**31):
        names = {str: "a text", int: "a whole number", list: "a list", dict: "an object"}
        found = f"found {_short(value)}" if key in row else "but it is missing"
        raise UserError(f"{where}: {key!r} must be {names[kind]}, {found}.")
    return value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
