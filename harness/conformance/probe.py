"""A sampler under test: its settings, a small random model to run it on, and a record of every edit that it makes."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import torch

from harness.canvas import Ask, Canvas, Edit, StepView
from harness.components import make_sampler
from harness.engine.generator import Generation, Job
from harness.engine.loop import CanvasEngine
from harness.errors import UserError
from harness.models.random_llama import RandomDenoiser, Shape
from harness.samplers import SamplerInfo, samplers
from harness.spec import Decoding, SamplerSpec
from harness.task import Request

Model = TypeVar("Model", bound=RandomDenoiser)

LENGTH = 8
SHAPE = Shape(vocab_size=11, width=16, depth=2, heads=2)
BUDGETS = (1, 3, 5, LENGTH, 14)
TEMPERATURES = (0.0, 1.0)


class Failed(Exception):
    """A check did not pass; the message says what was seen."""


class NotApplicable(Exception):
    """A check does not concern this sampler; the message says why."""


@dataclass(frozen=True)
class Setting:
    """Arguments that differ from the defaults, and the budget where the knob is `steps`."""

    args: Mapping[str, Any]
    budget: int | None

    def __str__(self) -> str:
        parts = [f"{name}={value}" for name, value in self.args.items()]
        return ", ".join(parts + ([] if self.budget is None else [f"budget {self.budget}"])) or "defaults"


@dataclass(frozen=True)
class Step:
    """One step of one row: what the sampler saw, what it returned, and how often it called the model."""

    before: Canvas
    edit: Edit
    calls: int


@dataclass(frozen=True)
class Record:
    """One sample from its first step to its last. `error` is what ended it early: the last step may have caused it."""

    setting: Setting
    temperature: float
    steps: list[Step] = field(default_factory=list)
    made: Generation | None = None
    error: Exception | None = None

    def __str__(self) -> str:
        return f"{self.setting}, temperature {self.temperature:g}"


class Probe:
    """The registered sampler `name`, and everything that the checks ask of it."""

    def __init__(self, name: str) -> None:
        entry = samplers[name]
        self.name = name
        self.info: SamplerInfo = entry.info
        if not self.info.writes:
            kind = "is a generator" if self.info.generator else "estimates likelihoods"
            raise UserError(f"{name!r} {kind}; the checks are of samplers, which edit a canvas step by step.")
        self.cls: Any = entry.load()

    @property
    def revises(self) -> bool:
        """Whether it may change what it has committed."""
        return self.info.may_remask or self.info.may_overwrite

    @property
    def settings(self) -> list[Setting]:
        """The budgets, or the default and the sweep of the knob."""
        if self.info.knob == "steps":
            return [Setting({}, budget) for budget in BUDGETS]
        return [Setting({}, None), *(Setting({self.info.knob or "": value}, None) for value in self.info.sweep)]

    @property
    def ends(self) -> list[Setting]:
        """The default and both ends of the sweep, for checks that run each setting several times."""
        if self.info.knob == "steps":
            return self.settings[::2]
        return [*self.settings[:2], *self.settings[2:][-1:]]

    def model(self, **options: Any) -> RandomDenoiser:
        """A random model that offers what the sampler declares to need, and nothing else unless `options` say so."""
        return self.variant(RandomDenoiser, **options)

    def variant(self, kind: type[Model], **options: Any) -> Model:
        """The same of another `kind`.

        In float64 with logits in float32, so that the rounding of another batch shape all but never shows.
        """
        options = {"capabilities": self.info.needs, "prompt": (3, 1, 4, 1), **options}
        return kind(SHAPE, LENGTH, dtype=torch.float64, **options)

    def job(self, setting: Setting, document: str = "0", cell: str = "cell", **changes: Any) -> Job:
        """A job at `setting`; `changes` are `temperature`, `guidance`, `length`, `label`, or fields of Job."""
        decoding = Decoding(temperature=changes.pop("temperature", 1.0), guidance=changes.pop("guidance", 0.0))
        label = changes.pop("label", 1 + int(document) % 3)
        request = Request(document, length=changes.pop("length", None), condition={"label": label})
        sampler = make_sampler(SamplerSpec(name=self.name, args=dict(setting.args)))
        settings: dict[str, Any] = {"info": self.info, "sample": 0, "seed": 0, "budget": setting.budget, **changes}
        return Job(cell=cell, request=request, sampler=sampler, decoding=decoding, **settings)

    @cached_property
    def records(self) -> list[Record]:
        """A sample at each setting and temperature, alone in its batch."""
        return self.records_on(self.model(), self.settings)

    def records_on(self, model: RandomDenoiser, settings: Sequence[Setting]) -> list[Record]:
        """A sample on `model` at each of `settings` and at each temperature."""
        return [record(self, model, setting, t) for setting in settings for t in TEMPERATURES]


def generate(model: RandomDenoiser, jobs: Sequence[Job], batch_size: int, trace: bool = True) -> list[Generation]:
    """The generations of `jobs`, in their order."""
    made = {id(one.job): one for one in CanvasEngine(model, batch_size, trace).generate(jobs)}
    return [made[id(job)] for job in jobs]


def record(probe: Probe, model: RandomDenoiser, setting: Setting, temperature: float) -> Record:
    """One sample with all its steps; whatever the sampler or the engine raises is kept, not raised."""
    steps: list[Step] = []
    job = probe.job(setting, temperature=temperature)
    try:
        (made,) = generate(model, [dataclasses.replace(job, sampler=_recorded(job.sampler, steps))], 1)
    except Exception as error:
        return Record(setting, temperature, steps, error=error)
    return Record(setting, temperature, steps, made)


def _recorded(sampler: Any, steps: list[Step]) -> Any:
    """The sampler as a subclass of itself that adds every step to `steps`."""
    cls = type(sampler)

    def step(self: Any, view: StepView, ask: Ask) -> Edit:
        calls = 0

        def counted(*query: Any) -> Any:
            nonlocal calls
            calls += 1
            return ask(*query)

        edit: Edit = cls.step(self, view, counted)
        steps.append(Step(view.canvas, edit, calls))
        return edit

    fields = {f.name: getattr(sampler, f.name) for f in dataclasses.fields(sampler)}
    return type(cls.__name__, (cls,), {"step": step})(**fields)
