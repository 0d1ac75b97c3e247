"""Run a plan on a crew: this process holds the cells and commits; workers make what they lack."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from harness.errors import RunError
from harness.executors.crew import Crew, Made
from harness.executors.foreman import PATIENCE, Foreman
from harness.executors.forwards import tell
from harness.executors.inline import hold, in_order
from harness.executors.making import commit, label, lacking, progress, samples_of
from harness.executors.plan import GROUP_SIZE, Plan, PlannedCell
from harness.executors.units import Unit, by_unit, divide
from harness.spec import BatchSize
from harness.store import CellStore, RunStore
from harness.store.files import write_json

HELD = 3 * GROUP_SIZE
"""Cells that are locked at a time, each an open file: see `GROUP_SIZE`."""
ASIDE = "set_aside.json"
"""In the folder of a run: the units that its last command set aside, with their errors."""


def execute_on(crew: Crew, plan: Plan, run: RunStore, batch_size: BatchSize, patience: float = PATIENCE) -> None:
    """Make every sample that the plan's cells lack. Safe to kill, to repeat, and to run twice at the same time.

    Units that fail too often are set aside; raises RunError that names them when all else is done.
    """
    (run.root / ASIDE).unlink(missing_ok=True)
    units = divide(plan, crew.size, batch_size)
    foreman = Foreman(crew, patience)
    aside: list[tuple[Unit, str]] = []
    for wave in _waves(plan):
        cells = wave
        for wait in (False, True):
            with contextlib.ExitStack() as locks:
                held, busy = hold(in_order(cells) if wait else cells, run, locks, wait)
                if held:
                    own = [cell for cell in cells if cell.spec.id in held]
                    aside += _make(foreman, plan, units, own, held)
            cells = busy
    foreman.stop(lambda made: None)
    tell(run, plan.suite.name, foreman.forwards)
    if aside:
        raise RunError(_tell(aside, plan, run))


def _waves(plan: Plan) -> list[list[PlannedCell]]:
    """The cells of the plan's groups in their order, as many together as may be held."""
    waves: list[list[PlannedCell]] = [[]]
    for group in plan.groups():
        if len(waves[-1]) + len(group) > HELD:
            waves.append([])
        waves[-1] += group
    return waves


def _make(
    foreman: Foreman, plan: Plan, units: Sequence[Unit], cells: Sequence[PlannedCell], held: dict[str, CellStore]
) -> list[tuple[Unit, str]]:
    """Make what `cells` lack, whose stores are held; returns what was set aside."""
    samples = samples_of(cells)
    wanted = lacking(samples, held)
    model_of = {number: group[0].spec.model.model_dump_json() for number, group in enumerate(plan.groups())}
    noted: set[tuple[str, str]] = set()
    name = f"{plan.suite.name}, {len(cells)} cells"
    with progress(name, len(wanted), len(samples) - len(wanted)) as bar:

        def keep(made: Made) -> None:
            for cell in made.records:
                if (cell, note := str(made.note)) not in noted:
                    held[cell].add_provenance(made.note)
                    noted.add((cell, note))
            commit(made.records, held)
            bar.update(sum(map(len, made.records.values())))

        try:
            return foreman.run(units, by_unit(units, wanted), model_of, keep)
        except BaseException:
            foreman.stop(keep)
            raise


def _tell(aside: Sequence[tuple[Unit, str]], plan: Plan, run: RunStore) -> str:
    """What was set aside in a few lines; the errors as a whole are in a file of the run."""
    groups = plan.groups()
    records = [
        {"cells": sorted(unit.cells), "documents": sorted(unit.documents), "error": error} for unit, error in aside
    ]
    write_json(run.root / ASIDE, records)
    lines = []
    for unit, error in aside:
        ids = sorted(unit.documents)
        lines.append(
            f"  {label(groups[unit.group])}, {len(unit.cells)} cells, documents {ids[0]} to {ids[-1]}: "
            + error.strip().splitlines()[-1]
        )
    return (
        f"{len(aside)} units of work could not be made, all others were:\n" + "\n".join(lines) + "\n"
        f"Their errors are in {run.root / ASIDE}; the same command tries them again."
    )
