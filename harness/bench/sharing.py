"""A sweep whose samplers and budgets share answers of the network, against each row asking for itself, by turns."""

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
from harness.engine.sharing import Forwards, Sharing


@dataclass(frozen=True)
class Shared:
    """Repeats of the same jobs.

    temperature  of token draws
    forwards     sequence-forwards charged and computed where answers are shared
    calls        forward passes of a whole batch, without sharing and with it
    alone, together  seconds of each repeat, without sharing and with it
    agree        share of rows with the same tokens and the same cost
    """

    temperature: float
    forwards: Forwards
    calls: tuple[int, int]
    alone: tuple[float, ...]
    together: tuple[float, ...]
    agree: float


def compare(model: Any, jobs: Sequence[Job], batch: int, repeats: int) -> Shared:
    """The `jobs` in batches of `batch` rows, `repeats` times each way, after a warm-up of one batch; all are of one
    temperature."""
    counted, device = Counted(model), model.device
    list(Engine(counted, batch).generate(jobs[:batch]))
    alone, together, calls = [], [], 0
    apart: list[Generation] = []
    made: list[Generation] = []
    for _ in range(repeats):
        counted.calls, start = 0, now(device)
        apart = list(Engine(counted, batch).generate(jobs))
        middle, calls = now(device), counted.calls
        sharing = Sharing(device)
        made = list(Engine(counted, batch, sharing=sharing).generate(jobs))
        together.append(now(device) - middle)
        alone.append(middle - start)
    found = {id(one.job): (one.output.tokens, one.cost) for one in apart}
    same = [found[id(one.job)] == (one.output.tokens, one.cost) for one in made]
    both = calls, counted.calls - calls
    heat = jobs[0].decoding.temperature
    return Shared(heat, sharing.forwards, both, tuple(alone), tuple(together), float(np.mean(same)))


_HEADER = (
    "| temperature | charged | computed | shared | batches without | with | fewer | without, s | with, s | ratio "
    "| rows equal |",
    "|" + " ---: |" * 11,
)


def table(rows: Sequence[Shared], told: Mapping[str, str], device: str) -> str:
    """Markdown, one line for each temperature."""
    facts = {**machine(device), **told}
    return "\n".join(
        [
            "# Answers that samplers and budgets share\n",
            *(f"* {name}: {value}" for name, value in facts.items()),
            "",
            *_HEADER,
            *map(_line, rows),
            "",
        ]
    )


def _line(row: Shared) -> str:
    ratios = (np.array(row.alone) / np.array(row.together)).tolist()
    charged, computed = row.forwards
    seconds = [spread(quartiles(each), "{:.3g}") for each in (row.alone, row.together, ratios)]
    cells = [
        f"{row.temperature:g}",
        str(charged),
        str(computed),
        f"{1 - computed / charged:.1%}",
        *map(str, row.calls),
        f"{1 - row.calls[1] / row.calls[0]:.1%}",
        *seconds,
        f"{row.agree:.2%}",
    ]
    return f"| {' | '.join(cells)} |"
