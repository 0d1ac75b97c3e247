"""The time that a sampler adds to its model: what a step of the engine takes beyond the forward passes in it.

Both are measured in the same steps of the same run, so that whatever else slows the machine slows both.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from harness.canvas import Ask, Edit, StepView
from harness.components import make_sampler
from harness.engine.generator import Job
from harness.engine.loop import CanvasEngine
from harness.models.base import Inputs
from harness.models.random_llama import RandomDenoiser, Shape
from harness.samplers import samplers
from harness.spec import Decoding, SamplerSpec
from harness.task import Request

WARM_UP = 1


@dataclass(frozen=True)
class StepTime:
    """One step: seconds inside the model, seconds of everything else, and model calls."""

    forward: float
    beyond: float
    calls: int


@dataclass(frozen=True)
class Overhead:
    """The steps of one sampler at one temperature; each statistic is its first quartile, median and third quartile."""

    sampler: str
    temperature: float
    steps: tuple[StepTime, ...]

    @property
    def calls(self) -> float:
        """Median number of model calls of a step."""
        return float(np.median([step.calls for step in self.steps]))

    @property
    def forward(self) -> tuple[float, float, float]:
        """Seconds of a step inside the model."""
        return quartiles([step.forward for step in self.steps])

    @property
    def beyond(self) -> tuple[float, float, float]:
        """Seconds of a step outside the model."""
        return quartiles([step.beyond for step in self.steps])

    @property
    def share(self) -> tuple[float, float, float]:
        """`beyond / forward` of a step, paired."""
        return quartiles([step.beyond / step.forward for step in self.steps])


class TimedDenoiser(RandomDenoiser):
    """A random model of LLaDA's shape that keeps the time of its calls since the last `restart`."""

    def restart(self) -> tuple[float, int]:
        """Seconds and calls until now; both begin again from zero."""
        spent = self.__dict__.get("_seconds", 0.0), self.__dict__.get("_calls", 0)
        self._seconds, self._calls = 0.0, 0
        return spent

    def logits(self, inputs: Inputs, index: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        """As the parent's."""
        start = now(self.device)
        result = super().logits(inputs, index)
        self._seconds += now(self.device) - start
        self._calls += 1
        return result


class _Enough(Exception):
    """All steps that were wanted are timed."""


def now(device: torch.device) -> float:
    """Seconds, once the device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def model(shape: Shape, positions: int, device: str) -> TimedDenoiser:
    """The model that samplers are timed on."""
    return TimedDenoiser(shape, positions, device=device)


def measure(name: str, temperature: float, denoiser: TimedDenoiser, batch: int, repeats: int) -> Overhead:
    """`repeats` steps of the sampler `name` at its defaults, after a warm-up, from a canvas that is all masked.

    Where the knob is `steps`, there are as many as positions. Steps that call no model are not counted.
    """
    info = samplers[name].info
    offered = denoiser.capabilities - {"grid"}
    denoiser.capabilities = offered | {"grid"} if "grid" in info.needs else offered
    steps: list[StepTime] = []
    sampler = _timed(make_sampler(SamplerSpec(name=name)), denoiser, steps, WARM_UP + repeats)
    decoding, budget = Decoding(temperature=temperature), denoiser.length if info.knob == "steps" else None
    # A sample takes one step at least, and the last step is never timed.
    jobs = [Job("bench", Request("0"), i, sampler, info, decoding, budget, 0) for i in range((repeats + 3) * batch)]
    try:
        for _ in CanvasEngine(denoiser, batch).generate(jobs):
            pass
    except _Enough:
        pass
    return Overhead(name, temperature, tuple(steps[WARM_UP:]))


def _timed(sampler: Any, denoiser: TimedDenoiser, steps: list[StepTime], wanted: int) -> Any:
    """The sampler as a subclass of itself that adds to `steps` the time from the beginning of each to the next."""
    cls = type(sampler)
    begun: list[float] = []

    def step(self: Any, view: StepView, ask: Ask) -> Edit:
        moment = now(denoiser.device)
        seconds, calls = denoiser.restart()
        if begun and calls:
            steps.append(StepTime(seconds, moment - begun[-1] - seconds, calls))
        if len(steps) == wanted:
            raise _Enough
        begun[:] = [now(denoiser.device)]
        edit: Edit = cls.step(self, view, ask)
        return edit

    fields = {field.name: getattr(sampler, field.name) for field in dataclasses.fields(sampler)}
    return type(cls.__name__, (cls,), {"step": step})(**fields)


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
    return float(low), float(middle), float(high)
