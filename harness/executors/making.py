"""Making samples: the jobs of a group on one model, in batches for a commit, in smaller ones where memory ends."""

from __future__ import annotations

import platform
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from tqdm import tqdm

import harness
from harness.engine.edits import SamplerError
from harness.engine.engine import Engine
from harness.engine.generator import Generation, Job
from harness.engine.proxy import ModelError
from harness.engine.sharing import Forwards, Sharing
from harness.errors import RunError
from harness.executors.fit import batch_size
from harness.executors.memory import halved
from harness.executors.plan import PlannedCell
from harness.spec import PLANNED_ROWS, BatchSize
from harness.store import CellStore, GenerationRecord, SampleKey
from harness.task import Request

FLUSH_SECONDS = 2.0
"""Finished samples wait at most this long for their commit: an fsync a sample would cost more than the sample."""
COMMIT_SHARE = 0.1
"""Where commits are slow (a network disk, a cell shared with others), they wait longer: to take this share at most."""

Note = Mapping[str, str | int]
"""What a run depends on and its tokens should not: kept as provenance, no part of a cell's identity."""


@dataclass(frozen=True)
class Options:
    """How to run, none of which changes what is asked of the model."""

    batch_size: BatchSize = PLANNED_ROWS
    device: str = "cpu"
    trace: bool = False


class Wanted(NamedTuple):
    """One sample of one cell."""

    cell: str
    key: SampleKey


class Maker:
    """Makes samples of a group of cells of one model and task.

    The engine is told of all of the group's jobs, whoever makes them: it shapes its batches by them, so that a sample
    is the same, bit by bit, however the group is divided.
    """

    def __init__(self, group: Sequence[PlannedCell], model: Any, options: Options) -> None:
        self.label = label(group)
        requests: dict[str, Request] = {}
        self._jobs = [job for cell in group for job in cell.jobs(requests)]
        self._model = model
        self._options = options
        self._size = batch_size(options.batch_size, model, self._jobs, options.device)
        self._sharing = Sharing(torch.device(options.device))

    @property
    def forwards(self) -> Forwards:
        """What was charged and computed of all that was made."""
        return self._sharing.forwards

    def make(self, wanted: Collection[Wanted], begin: Callable[[Note], None]) -> Iterator[list[Generation]]:
        """What is wanted, in batches for a commit; `begin` is told under what it will be made, before it is.

        Out of memory, the batch size is halved, and what is not yet made is begun again. Raises RunError where the
        model or the sampler fails, or not even a single row fits.
        """
        left = set(wanted)
        while True:
            begin({**versions(), "device": self._options.device, "batch_size": self._size})
            try:
                engine = Engine(self._model, self._size, self._options.trace, self._sharing)
                for batch in _batches(engine.generate(self._jobs, lambda job: wanted_of(job) not in left)):
                    left.difference_update(wanted_of(made.job) for made in batch)
                    yield batch
                return
            except torch.OutOfMemoryError as error:
                self._size = halved(self._size, self.label, error)
            except (ModelError, SamplerError) as error:
                raise RunError(f"{self.label}: {error}. What was made before is kept.") from error


def _batches(generations: Iterator[Generation]) -> Iterator[list[Generation]]:
    """Generations gathered for a commit; what is finished is handed on even when the run is interrupted or fails."""
    batch: list[Generation] = []
    since, pause = time.monotonic(), FLUSH_SECONDS
    try:
        for generation in generations:
            batch.append(generation)
            if (now := time.monotonic()) - since > pause:
                yield batch
                batch, since = [], time.monotonic()
                pause = max(FLUSH_SECONDS, (since - now) / COMMIT_SHARE)
    except (Exception, KeyboardInterrupt):
        yield batch
        raise
    yield batch


def samples_of(cells: Sequence[PlannedCell]) -> set[Wanted]:
    """All samples that `cells` are to hold."""
    return {
        Wanted(cell.spec.id, SampleKey(document.id, i))
        for cell in cells
        for document in cell.documents
        for i in range(cell.samples)
    }


def lacking(samples: Collection[Wanted], stores: Mapping[str, CellStore]) -> set[Wanted]:
    """Those of the samples that are not committed."""
    done = {cell: store.done() for cell, store in stores.items()}
    return {each for each in samples if each.key not in done[each.cell]}


def records(batch: Sequence[Generation]) -> dict[str, list[GenerationRecord]]:
    """A batch as it is committed, by cell."""
    by_cell: dict[str, list[GenerationRecord]] = defaultdict(list)
    for made in batch:
        record = GenerationRecord(wanted_of(made.job).key, made.output, made.cost.as_dict(), made.trace)
        by_cell[made.job.cell].append(record)
    return by_cell


def commit(batch: Mapping[str, Sequence[GenerationRecord]], stores: Mapping[str, CellStore]) -> None:
    """Commit a batch to cells whose locks are held."""
    for cell, of_cell in batch.items():
        stores[cell].append(of_cell)


@contextmanager
def progress(name: str, left: int, there: int) -> Iterator[Any]:
    """A progress bar on a terminal, else one line at the end."""
    with tqdm(total=left, desc=name, unit="sample", disable=None, dynamic_ncols=True) as bar:
        yield bar
    if not sys.stderr.isatty():
        print(f"{name}: {left} samples made, {there} were there", file=sys.stderr)


def label(group: Sequence[PlannedCell]) -> str:
    """Model and task of a group, as messages name them."""
    return f"{group[0].spec.model.name} · {group[0].spec.task.name}"


def wanted_of(job: Job) -> Wanted:
    """The sample that a job makes."""
    return Wanted(job.cell, SampleKey(job.request.document, job.sample))


def versions() -> dict[str, str | int]:
    """What the run depends on and its tokens should not."""
    return {
        "harness": harness.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "platform": platform.platform(),
    }
