"""A compiled model beside the same one uncompiled, and the fused pass beside the plain ones: by turns, in one run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch

from harness.bench.overhead import now, quartiles
from harness.bench.speed import Timed
from harness.bench.table import machine, spread
from harness.components import make_sampler
from harness.engine.generator import Job
from harness.engine.loop import CanvasEngine
from harness.models.compiling import compile_model
from harness.models.text.denoiser import TextDenoiser
from harness.prediction import Prediction
from harness.samplers import samplers
from harness.spec import Decoding, SamplerSpec
from harness.task import Request

STATISTICS: Mapping[str, Callable[[Prediction], object]] = {
    "confidence": lambda made: made.confidence,
    "margin": lambda made: made.margin,
    "entropy": lambda made: made.entropy,
    "all three, and a draw": lambda made: (
        made.margin,
        made.entropy,
        made.draw(torch.full_like(made.need, 0.5, dtype=torch.float64)),
    ),
}


@dataclass(frozen=True)
class Turns:
    """Seconds of each repeat, plain and compiled.

    first  seconds of the first compiled one, which compiles
    agree  share of generated tokens that are the same; None where nothing is generated
    """

    name: str
    plain: tuple[float, ...]
    compiled: tuple[float, ...]
    first: float
    agree: float | None = None


def passes(positions: int, vocab: int, device: torch.device, repeats: int) -> list[Turns]:
    """Of each of `STATISTICS`, from float32 logits (positions, vocab) that are drawn from a normal distribution."""
    logits = 3 * torch.randn(positions, vocab, generator=torch.Generator().manual_seed(0)).to(device)
    need, heat = torch.ones(1, positions, dtype=torch.bool, device=device), torch.ones(1, device=device)

    def seconds(statistic: Callable[[Prediction], object], fused: bool) -> float:
        start = now(device)
        statistic(Prediction(logits, need, heat, fused=fused))
        return now(device) - start

    found = []
    with torch.inference_mode():
        for name, statistic in STATISTICS.items():
            first = seconds(statistic, True)
            seconds(statistic, False)
            plain, compiled = zip(
                *[(seconds(statistic, False), seconds(statistic, True)) for _ in range(repeats)], strict=True
            )
            found.append(Turns(name, plain, compiled, first))
    return found


def models(plain: TextDenoiser, names: Sequence[str], steps: int, rows: Sequence[Request], repeats: int) -> list[Turns]:
    """Of the rows in one batch by each of the samplers, at temperature 0: the whole, the forwards and what is beyond
    them."""
    compiled = copy(plain)
    compiled.transformer = copy(plain.transformer)  # the same weights
    compile_model(compiled)
    found = []
    for name in names:
        info, sampler = samplers[name].info, make_sampler(SamplerSpec(name=name))
        jobs = [Job("bench", row, 0, sampler, info, Decoding(temperature=0.0), steps, 0) for row in rows]
        first = _run(compiled, [replace(job, budget=2) for job in jobs]).whole
        _run(plain, [replace(job, budget=2) for job in jobs])
        turns = [(_run(plain, jobs), _run(compiled, jobs)) for _ in range(repeats)]
        agree = float(np.mean([one.tokens == other.tokens for one, other in turns]))
        for part in ("whole", "forwards", "beyond"):
            one, other = (tuple(getattr(turn[i], part) for turn in turns) for i in range(2))
            found.append(Turns(f"`{name}`, {part}", one, other, first, agree))
    return found


class _Made(NamedTuple):
    """Tokens (rows, tokens), and seconds."""

    tokens: np.ndarray
    whole: float
    forwards: float

    @property
    def beyond(self) -> float:
        return self.whole - self.forwards


def _run(model: TextDenoiser, jobs: Sequence[Job]) -> _Made:
    timed = Timed(model)
    start = now(model.device)
    made = {one.job.request.document: one.output.tokens for one in CanvasEngine(timed, len(jobs)).generate(jobs)}
    seconds = now(model.device) - start
    return _Made(np.array([made[job.request.document] for job in jobs]), seconds, timed.seconds)


def table(found: Sequence[Turns], told: Mapping[str, str], device: str) -> str:
    """Markdown; ratios are of the same turn."""
    facts = [f"* {name}: {value}" for name, value in {**machine(device), **told}.items()]
    header = (
        "| what | plain, s | compiled, s | ratio | first time, s | tokens equal |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    )
    lines = []
    for one in found:
        ratios = (np.array(one.plain) / np.array(one.compiled)).tolist()
        cells = [spread(quartiles(each), "{:.3g}") for each in (one.plain, one.compiled, ratios)]
        agree = "" if one.agree is None else f"{one.agree:.1%}"
        lines.append(f"| {one.name} | {' | '.join(cells)} | {one.first:.3g} | {agree} |")
    return "\n".join(["# Compiled and plain\n", *facts, "", *header, *lines, ""])
