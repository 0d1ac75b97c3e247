"""Runs that hold parts of the same cells, put together into one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.errors import UserError
from harness.store.cell import CellStore
from harness.store.records import GenerationRecord
from harness.store.run import IMPORTED, RunStore
from harness.task import Output


def gather(runs: Sequence[RunStore], into: RunStore) -> int:
    """Commit to `into` every sample of `runs` that it lacks; return how many. Safe to kill, and to repeat.

    Raises UserError where two of them hold different outputs for the same sample, or a cell was imported.
    """
    return sum(_take(into.cell(cell.spec), cell) for run in runs for cell in run.cells())


def _take(target: CellStore, source: CellStore) -> int:
    if source.spec.data == IMPORTED:
        raise UserError(
            f"{source.folder} was imported, and its documents are in its own run. Leave that run out: `report` takes "
            "several runs."
        )
    found, costs, traces = source.generations(), source.costs(), source.traces()
    with target.lock(wait=True):
        present = target.generations()
        for key in present.keys() & found.keys():
            if content(present[key]) != content(found[key]):
                raise UserError(
                    f"{source.folder} and {target.folder} are the same cell, and hold different outputs for document "
                    f"{key.document!r}, sample {key.sample}. One of them was changed, or made by a device or version "
                    "that rounds otherwise: leave one out."
                )
        for note in source.provenance():
            target.add_provenance(note)
        new = [
            GenerationRecord(key, output, costs.get(key), traces.get(key))
            for key, output in found.items()
            if key not in present
        ]
        target.append(new)
    return len(new)


def content(output: Output) -> tuple[object, ...]:
    """What makes two stored outputs the same: a picture by the bytes of its file."""
    image = output.image.read_bytes() if isinstance(output.image, Path) else None
    return output.tokens, output.text, output.logp, output.before, image
