"""Runs jobs on a model: samplers by the canvas engine, generators by themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from harness.canvas import Canvas, Draws
from harness.engine import rng
from harness.engine.cost import Cost, Meter
from harness.engine.door import CountingDoor
from harness.engine.generator import Generation, Job
from harness.engine.loop import CanvasEngine
from harness.engine.parts import run_parts
from harness.engine.rows import RowEncoder, group_jobs, nothing, until_end
from harness.engine.sharing import Sharing
from harness.engine.turns import run_turns
from harness.models.base import Network


class Engine:
    """All that a model can run, of which `CanvasEngine` and `GeneratorEngine` are the halves; arguments as there."""

    def __init__(self, model: Any, batch_size: int = 32, trace: bool = False, sharing: Sharing | None = None) -> None:
        self._batch_size = batch_size
        self._samplers = CanvasEngine(model, batch_size, trace, sharing)
        self._generators = GeneratorEngine(model, batch_size)

    def generate(self, jobs: Sequence[Job], done: Callable[[Job], bool] = lambda job: False) -> Iterator[Generation]:
        """Make every job that is not `done`, and yield each as soon as it is finished, in any order.

        Batches are shaped by all `jobs`, so that a resumed run has the shapes (and the rounding) of an uninterrupted
        one.
        """
        yield from self._answer([job for job in jobs if not job.request.then], done)
        yield from run_turns([job for job in jobs if job.request.then], done, self._answer, self._batch_size)

    def _answer(self, jobs: Sequence[Job], done: Callable[[Job], bool]) -> Iterator[Generation]:
        """The same for jobs of one turn."""
        yield from self._samplers.generate([job for job in jobs if job.info.writes], done)
        yield from run_parts([job for job in jobs if job.info.estimates], done, self._samplers.generate)
        yield from self._generators.generate([job for job in jobs if job.info.generator], done)


class GeneratorEngine:
    """Runs generators. A batch has `batch_size` rows, or as many as there are of its kind: idle rows are copies of one
    of its jobs, which nothing reads, so that its shape stays the same however many are left to do."""

    def __init__(self, model: Network, batch_size: int = 32) -> None:
        self._model = model
        self._batch_size = batch_size

    def generate(self, jobs: Sequence[Job], done: Callable[[Job], bool] = lambda job: False) -> Iterator[Generation]:
        """See `Engine.generate`."""
        encoder = RowEncoder(self._model)
        yield from (nothing(job, self._model) for job in jobs if not encoder.generates(job) and not done(job))
        for group in group_jobs([job for job in jobs if encoder.generates(job)], encoder):
            for alike in _alike(group):
                slots = min(self._batch_size, len(alike))
                left = [job for job in alike if not done(job)]
                for start in range(0, len(left), slots):
                    yield from self._batch(encoder, left[start : start + slots], slots)

    @torch.inference_mode()
    def _batch(self, encoder: RowEncoder, jobs: Sequence[Job], slots: int) -> list[Generation]:
        """The generations of `jobs`, which differ in document, sample and seed only."""
        first, model = jobs[0], self._model
        requests = encoder.canvas([*jobs, *[first] * (slots - len(jobs))])
        meter = Meter(slots, model.device)
        door = CountingDoor(model, meter, requests, guided=first.decoding.guidance != 0)
        made = first.sampler.generate(requests, first.budget, _draws(requests), door)
        if made.shape != requests.tokens.shape:
            shape = tuple(requests.tokens.shape)
            raise TypeError(f"{type(first.sampler).__name__} returned {tuple(made.shape)} values; it must be {shape}")
        values, editable = made.tolist(), requests.editable.tolist()
        depth, nfe = meter.depth.tolist(), meter.nfe.tolist()
        forwards, flops = meter.token_forwards.tolist(), meter.flops.tolist()
        generations = []
        for i, job in enumerate(jobs):
            own = [value for value, mine in zip(values[i], editable[i], strict=True) if mine]
            own = until_end(own, model.eos_ids)
            known = flops[i] if flops[i] == flops[i] else None
            cost = Cost(depth[i], nfe[i], nfe[i], forwards[i], known, len(own))
            generations.append(Generation(job, model.decode(own), cost))
        return generations


def _alike(group: Sequence[Job]) -> list[list[Job]]:
    """The jobs of a group by generator, budget and decoding."""
    kinds: dict[Any, list[Job]] = {}
    for job in group:
        kinds.setdefault((job.sampler, job.budget, job.decoding.temperature, job.decoding.guidance), []).append(job)
    return list(kinds.values())


def _draws(requests: Canvas) -> Draws:
    def draws(purpose: str, step: int, length: int) -> Tensor:
        steps = torch.full_like(requests.seed, step)
        return rng.uniform(requests.seed, purpose, requests.document, requests.sample, steps, length)

    return draws
