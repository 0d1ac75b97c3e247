"""Pictures as GenEval's official script reads them (djghosh13/geneval af4902f, `generation/diffusers_generate.py`):
`00012/metadata.jsonl`, the prompt's row, and `00012/samples/0003.png`."""

from __future__ import annotations

from pathlib import Path

from harness.errors import UserError
from harness.store import CellStore
from harness.store.files import encode, write_file
from harness.task import Task


def write(cell: CellStore, task: Task, output: Path) -> Path | None:
    """The pictures of a cell of the task `geneval` in the folder `output/{model}_{cell}`; None for others."""
    if task.file.name != "geneval":
        return None
    folder = output / f"{cell.spec.model.name.replace('/', '__')}_{cell.id}"
    documents = {document.id: document for document in task.documents()}
    for key, made in cell.generations().items():
        if not isinstance(made.image, Path):
            raise UserError(f"{cell.folder}: document {key.document!r}, sample {key.sample} has no picture to export.")
        row = {name: value for name, value in documents[key.document].data.items() if name != "index"}
        write_file(folder / key.document / "metadata.jsonl", encode(row) + b"\n")
        write_file(folder / key.document / "samples" / f"{key.sample:04d}.png", made.image.read_bytes())
    return folder
