"""Slots that are refilled as rows finish, against batches that wait for their slowest row: the same jobs by turns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.bench.overhead import now, quartiles
from harness.bench.speed import Counted
from harness.bench.table import machine, spread
from harness.engine.engine import Engine
from harness.engine.generator import Generation, Job


@dataclass(frozen=True)
class Refill:
    """Repeats of the same jobs.

    nfe              of each row
    waiting, filled  seconds of each repeat, of batches that wait and of slots that are refilled
    calls            forward passes of a whole batch, of both
    agree            share of rows with the same tokens; a batch of another shape may round otherwise
    """

    nfe: tuple[int, ...]
    waiting: tuple[float, ...]
    filled: tuple[float, ...]
    calls: tuple[int, int]
    agree: float


def compare(model: Any, jobs: Sequence[Job], batch: int, repeats: int) -> Refill:
    """The `jobs` in batches of `batch` rows, `repeats` times each way, after a warm-up of one batch."""
    counted, device = Counted(model), model.device
    engine = Engine(counted, batch)
    chunks = [jobs[i : i + batch] for i in range(0, len(jobs), batch)]
    list(engine.generate(chunks[0]))
    waiting, filled, calls = [], [], 0
    made: list[Generation] = []
    apart: list[Generation] = []
    for _ in range(repeats):
        counted.calls, start = 0, now(device)
        apart = [one for chunk in chunks for one in engine.generate(chunk)]
        middle, calls = now(device), counted.calls
        made = list(engine.generate(jobs))
        filled.append(now(device) - middle)
        waiting.append(middle - start)
    both = calls, counted.calls - calls
    tokens = {_key(one.job): one.output.tokens for one in apart}
    same = [tokens[_key(one.job)] == one.output.tokens for one in made]
    return Refill(tuple(one.cost.nfe for one in made), tuple(waiting), tuple(filled), both, float(np.mean(same)))


def _key(job: Job) -> tuple[str, str, int]:
    return job.cell, job.request.document, job.sample


def table(found: Refill, told: Mapping[str, str], device: str) -> str:
    """Markdown with the spread of the rows' NFE and the ratio of times."""
    nfe = np.array(found.nfe)
    variation = nfe.std() / nfe.mean()
    ratios = (np.array(found.waiting) / np.array(found.filled)).tolist()
    facts = {
        **machine(device),
        **told,
        "NFE of a row": f"mean {nfe.mean():.4g}, largest {nfe.max()}, coefficient of variation {variation:.2f}",
        "forward passes of a batch": f"{found.calls[0]} waiting, {found.calls[1]} refilled, "
        f"{found.calls[0] / found.calls[1]:.2f} times as many",
        "rows with the same tokens": f"{found.agree:.2%}",
    }
    cells = [spread(quartiles(each), "{:.3g}") for each in (found.waiting, found.filled, ratios)]
    return "\n".join(
        [
            "# Slots that are refilled\n",
            *(f"* {name}: {value}" for name, value in facts.items()),
            "",
            "| batches that wait, s | refilled slots, s | ratio |",
            "| ---: | ---: | ---: |",
            f"| {' | '.join(cells)} |",
            "",
        ]
    )
