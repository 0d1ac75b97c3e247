"""What the harness runs: jobs in, generations out. The canvas engine runs samplers; what is no token canvas (continuous
diffusion, an autoregressive baseline, a one-step student) brings a generator of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from harness.canvas import Canvas, Count, Draws
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


class Generator(Protocol):
    """What makes whole outputs by a loop of its own. A frozen dataclass of parameters, registered, configured and swept
    like a sampler; `needs` names what it asks of a model.

    It keeps nothing on `self`, draws only from `rng`, and what becomes of a row depends on that row alone.
    """

    def generate(self, requests: Canvas, budget: int | None, rng: Draws, count: Count) -> Tensor:
        """(B, L): the tokens (int64) or values (floating) of each request, read where it is `editable`, and made into
        outputs by the model's `decode`. `budget` steps, where the knob is `steps`, are the same for all rows; the
        tokens of `requests` are the prompts, with the model's mask id where something is to be made."""
