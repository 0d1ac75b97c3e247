"""One part of a plan, in this process: several such processes share a run, or have one each."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import groupby

from filelock import FileLock

from harness.executors.forwards import tell
from harness.executors.loader import ModelLoader
from harness.executors.making import Maker, Note, Options, Wanted, label, lacking, progress, records, samples_of
from harness.executors.plan import Plan, PlannedCell
from harness.executors.units import Shard, Unit, by_unit, divide
from harness.store import RunStore


def execute_shard(plan: Plan, run: RunStore, load: ModelLoader, options: Options, shard: Shard) -> None:
    """Make what the shard's part of the plan lacks.

    The cells are shared with the other shards, so that they are locked for each commit only. A second process with the
    same shard waits for the first.
    """
    groups = plan.groups()
    mine = shard.of(divide(plan, shard.count, options.batch_size))
    if not mine:
        print(f"shard {shard}: there is nothing for it to do", file=sys.stderr)
    with FileLock(run.root / f".shard-{shard.index}-of-{shard.count}.lock"):
        for number, units in groupby(mine, key=lambda unit: unit.group):
            _run_group(groups[number], list(units), run, load, options, shard)


def _run_group(
    group: Sequence[PlannedCell],
    units: Sequence[Unit],
    run: RunStore,
    load: ModelLoader,
    options: Options,
    shard: Shard,
) -> None:
    """Make what the units, all of one group, lack."""
    stores = {cell.spec.id: run.cell(cell.spec) for cell in group}
    samples = set[Wanted]().union(*by_unit(units, samples_of(group)).values())
    wanted = lacking(samples, stores)
    if not wanted:
        return
    notes: list[Note] = []
    noted: set[tuple[str, int]] = set()
    maker = Maker(group, load(group[0].spec.model), options)
    with progress(f"{label(group)}, shard {shard}", len(wanted), len(samples) - len(wanted)) as bar:
        for batch in maker.make(wanted, notes.append):
            for cell, made in records(batch).items():
                with stores[cell].lock(wait=True):
                    if (cell, len(notes)) not in noted:
                        stores[cell].add_provenance(notes[-1])
                        noted.add((cell, len(notes)))
                    done = stores[cell].done()
                    stores[cell].append([record for record in made if record.key not in done])
            bar.update(len(batch))
    tell(run, f"{label(group)}, shard {shard}", maker.forwards)
