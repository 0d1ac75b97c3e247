"""What must hold of whole runs: the same tokens however the rows are batched, honest costs, clear errors."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence
from typing import Any

import torch

from harness.conformance.models import Poisoned, Unguidable
from harness.conformance.probe import LENGTH, TEMPERATURES, Failed, NotApplicable, Probe, Setting, generate
from harness.engine.generator import Generation, Job
from harness.engine.proxy import ModelError
from harness.engine.rng import document_key
from harness.samplers.base import shared_parameters

_ENDS = (1, 2)


def deterministic(probe: Probe) -> None:
    """The same seed gives the same tokens, and the global generator is neither read nor moved."""
    model, jobs = probe.model(), _mixed(probe)
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(1)
        before = torch.get_rng_state()
        first = _seen(generate(model, jobs, 8))
        if not torch.equal(torch.get_rng_state(), before):
            raise Failed("it drew from torch's global generator; view.random(purpose) is the one source of chance")
        torch.manual_seed(2)
        _compare(jobs, first, _seen(generate(model, jobs, 8)), "a second run")


def seeds(probe: Probe) -> None:
    """Another seed, sample or document gives other tokens at temperature 1."""
    setting = probe.settings[0]
    changes: tuple[dict[str, Any], ...] = ({}, {"seed": 1}, {"sample": 1}, {"document": "4"})
    jobs = [probe.job(setting, label=label, **change) for change in changes for label in (1, 2, 3)]
    texts = [one.output.tokens for one in generate(probe.model(), jobs, len(jobs))]
    groups = [tuple(texts[i : i + 3]) for i in range(0, len(texts), 3)]
    for change, group in zip(changes[1:], groups[1:], strict=True):
        if group == groups[0]:
            raise Failed(f"the same tokens with another {', '.join(change)}")


def independent(probe: Probe) -> None:
    """A row depends on itself alone: order, neighbours, refill, batch size, mixed budgets and knob values."""
    model, jobs = probe.model(), _mixed(probe)
    alone = [_seen(generate(model, [job], 1))[0] for job in jobs]
    order = list(range(len(jobs)))
    random.Random(0).shuffle(order)
    shuffled, reference = [jobs[i] for i in order], [alone[i] for i in order]
    for size in (3, 64):
        _compare(shuffled, reference, _seen(generate(model, shuffled, size)), f"batches of {size}")
    few, expected = shuffled[::3], reference[::3]
    _compare(few, expected, _seen(generate(model, few, 3)), "fewer neighbours")


def padding(probe: Probe) -> None:
    """Padding and neighbours of other lengths change neither tokens nor cost."""
    lengths = (LENGTH, 1, 5, 8)
    jobs = [probe.job(_slow(probe), document=str(i), length=length) for i, length in enumerate(lengths)]
    alone = [_seen(generate(probe.model(), [job], 1))[0] for job in jobs]
    _compare(jobs, alone, _seen(generate(probe.model(bucket=32), jobs, 3)), "a canvas of 32")


def capacity(probe: Probe) -> None:
    """It works on canvases of one position and of many more positions than steps."""
    for length in (1, 2 * LENGTH):
        (made,) = generate(probe.model(), [probe.job(probe.settings[-1], length=length)], 1)
        if len(made.output.tokens) != length:
            raise Failed(f"{len(made.output.tokens)} of {length} tokens")


def nan(probe: Probe) -> None:
    """NaN logits are an error that names the row."""
    jobs = [probe.job(probe.settings[0], document=d, label=Poisoned.POISON if d == "1" else 1) for d in "012"]
    try:
        generate(probe.variant(Poisoned), jobs, 3)
    except ModelError as error:
        if "row 1" not in str(error) or f"document key {document_key('1')}" not in str(error):
            raise Failed(f"the message is {error}") from None
        return
    raise Failed("the run went on")


def end_of_text(probe: Probe) -> None:
    """Stopping at the end of text changes nothing before it."""
    model = probe.model(eos=_ENDS)
    jobs = [probe.job(_slow(probe), document=str(i), seed=i, temperature=t) for i in range(4) for t in TEMPERATURES]
    # The engine stops no row of a sampler that may still change its tokens.
    info = dataclasses.replace(probe.info, may_remask=True)
    stopped = generate(model, jobs, 8)
    whole = generate(model, [dataclasses.replace(job, info=info) for job in jobs], 8)
    for job, short, long in zip(jobs, stopped, whole, strict=True):
        if short.output != long.output:
            raise Failed(f"{_label(job)}: {short.output.tokens}, and without stopping {long.output.tokens}")
    if not any(set(one.output.tokens) & set(_ENDS) for one in stopped):
        raise NotApplicable("no sample had an end of text")


def guidance(probe: Probe) -> None:
    """Guidance doubles the forwards, and changes no token where both halves agree."""
    model = probe.variant(Unguidable, capabilities=probe.info.needs | {"guidance"})
    for setting in probe.ends:
        plain, guided = (generate(model, [probe.job(setting, guidance=w)], 1)[0] for w in (0.0, 1.5))
        if guided.output != plain.output:
            raise Failed(f"{setting}: {guided.output.tokens}; unguided {plain.output.tokens}")
        if (guided.cost.nfe, guided.cost.depth) != (2 * plain.cost.nfe, plain.cost.depth):
            raise Failed(f"{setting}: {guided.cost.nfe} forwards; unguided {plain.cost.nfe}")


def _mixed(probe: Probe) -> list[Job]:
    """Jobs of several settings, with temperatures, seeds, samples and documents of all kinds."""
    return [
        probe.job(
            setting,
            document=str(i % 3),
            cell=f"{n}-{i}",
            sample=i,
            seed=(0, 2**32 - 1)[i],
            temperature=(0.0, 1.0, 0.7)[(n + i) % 3],
        )
        for n, setting in enumerate(probe.ends)
        for i in range(2)
    ]


def _slow(probe: Probe) -> Setting:
    """A setting of several steps."""
    return Setting({}, 5) if probe.info.knob == "steps" else Setting({}, None)


def _seen(made: Sequence[Generation]) -> list[tuple[Any, ...]]:
    return [(one.output.tokens, one.trace, one.cost) for one in made]


def _compare(jobs: Sequence[Job], expected: Sequence[Any], found: Sequence[Any], where: str) -> None:
    for job, old, new in zip(jobs, expected, found, strict=True):
        for name, one, other in zip(("tokens", "trace", "cost"), old, new, strict=True):
            if one != other:
                raise Failed(f"{_label(job)}: {name} in {where} {other}; before {one}")


def _label(job: Job) -> str:
    args = ", ".join(str(value) for value in shared_parameters(job.sampler)[1:])
    return f"budget {job.budget}, temperature {job.decoding.temperature:g}" + (f" ({args})" if args else "")


CHECKS = (deterministic, seeds, independent, padding, capacity, nan, end_of_text, guidance)
