"""Run a plan in this process: what cells still lack is made, in one pass over each model and task."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from harness.executors.forwards import tell
from harness.executors.loader import ModelLoader
from harness.executors.making import Maker, Note, Options, commit, label, lacking, progress, records, samples_of
from harness.executors.plan import Plan, PlannedCell
from harness.store import CellStore, Locked, RunStore


def execute(plan: Plan, run: RunStore, load: ModelLoader, options: Options) -> None:
    """Make every sample that the plan's cells lack. Safe to kill, to repeat, and to run twice at the same time."""
    for group in plan.groups():
        busy = _run_group(group, group, run, load, options, wait=False)
        if busy:
            _run_group(group, in_order(busy), run, load, options, wait=True)


def _run_group(
    group: Sequence[PlannedCell],
    cells: Sequence[PlannedCell],
    run: RunStore,
    load: ModelLoader,
    options: Options,
    wait: bool,
) -> list[PlannedCell]:
    """Run `cells`, some of a group of one model and task; return those that another process holds."""
    with contextlib.ExitStack() as locks:
        held, busy = hold(cells, run, locks, wait)
        if held:
            _generate(group, [cell for cell in cells if cell.spec.id in held], held, run, load, options)
    return busy


def _generate(
    group: Sequence[PlannedCell],
    cells: Sequence[PlannedCell],
    held: dict[str, CellStore],
    run: RunStore,
    load: ModelLoader,
    options: Options,
) -> None:
    """Make what `cells` lack, whose stores are held."""

    def begin(note: Note) -> None:
        for store in held.values():
            store.add_provenance(note)

    samples = samples_of(cells)
    wanted = lacking(samples, held)
    maker = Maker(group, load(group[0].spec.model), options)
    with progress(label(group), len(wanted), len(samples) - len(wanted)) as bar:
        for batch in maker.make(wanted, begin):
            commit(records(batch), held)
            bar.update(len(batch))
    tell(run, label(group), maker.forwards)


def hold(
    cells: Sequence[PlannedCell], run: RunStore, locks: contextlib.ExitStack, wait: bool
) -> tuple[dict[str, CellStore], list[PlannedCell]]:
    """Lock those of `cells` that lack something; also those that another process holds, unless one is to `wait`."""
    held: dict[str, CellStore] = {}
    busy = []
    for cell in cells:
        store = run.cell(cell.spec)
        if not lacking(samples_of([cell]), {cell.spec.id: store}):
            continue
        try:
            locks.enter_context(store.lock(wait=wait))
        except Locked:
            busy.append(cell)
            continue
        held[cell.spec.id] = store
    return held, busy


def in_order(cells: Sequence[PlannedCell]) -> list[PlannedCell]:
    """One order for all who wait for cells, so that no two processes wait for each other."""
    return sorted(cells, key=lambda cell: cell.spec.id)
