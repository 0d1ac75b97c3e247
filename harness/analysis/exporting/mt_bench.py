"""Answers as FastChat's judge of MT-Bench reads them: `model_answer/{model}.jsonl` (lm-sys/FastChat 0e6d3e4,
`fastchat/llm_judge/gen_model_answer.py`)."""

from __future__ import annotations

import hashlib
from pathlib import Path

from harness.store import CellStore
from harness.store.files import encode, make_folder, write_file, writing
from harness.task import Task


def write(cell: CellStore, task: Task, output: Path) -> Path | None:
    """The answers of a cell of the task `mt_bench` as `output/model_answer/{model}_{cell}.jsonl`; None for others."""
    if task.file.name != "mt_bench":
        return None
    name = f"{cell.spec.model.name.replace('/', '__')}_{cell.id}"
    outputs = cell.generations()
    modified = (cell.folder / "generations.jsonl").stat().st_mtime
    lines = []
    for document in task.documents():
        samples = sorted(key for key in outputs if key.document == document.id)
        if not samples:
            continue
        turns = [[*outputs[key].before, outputs[key].text] for key in samples]
        row = {
            "question_id": document.data["question_id"],
            "answer_id": hashlib.sha256(f"{cell.id} {document.id}".encode()).hexdigest()[:22],
            "model_id": name,
            "choices": [{"index": key.sample, "turns": each} for key, each in zip(samples, turns, strict=True)],
            "tstamp": modified,
        }
        lines.append(encode(row) + b"\n")
    path = output / "model_answer" / f"{name}.jsonl"
    with writing(path):
        make_folder(path.parent)
    write_file(path, b"".join(lines))
    return path
