"""Run a plan in this process: what cells still lack is made, in one pass over each model and task."""

from __future__ import annotations

import contextlib
import platform
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from tqdm import tqdm

import harness
from harness.engine.edits import SamplerError
from harness.engine.engine import Engine
from harness.engine.generator import Generation, Job
from harness.engine.proxy import ModelError
from harness.errors import RunError
from harness.executors.loader import ModelLoader
from harness.executors.memory import halved
from harness.executors.plan import Plan, PlannedCell
from harness.store import CellStore, GenerationRecord, Locked, RunStore, SampleKey

FLUSH_SECONDS = 2.0
"""Finished samples wait at most this long for their commit: an fsync a sample would cost more than the sample."""


@dataclass(frozen=True)
class Options:
    """How to run, none of which changes what is asked of the model."""

    batch_size: int = 32
    device: str = "cpu"
    trace: bool = False


def execute(plan: Plan, run: RunStore, load: ModelLoader, options: Options) -> None:
    """Make every sample that the plan's cells lack. Safe to kill, to repeat, and to run twice at the same time."""
    for group in plan.groups():
        busy = _run_group(group, group, run, load, options, wait=False)
        if busy:
            # One order for all who wait, so that no two processes wait for each other.
            in_order = sorted(busy, key=lambda cell: cell.spec.id)
            _run_group(group, in_order, run, load, options, wait=True)


def _run_group(
    group: Sequence[PlannedCell],
    cells: Sequence[PlannedCell],
    run: RunStore,
    load: ModelLoader,
    options: Options,
    wait: bool,
) -> list[PlannedCell]:
    """Run `cells`, some of a group of one model and task; return those that another process holds."""
    busy = []
    with contextlib.ExitStack() as locks:
        held: dict[str, CellStore] = {}
        for cell in cells:
            store = run.cell(cell.spec)
            if _complete(cell, store):
                continue
            try:
                locks.enter_context(store.lock(wait=wait))
            except Locked:
                busy.append(cell)
                continue
            held[cell.spec.id] = store
        if held:
            _generate(group, held, load(group[0].spec.model), options)
    return busy


def _complete(cell: PlannedCell, store: CellStore) -> bool:
    done = store.done()
    return all(SampleKey(d.id, i) in done for d in cell.documents for i in range(cell.samples))


def _generate(group: Sequence[PlannedCell], held: dict[str, CellStore], model: Any, options: Options) -> None:
    """Make what the `held` cells lack. The engine is told of the whole group: it shapes its batches by that."""
    jobs = [job for cell in group for job in cell.jobs()]
    done = {(cell, key) for cell, store in held.items() for key in store.done()}

    def is_done(job: Job) -> bool:
        return job.cell not in held or (job.cell, key_of(job)) in done

    spec = group[0].spec
    left = sum(not is_done(job) for job in jobs)
    there = sum(job.cell in held for job in jobs) - left
    label = f"{spec.model.name} · {spec.task.name}"
    size = options.batch_size
    with tqdm(total=left, desc=label, unit="sample", disable=None, dynamic_ncols=True) as bar:
        while True:
            for store in held.values():
                store.add_provenance({**versions(), "device": options.device, "batch_size": size})
            try:
                for batch in _batches(Engine(model, size, options.trace).generate(jobs, is_done)):
                    _commit(batch, held)
                    done.update((made.job.cell, key_of(made.job)) for made in batch)
                    bar.update(len(batch))
                break
            except torch.OutOfMemoryError as error:
                size = halved(size, label, error)
            except (ModelError, SamplerError) as error:
                raise RunError(f"{label}: {error}. What was made before is kept.") from error
    if not sys.stderr.isatty():
        print(f"{label}: {left} samples made, {there} were there", file=sys.stderr)


def _batches(generations: Iterator[Generation]) -> Iterator[list[Generation]]:
    """Generations gathered for a commit; what is finished is handed on even when the run is interrupted or fails."""
    batch: list[Generation] = []
    since = time.monotonic()
    try:
        for generation in generations:
            batch.append(generation)
            if time.monotonic() - since > FLUSH_SECONDS:
                yield batch
                batch, since = [], time.monotonic()
    except (Exception, KeyboardInterrupt):
        yield batch
        raise
    yield batch


def _commit(batch: Sequence[Generation], stores: dict[str, CellStore]) -> None:
    by_cell: dict[str, list[GenerationRecord]] = defaultdict(list)
    for made in batch:
        record = GenerationRecord(key_of(made.job), made.output, made.cost.as_dict(), made.trace)
        by_cell[made.job.cell].append(record)
    for cell, records in by_cell.items():
        stores[cell].append(records)


def key_of(job: Job) -> SampleKey:
    """The key under which the job's sample is stored."""
    return SampleKey(job.request.document, job.sample)


def versions() -> dict[str, str | int]:
    """What the run depends on and its tokens should not: kept as provenance, no part of a cell's identity."""
    return {
        "harness": harness.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "platform": platform.platform(),
    }
