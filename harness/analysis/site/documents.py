"""What was asked: the prompts behind the samples, from the tasks, or as they were kept when last a task told them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from harness.catalogue import Catalogue
from harness.errors import UserError
from harness.spec import content_hash
from harness.store import IMPORTED, CellStore, RunStore
from harness.store.files import read_json, write_json
from harness.task import Request

log = logging.getLogger(__name__)

AddImage = Callable[["np.ndarray[Any, Any]"], str]
"""Keeps a picture (H, W, 3) uint8 and returns its name in the site."""
Description = dict[str, Any]
"""`prompt`, `condition` and `image` (a name in the site) of a request, as far as it has them."""


@dataclass(frozen=True)
class Group:
    """Documents of one task and one state of its data: ids in order, and what was asked, or why that is unknown."""

    id: str
    ids: list[str]
    requests: dict[str, Description]
    problem: str = ""


@dataclass
class Asked:
    """Collects which documents were asked, then tells what they say.

    Tasks are asked but once, since to load one may take seconds: what they told is kept in `folder`, one file a group,
    and serves where task or data are not at hand. Pictures are not kept there.
    """

    folder: Path
    catalogue: Catalogue
    data_dir: str | None
    _groups: dict[str, tuple[CellStore, set[str]]] = field(default_factory=dict)

    def add(self, cell: CellStore, documents: Iterable[str]) -> str:
        """Note the documents of a cell; returns the id of the group that they are in, a hash of all it depends on."""
        key = content_hash([cell.spec.task.model_dump(), cell.spec.data])
        self._groups.setdefault(key, (cell, set()))[1].update(documents)
        return key

    def groups(self, add_image: AddImage) -> Iterator[Group]:
        """All groups, with what was asked."""
        for key, (cell, wanted) in self._groups.items():
            ids = sorted(wanted)
            path = self.folder / f"{key}.json"
            kept = _read(path)
            if wanted <= kept.keys():
                yield Group(key, ids, kept)
                continue
            try:
                told = self._ask(cell, wanted, add_image)
            except UserError as error:
                yield Group(key, ids, kept, str(error))
                continue
            if not any("image" in description for description in told.values()):
                write_json(path, kept | told)
            yield Group(key, ids, told)

    def _ask(self, cell: CellStore, ids: set[str], add_image: AddImage) -> dict[str, Description]:
        """What the task asks for these documents; raises UserError where it cannot be told.

        So it is where the data here are others: beside an answer stands what was asked, or nothing.
        """
        spec = cell.spec
        try:
            data_dir = RunStore(cell.folder.parents[1]).data_dir(spec, self.data_dir)
            task = self.catalogue.task(spec.task, data_dir, spec.model)
            if spec.data != IMPORTED and task.data_hash() != spec.data:
                raise UserError("The task's data here are not those that these samples were made with.")
            return {doc.id: _describe(task.request(doc), add_image) for doc in task.documents() if doc.id in ids}
        except (UserError, OSError) as error:
            raise UserError(str(error)) from error
        except Exception as error:  # a task may be anyone's, and a report without prompts is still a report
            log.warning("task %s cannot tell what it asked: %s: %s", spec.task.name, type(error).__name__, error)
            raise UserError(f"{type(error).__name__}: {error}") from error


def _read(path: Path) -> dict[str, Description]:
    try:
        kept = read_json(path)
    except UserError:
        return {}  # damaged: the task is asked again
    whole = isinstance(kept, dict) and all(isinstance(description, dict) for description in kept.values())
    return kept if whole else {}


def _describe(request: Request, add_image: AddImage) -> Description:
    found: Description = {}
    if request.prompt is not None:
        found["prompt"] = request.prompt
    if request.condition:
        found["condition"] = dict(request.condition)
    if request.image is not None:
        found["image"] = add_image(request.image.pixels())
    return found
