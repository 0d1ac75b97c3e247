"""From what was found in files to cells of a run: checked as a whole first, so that nothing is half written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import harness
from harness.analysis.importing.found import FoundFile, FoundSample
from harness.errors import UserError
from harness.jsonl import read_json_lines
from harness.store import CellStore, GenerationRecord, RunStore, SampleKey
from harness.store.files import encode, write_file
from harness.task import Document, Output, Task

_Samples = Mapping[SampleKey, FoundSample]


def write_cells(root: Path, files: Sequence[FoundFile]) -> list[CellStore]:
    """Add what was found to the run in `root`, which is made if it is not there; return the cells.

    The documents go to the run's data folder. What is there already is left as it is, so that a cell grows with
    further files. Raises UserError, before anything is written, where two outputs or documents of one name differ.
    """
    by_cell: dict[str, list[FoundFile]] = defaultdict(list)
    for file in files:
        by_cell[file.cell.id].append(file)
    run = RunStore(root) if (root / "run.json").exists() else None
    samples = {cell: _merged(found, run) for cell, found in by_cell.items()}
    by_task: dict[Path, list[FoundFile]] = defaultdict(list)
    for file in files:
        by_task[_data_file(root, file.task)].append(file)
    documents = {path: _documents(path, found) for path, found in by_task.items()}

    run = run or RunStore.create(root, {"name": root.name, "sweeps": []})
    for path, known in documents.items():
        write_file(path, b"".join(encode(dict(document.data)) + b"\n" for document in known))
    return [_write_cell(run, found, samples[cell]) for cell, found in by_cell.items()]


def _merged(files: Sequence[FoundFile], run: RunStore | None) -> _Samples:
    """The samples of all files of a cell, checked against one another and against what is stored."""
    found: dict[SampleKey, FoundSample] = {}
    for file in files:
        for sample in file.samples:
            first = found.setdefault(sample.key, sample)
            if first.text != sample.text:
                raise UserError(f"{sample.where}: {first.where} has another output for the same question and settings.")
    if run is not None:
        cell = run.cell(files[0].cell)
        for key, output in cell.generations().items():
            if key in found and output.text != found[key].text:
                raise UserError(
                    f"{found[key].where}: {cell.folder} has another output for the same question and settings. Import "
                    "into another folder, or name the model otherwise (--model)."
                )
    return found


def _documents(path: Path, files: Sequence[FoundFile]) -> list[Document]:
    """The documents of a task that are in `path`, then the new ones."""
    found: dict[str, tuple[str, Document]] = {}
    for number, row in read_json_lines(path) if path.exists() else ():
        where = f"{path}, line {number}"
        document = files[0].task.document(row, where)
        found[document.id] = where, document
    for sample in (sample for file in files for sample in file.samples):
        where, document = found.setdefault(sample.document.id, (sample.where, sample.document))
        if document != sample.document:
            raise UserError(
                f"{sample.where}: document {document.id} has other data than in {where}: {dict(sample.document.data)}. "
                "Import it into another folder."
            )
    return [document for _, document in found.values()]


def _data_file(root: Path, task: Task) -> Path:
    assert task.data_file is not None
    return root / "data" / task.data_file


def _write_cell(run: RunStore, files: Sequence[FoundFile], samples: _Samples) -> CellStore:
    cell = run.cell(files[0].cell)
    with cell.lock(wait=True):
        cell.add_provenance({"harness": harness.__version__, "imported": [file.provenance() for file in files]})
        done, cost = cell.done(), files[0].cost or None
        cell.append(
            [
                GenerationRecord(key, Output(text=sample.text, image=sample.image), cost)
                for key, sample in samples.items()
                if key not in done
            ]
        )
    return cell
