"""Which files are imported, by which reader, to which task."""

from __future__ import annotations

import logging
from pathlib import Path
from types import ModuleType

from harness.analysis.importing import d1, geneval, lm_eval
from harness.analysis.importing.found import FoundFile
from harness.catalogue import Catalogue
from harness.errors import UserError, did_you_mean

log = logging.getLogger(__name__)

FORMATS: dict[str, ModuleType] = {"d1": d1, "geneval": geneval, "lm-eval": lm_eval}
"""Format to its reader."""


def read_files(
    kind: str, path: Path, catalogue: Catalogue, task: str | None = None, model: str | None = None
) -> list[FoundFile]:
    """All outputs in a file, or in the files of a folder and the folders in it; nothing is written.

    kind   a name in `FORMATS`
    task   the task of the outputs where the name of the file tells none; of a folder, the only one to import
    model  the model's name, instead of what the files say

    Files of a folder whose task is not known are left out, with a warning. Raises UserError where nothing is left, or
    for anything that is wrong in a file.
    """
    reader = FORMATS[kind]
    if path.is_file():
        return [reader.read(path, catalogue, _known(catalogue, path, task or reader.task_of(path)), model)]
    paths = sorted(path.rglob(reader.PATTERN))
    if not paths:
        raise UserError(f"{path}: there are no files {reader.PATTERN} in it. Is {kind!r} the right --format?")
    tasks = {each: reader.task_of(each) for each in paths}
    known = {each: name for each, name in tasks.items() if name in catalogue.tasks() and task in (None, name)}
    if not known:
        raise UserError(f"{path}: none of the {len(paths)} files {reader.PATTERN} is of {_wanted(task)}; give a file.")
    if task is None and len(known) < len(paths):
        log.warning("%s: %d files are of tasks that are not known here; left out", path, len(paths) - len(known))
    return [reader.read(each, catalogue, name, model) for each, name in known.items()]


def _wanted(task: str | None) -> str:
    return "a task that is known here" if task is None else f"task {task!r}"


def _known(catalogue: Catalogue, path: Path, name: str | None) -> str:
    if name is not None and name in catalogue.tasks():
        return name
    found = "its name tells no task that is known here" if name is None else f"task {name!r} is not known here"
    hint = "" if name is None else did_you_mean(name, catalogue.tasks())
    raise UserError(f"{path}: {found}; name one with --task.{hint}")
