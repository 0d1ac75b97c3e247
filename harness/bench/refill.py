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
from harness.engine.rows import RowEncoder, group_jobs

_HEADER = (
    "| batch | largest of a batch / mean | row-forwards, waiting | refilled | ratio | slots busy | waiting, s "
    "| refilled, s | ratio | rows equal |",
    "|" + " ---: |" * 10,
)


@dataclass(frozen=True)
class Refill:
    """Repeats of the same jobs.

    batch            rows side by side
    nfe              of each row
    waiting, filled  seconds of each repeat, of batches that wait and of slots that are refilled
    computed         rows of all forward passes, idle slots among them, of both
    agree            share of rows with the same tokens; a batch of another shape may round otherwise
    """

    batch: int
    nfe: tuple[int, ...]
    waiting: tuple[float, ...]
    filled: tuple[float, ...]
    computed: tuple[int, int]
    agree: float


def compare(model: Any, jobs: Sequence[Job], batch: int, repeats: int) -> Refill:
    """The `jobs` in batches of `batch` rows, `repeats` times each way, after a warm-up of one batch."""
    counted, device = Counted(model), model.device
    engine = Engine(counted, batch)
    # Each of rows that may share a batch, as a loop without refilling would have them too.
    alike = group_jobs(jobs, RowEncoder(model))
    chunks = [group[i : i + batch] for group in alike for i in range(0, len(group), batch)]
    list(engine.generate(chunks[0]))
    waiting, filled, computed = [], [], 0
    made: list[Generation] = []
    apart: list[Generation] = []
    for _ in range(repeats):
        counted.rows, start = 0, now(device)
        apart = [one for chunk in chunks for one in engine.generate(chunk)]
        middle, computed = now(device), counted.rows
        made = list(engine.generate(jobs))
        filled.append(now(device) - middle)
        waiting.append(middle - start)
    both = computed, counted.rows - computed
    tokens = {_key(one.job): one.output.tokens for one in apart}
    same = [tokens[_key(one.job)] == one.output.tokens for one in made]
    nfe = tuple(one.cost.nfe for one in made)
    return Refill(batch, nfe, tuple(waiting), tuple(filled), both, float(np.mean(same)))


def _key(job: Job) -> tuple[str, str, int]:
    return job.cell, job.request.document, job.sample


def largest(values: Sequence[int], batch: int) -> float:
    """The expected largest of `batch` draws from `values`."""
    ordered, count = np.sort(values), len(values)
    return float(ordered @ np.diff((np.arange(count + 1) / count) ** batch))


def table(found: Sequence[Refill], told: Mapping[str, str], device: str) -> str:
    """Markdown with the spread of the rows' NFE, and one line for each batch size."""
    nfe = np.array(found[0].nfe)
    variation = nfe.std() / nfe.mean()
    spread_of_rows = f"mean {nfe.mean():.4g}, largest {nfe.max()}, coefficient of variation {variation:.2f}"
    facts = {**machine(device), **told, "NFE of a row": spread_of_rows}
    lines = [f"* {name}: {value}" for name, value in facts.items()]
    return "\n".join(["# Slots that are refilled\n", *lines, "", *_HEADER, *map(_line, found), ""])


def _line(row: Refill) -> str:
    ratios = (np.array(row.waiting) / np.array(row.filled)).tolist()
    cells = [
        str(row.batch),
        f"{largest(row.nfe, row.batch) / np.mean(row.nfe):.2f}",
        *map(str, row.computed),
        f"{row.computed[0] / row.computed[1]:.2f}",
        ", ".join(f"{sum(row.nfe) / rows:.0%}" for rows in row.computed),
        *(spread(quartiles(each), "{:.3g}") for each in (row.waiting, row.filled, ratios)),
        f"{row.agree:.2%}",
    ]
    return f"| {' | '.join(cells)} |"
