"""What a sampler says of itself in the registry and in its parameters."""

from __future__ import annotations

import dataclasses

from harness.components import make_sampler
from harness.conformance.probe import Failed, NotApplicable, Probe
from harness.engine.rows import RowEncoder
from harness.samplers.base import stack
from harness.spec import SamplerSpec

CAPABILITIES = {
    *("guidance", "positions", "attention_bias", "time", "attention", "embeddings", "schedule", "start"),
    "grid",
}


def source(probe: Probe) -> None:
    """It has a summary, a citation, and the cost of a step in words."""
    empty = [name for name in ("summary", "citation", "cost") if not getattr(probe.info, name).strip()]
    if empty:
        raise Failed(f"{', '.join(empty)} is empty")


def frozen(probe: Probe) -> None:
    """It is a frozen dataclass."""
    options = getattr(probe.cls, "__dataclass_params__", None)
    if options is None or not options.frozen:
        raise Failed(f"{probe.cls.__name__} lacks @dataclass(frozen=True)")


def parameters(probe: Probe) -> None:
    """Every parameter has a doc and a default in its range."""
    for field in dataclasses.fields(probe.cls):
        if not field.metadata.get("doc"):
            raise Failed(f"{field.name} has no doc: declare it with param(default, doc, …)")
        if field.default is dataclasses.MISSING:
            raise Failed(f"{field.name} has no default")
        make_sampler(SamplerSpec(name=probe.name, args={field.name: field.default}))


def knob(probe: Probe) -> None:
    """The knob is `steps`, a parameter, or None."""
    names = [field.name for field in dataclasses.fields(probe.cls)]
    if probe.info.knob not in ("steps", None, *names):
        raise Failed(f"the knob is {probe.info.knob!r}; the parameters are {', '.join(names) or 'none'}")


def sweep(probe: Probe) -> None:
    """A knob that is a parameter has a sweep of legal values."""
    if probe.info.knob in ("steps", None):
        if probe.info.sweep:
            raise Failed(f"there is a sweep, but the knob is {probe.info.knob!r}")
        raise NotApplicable(f"the knob is {probe.info.knob!r}")
    if not probe.info.sweep:
        raise Failed(f"the knob is {probe.info.knob!r}, but there is no sweep")
    for value in probe.info.sweep:
        make_sampler(SamplerSpec(name=probe.name, args={probe.info.knob: value}))


def needs(probe: Probe) -> None:
    """What it needs are capabilities, and it asks the model for nothing else."""
    if unknown := probe.info.needs - CAPABILITIES:
        raise Failed(f"needs names {', '.join(sorted(unknown))}; there are {', '.join(sorted(CAPABILITIES))}")
    for record in probe.records:
        if record.error is not None and "does not offer" in str(record.error):
            raise Failed(f"{record}: {record.error}; it is not among its needs")


def state(probe: Probe) -> None:
    """The first axis of every state tensor is the row."""
    model = probe.model()
    jobs = [probe.job(probe.settings[0], document=document) for document in "012"]
    made = stack([job.sampler for job in jobs], model.device).init(RowEncoder(model).canvas(jobs))
    for name, value in made.items():
        if value.dim() == 0 or len(value) != len(jobs):
            raise Failed(f"{name} has shape {tuple(value.shape)} for {len(jobs)} rows")
    if not made:
        raise NotApplicable("it keeps no state")


CHECKS = (source, frozen, parameters, knob, sweep, needs, state)
