"""`batch_size: auto`: as many rows as the device's memory holds, found from what one row takes at its first step."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import torch

from harness.engine.engine import Engine
from harness.engine.generator import Job
from harness.engine.rows import RowEncoder
from harness.spec import PLANNED_ROWS, BatchSize

SHARE = 0.7
"""Of the free memory, what a batch may take: shared answers are kept beside it, and allocators lose some."""
MOST = 256
"""Rows beyond which no device gets faster, and a finished row waits long for its commit."""


class Meter(Protocol):
    """What a device tells of its memory."""

    def free(self) -> int:
        """Bytes that could be had now."""

    def peak(self, work: Callable[[], object]) -> int:
        """Bytes that `work` takes at its peak, beyond what was taken before."""


class Cuda:
    """The memory of a CUDA device, as PyTorch's allocator sees it."""

    def __init__(self, device: torch.device) -> None:
        self._device = device

    def free(self) -> int:
        cached = torch.cuda.memory_reserved(self._device) - torch.cuda.memory_allocated(self._device)
        return torch.cuda.mem_get_info(self._device)[0] + cached

    def peak(self, work: Callable[[], object]) -> int:
        torch.cuda.reset_peak_memory_stats(self._device)
        before = torch.cuda.memory_allocated(self._device)
        work()
        return torch.cuda.max_memory_allocated(self._device) - before


def batch_size(asked: BatchSize, model: Any, jobs: Sequence[Job], device: str) -> int:
    """The rows of a batch: as asked, or as many as fit. Off CUDA, where a larger batch gains little and nobody tells
    what a row takes, `PLANNED_ROWS`."""
    if asked != "auto":
        return asked
    where = torch.device(device)
    return rows_that_fit(model, jobs, Cuda(where)) if where.type == "cuda" else PLANNED_ROWS


def rows_that_fit(model: Any, jobs: Sequence[Job], meter: Meter) -> int:
    """A power of two, at most `MOST`, of rows of any of `jobs`.

    Of each kind of job the longest row is begun alone, and its first step, where most is masked, measured. What does
    not grow with the batch is counted as if it did. Where not even one row fits, 1: the run itself then says so.
    """
    fits = MOST
    for job in _dearest(model, jobs):
        try:
            row = meter.peak(partial(_first_step, model, job))
        except torch.OutOfMemoryError:
            return 1
        fits = min(fits, int(SHARE * meter.free() / max(row, 1)))
    return 1 << max(fits, 1).bit_length() - 1


def _dearest(model: Any, jobs: Iterable[Job]) -> list[Job]:
    """The longest job of each sampler with its parameters, guided or not."""
    encoder = RowEncoder(model)
    longest: dict[tuple[Any, ...], tuple[int, Job]] = {}
    for job in jobs:
        size = max(encoder.outline(request).length for request in job.request.rows)
        kind = job.sampler, job.decoding.guidance != 0
        if kind not in longest or longest[kind][0] < size:
            longest[kind] = size, job
    return [job for _, job in longest.values()]


class _Enough(Exception):
    """The first step is over."""


class _FirstStep:
    """A model that stops whoever asks it for a second step."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._asked = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def logits(self, *inputs: Any) -> Any:
        self._ask()
        return self._model.logits(*inputs)

    def network(self, condition: Mapping[str, Any], inputs: Mapping[str, Any]) -> Any:
        self._ask()
        return self._model.network(condition, inputs)

    def _ask(self) -> None:
        if self._asked:
            raise _Enough
        self._asked = True


def _first_step(model: Any, job: Job) -> None:
    try:
        for _ in Engine(_FirstStep(model), 1).generate([job]):
            return
    except _Enough:
        return
