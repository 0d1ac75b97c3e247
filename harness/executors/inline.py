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
from harness.components import load_model
from harness.engine.generator import Generation, Generator, Job
from harness.engine.loop import CanvasEngine
from harness.errors import UserError
from harness.executors.plan import Plan, PlannedCell
from harness.samplers import samplers
from harness.store import CellStore, GenerationRecord, Locked, RunStore, SampleKey

_FLUSH_SECONDS = 2.0
"""Finished samples wait at most this long for their commit: an fsync a sample would cost more than the sample."""


@dataclass(frozen=True)
class Options:
    """How to run, none of which changes what is asked of the model."""

    batch_size: int = 32
    device: str = "cpu"
    trace: bool = False


def execute(plan: Plan, run: RunStore, options: Options) -> None:
    """Make every sample that the plan's cells lack. Safe to kill, to repeat, and to run twice at the same time."""
    groups = plan.groups()
    model, loaded = None, None
    for group in groups:
        spec = group[0].spec.model
        if spec != loaded:
            model, loaded = load_model(spec, options.device), spec
            check_capabilities(plan, model, spec.name)
        busy = _run_group(group, run, model, options, wait=False)
        if busy:
            _run_group(busy, run, model, options, wait=True)


def generator(model: Any, options: Options) -> Generator:
    """The model's own generator, or the canvas engine around a denoiser."""
    return model if isinstance(model, Generator) else CanvasEngine(model, options.batch_size, options.trace)


def check_capabilities(plan: Plan, model: Any, name: str) -> None:
    """Raise UserError if a sampler of the plan needs what the model does not offer."""
    for cell in plan.cells:
        if cell.spec.model.name != name or isinstance(model, Generator):
            continue
        needs = set(samplers[cell.spec.sampler.name].info.needs)
        needs |= {"guidance"} if cell.spec.decoding.guidance else set()
        if missing := needs - set(model.capabilities):
            raise UserError(
                f"sampler {cell.spec.sampler.name!r} at guidance {cell.spec.decoding.guidance:g} needs "
                f"{', '.join(sorted(missing))}, which model {name!r} does not offer"
            )


def _run_group(
    group: Sequence[PlannedCell], run: RunStore, model: Any, options: Options, wait: bool
) -> list[PlannedCell]:
    """Run the cells of one model and task; return those that another process holds."""
    busy = []
    with contextlib.ExitStack() as locks:
        stores: dict[str, CellStore] = {}
        for cell in group:
            store = run.cell(cell.spec)
            if _complete(cell, store):
                continue
            try:
                locks.enter_context(store.lock(wait=wait))
            except Locked:
                busy.append(cell)
                continue
            stores[cell.spec.id] = store
        held = [cell for cell in group if cell.spec.id in stores]
        if held:
            _generate(held, stores, model, options)
    return busy


def _complete(cell: PlannedCell, store: CellStore) -> bool:
    done = store.done()
    return all(SampleKey(d.id, i) in done for d in cell.documents for i in range(cell.samples))


def _generate(cells: Sequence[PlannedCell], stores: dict[str, CellStore], model: Any, options: Options) -> None:
    jobs = [job for cell in cells for job in cell.jobs()]
    done = {(cell, key) for cell, store in stores.items() for key in store.done()}
    provenance = {**versions(), "device": options.device, "batch_size": options.batch_size}
    for store in stores.values():
        store.add_provenance(provenance)

    def is_done(job: Job) -> bool:
        return (job.cell, key_of(job)) in done

    spec = cells[0].spec
    left = sum(not is_done(job) for job in jobs)
    label = f"{spec.model.name} · {spec.task.name}"
    with tqdm(total=left, desc=label, unit="sample", disable=None, dynamic_ncols=True) as bar:
        for batch in _batches(generator(model, options).generate(jobs, is_done)):
            _commit(batch, stores)
            bar.update(len(batch))
    if not sys.stderr.isatty():
        print(f"{label}: {left} samples made, {len(jobs) - left} were there", file=sys.stderr)


def _batches(generations: Iterator[Generation]) -> Iterator[list[Generation]]:
    """Generations gathered for a commit; what is finished is handed on even when the run is interrupted."""
    batch: list[Generation] = []
    since = time.monotonic()
    try:
        for generation in generations:
            batch.append(generation)
            if time.monotonic() - since > _FLUSH_SECONDS:
                yield batch
                batch, since = [], time.monotonic()
    except KeyboardInterrupt:
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
