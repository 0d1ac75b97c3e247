"""Score a file of responses that were made elsewhere: no model runs, and no results folder is needed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import orjson

from harness.analysis.scoring import summarise
from harness.errors import UserError
from harness.jsonl import read_json_lines
from harness.store.files import make_folder, write_file, writing
from harness.task import Document, Metrics, Output, Sample, Task


def score_responses(task: Task, responses: Path, output: Path) -> dict[str, Any]:
    """Score `responses` and write one JSON line for each to `output`, in the same order.

    A row of `responses` is `{"key": …, "response": text}` or `{"id": …, "response": text}`, further keys ignored.
    A line of `output` is `{"id": …, "metrics": {…}}`, with the id as the task's data has it. Documents without a
    response are left out. Returns the summary: `task`, `protocol`, `documents` (scored), `documents_in_task`, and
    `metrics`, from each declared metric to its `value` and `stderr`.

    Raises UserError, before anything is scored, for a bad row, an unknown or repeated document, missing data or
    scorer dependencies, or an output that cannot be written. `output` is replaced in one step at the end.
    """
    documents = task.documents()
    samples = _read_samples(responses, documents)
    _check_output(output, responses)
    task.check()
    scores = [task.score(sample, {}) for sample in samples]
    write_file(output, b"".join(map(_line, samples, scores)))
    metrics = summarise(task, samples, scores, {})
    return {
        "task": task.file.name,
        "protocol": task.protocol,
        "documents": len(samples),
        "documents_in_task": len(documents),
        "metrics": {key: {"value": each.value, "stderr": each.stderr} for key, each in metrics.items()},
    }


def _read_samples(path: Path, documents: Sequence[Document]) -> list[Sample]:
    known = {document.id: document for document in documents}
    first_line: dict[str, int] = {}
    samples = []
    for number, row in read_json_lines(path):
        where = f"{path}, line {number}"
        key, response = row.get("key", row.get("id")), row.get("response")
        if not isinstance(key, int | str) or isinstance(key, bool):
            raise UserError(f"{where}: needs `key` (or `id`), a whole number or a text; found {key!r}.")
        if not isinstance(response, str):
            raise UserError(f"{where}: needs `response`, a text; found {response!r}.")
        name = str(key)
        if name not in known:
            raise UserError(f"{where}: no document of the task has the key {key!r} ({len(known)} documents).")
        if name in first_line:
            raise UserError(f"{where}: the document {key!r} already has a response in line {first_line[name]}.")
        first_line[name] = number
        samples.append(Sample(known[name], 0, Output(text=response)))
    if not samples:
        raise UserError(f'{path} holds no responses; rows are {{"key": …, "response": …}}.')
    return samples


def _check_output(path: Path, responses: Path) -> None:
    """Find out before the scoring whether its result can be written."""
    with writing(path):
        if path.is_dir():
            raise UserError(f"cannot write {path}: it is a folder; name a file.")
        if path.exists() and path.samefile(responses):
            raise UserError(f"cannot write {path}: it is the file of responses; name another file.")
        make_folder(path.parent)
        TemporaryFile(dir=path.parent).close()


def _line(sample: Sample, metrics: Metrics) -> bytes:
    key = sample.document.data.get("key", sample.document.id)
    return orjson.dumps({"id": key, "metrics": metrics}, option=orjson.OPT_APPEND_NEWLINE)
