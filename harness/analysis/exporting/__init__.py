"""Cells as files of other programs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from harness.analysis.exporting import geneval, lm_eval, mt_bench
from harness.catalogue import Catalogue
from harness.store import CellStore, RunStore
from harness.task import Task

FORMATS: Mapping[str, Callable[[CellStore, Task, Path], Path | None]] = {
    "geneval": geneval.write,
    "lm-eval": lm_eval.write,
    "mt-bench": mt_bench.write,
}
"""A format's writer: one cell and its task into a folder; returns a file, or None where the cell has nothing for it."""


def export_run(
    kind: str, run: RunStore, catalogue: Catalogue, data_dir: str | None, output: Path
) -> dict[str, Path | None]:
    """Write each cell of a run; the file that was written by cell, None for one that has nothing for this format.

    Raises UserError for a cell that is not scored as it stands, where the format holds scores.
    """
    return {cell.id: FORMATS[kind](cell, _task(run, cell, catalogue, data_dir), output) for cell in run.cells()}


def _task(run: RunStore, cell: CellStore, catalogue: Catalogue, data_dir: str | None) -> Task:
    task = catalogue.task(cell.spec.task, run.data_dir(cell.spec, data_dir), cell.spec.model)
    task.check()
    return task
