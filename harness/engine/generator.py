"""What the harness runs: jobs in, generations out. The canvas engine is one generator; a model that is no token canvas
(continuous diffusion, an autoregressive baseline, a one-step student) brings its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from harness.engine.cost import Cost
from harness.samplers.info import SamplerInfo
from harness.spec import Decoding
from harness.task import Output, Request

Trace = list[dict[str, list[int]]]
"""One entry a step: `commit` and `remask` positions (counted from the first generated one), `tokens` committed."""


@dataclass(frozen=True)
class Job:
    """One sample to make: what is asked, by which sampler, at which budget and seed, for which cell."""

    cell: str
    request: Request
    sample: int
    sampler: Any
    info: SamplerInfo
    decoding: Decoding
    budget: int | None
    seed: int


@dataclass(frozen=True)
class Generation:
    """One sample made."""

    job: Job
    output: Output
    cost: Cost
    trace: Trace | None = None


@runtime_checkable
class Generator(Protocol):
    """Makes samples. Yields each as soon as it is finished, in any order."""

    def generate(self, jobs: Sequence[Job], done: Callable[[Job], bool]) -> Iterator[Generation]:
        """Make every job that is not `done`. Batches are shaped by all `jobs`, so that a resumed run has the shapes
        (and the rounding) of an uninterrupted one."""
