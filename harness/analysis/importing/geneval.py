"""Results of GenEval's official script (djghosh13/geneval af4902f, `evaluation/evaluate_images.py`).

A line is a picture: `filename` (`…/00012/samples/0003.png`, prompt and sample), `tag`, `prompt`, `correct`, `reason`,
and as texts of JSON `metadata` (the prompt's row) and `details` (class to boxes with scores). Colours are not in it, so
that verdicts about them can be taken over, and not made again.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

from harness.analysis.importing.found import FoundFile, FoundSample, cell_spec, need, open_task
from harness.catalogue import Catalogue
from harness.errors import UserError
from harness.jsonl import parse_object, read_json_lines
from harness.metrics.geneval import TAGS, judge, overall
from harness.store.files import encode

log = logging.getLogger(__name__)

PATTERN = "results*.jsonl"
_NAMED = 3


def task_of(path: Path) -> str | None:
    """There is but one."""
    return "geneval"


def read(path: Path, catalogue: Catalogue, task_name: str, model: str | None) -> FoundFile:
    """The pictures in a file: the verdict as text, and the picture where its file is there still."""
    if task_name != "geneval":
        raise UserError(f"--task: results of GenEval's script are of the task geneval, not of {task_name!r}.")
    if not model:
        raise UserError(f"{path}: results of GenEval's script name no model; give its name as --model.")
    task = open_task(catalogue, task_name, {})
    samples, verdicts, differing = [], defaultdict(list), []
    for number, row in read_json_lines(path):
        where = f"{path}, line {number}"
        filename = need(row, "filename", str, where)
        prompt, sample = _place(filename, where)
        document = task.document({"index": prompt, **_text_of_json(row, "metadata", where)}, where)
        details = _text_of_json(row, "details", where)
        correct = row.get("correct")
        if not isinstance(correct, bool):
            raise UserError(f"{where}: 'correct' must be true or false, found {correct!r}.")
        told = encode({"correct": correct, "reason": need(row, "reason", str, where), "details": details}).decode()
        samples.append(FoundSample(where, document, sample, told, _picture(path, filename)))
        verdicts[document.data["tag"]].append(correct)
        if not _agrees(document.data, details, correct, where):
            differing.append(filename)
    if not samples:
        raise UserError(f"{path} holds no results.")
    if differing:
        log.warning("%s: %d of %d verdicts are not what GenEval's rules make of the boxes beside them; the first: %s",
                    path, len(differing), len(samples), ", ".join(differing[:_NAMED]))  # fmt: skip
    cell = cell_spec(
        task,
        str(path),
        model={"name": model},
        sampler={"name": "geneval"},
        decoding={},
        budget=None,
    )
    return FoundFile(path, task, cell, samples, {}, {"format": "geneval", "reported": _reported(verdicts)})


def _place(filename: str, where: str) -> tuple[int, int]:
    """Number of the prompt and of the sample."""
    parts = Path(filename.replace("\\", "/")).parts[-3:]
    if len(parts) == 3 and parts[0].isdecimal() and parts[1] == "samples" and Path(parts[2]).stem.isdecimal():
        return int(parts[0]), int(Path(parts[2]).stem)
    raise UserError(f"{where}: 'filename' must end like 00012/samples/0003.png, found {filename!r}.")


def _text_of_json(row: Mapping[str, Any], key: str, where: str) -> dict[str, Any]:
    return parse_object(need(row, key, str, where), f"{where}: {key!r}")


def _picture(results: Path, filename: str) -> Path | None:
    """The picture, where the file says, or beside the results."""
    file = Path(filename)
    places = (file, results.parent / file, results.parent.joinpath(*file.parts[-3:]))
    return next((place for place in places if place.is_file()), None)


def _agrees(metadata: Mapping[str, Any], details: Mapping[str, Any], correct: bool, where: str) -> bool:
    """Whether the rules give this verdict, as far as they ask for no colour."""
    if any("color" in item for item in metadata["include"]):
        return True
    try:
        found = {name: [{"box": box[:4], "score": box[4]} for box in boxes] for name, boxes in details.items()}
        return judge(metadata, found).correct == correct
    except (TypeError, IndexError, UserError) as error:
        raise UserError(f"{where}: 'details' must be boxes [x0, y0, x1, y1, score] by class: {error}") from error


def _reported(verdicts: Mapping[str, list[bool]]) -> dict[str, float]:
    """The accuracies that the official script's summary tells."""
    tags = {tag: fmean(verdicts[tag]) for tag in TAGS if tag in verdicts}
    whole = {"geneval": overall(tags)} if len(tags) == len(TAGS) else {}
    return {f"geneval.{name}": value for name, value in {**tags, **whole}.items()}
