"""How a large run would go: the foreman and its queue as they are, workers and clock that only pretend.

A sample takes its number of forward passes, drawn from those of a run that was made, times the seconds of one.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.executors.crew import Done, Failed, Made, Message, Ready
from harness.executors.foreman import Foreman
from harness.executors.making import Wanted
from harness.executors.units import Unit, shape
from harness.store import GenerationRecord, SampleKey
from harness.task import Output

PARTS = 20
"""A unit is committed in so many parts; what a worker that dies had committed is not repeated."""


@dataclass(frozen=True)
class Fleet:
    """workers, rows of a batch, seconds of a forward pass for each row of a full batch, seconds until a worker has its
    model, and hours after which a worker dies, on average (0 = never)."""

    workers: int
    batch: int
    forward: float
    start: float
    mtbf: float


@dataclass(frozen=True)
class Outcome:
    """Units and deaths; seconds that the run takes, and that it would if all workers were busy all the time, with
    nothing to start and nothing repeated; hours of all workers together."""

    units: int
    deaths: int
    seconds: float
    ideal: float
    longest: float


def passes_of(costs: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, NDArray[np.float64]]:
    """The forward passes of each sample whose `costs` are known, by cell: in passes of a row of mean length, so that
    one of a row twice as long counts as two."""
    known: dict[str, NDArray[np.float64]] = {}
    for cell, each in costs.items():
        pairs = [(one["nfe"], one["token_forwards"]) for one in each if one.get("nfe") and one.get("token_forwards")]
        if pairs:
            known[cell] = np.array(pairs, dtype=np.float64)
    passes, tokens = sum((pairs.sum(axis=0) for pairs in known.values()), np.zeros(2))
    return {cell: pairs[:, 1] * passes / tokens for cell, pairs in known.items()}


def simulate(nfe: Mapping[str, NDArray[np.float64]], samples: int, fleet: Fleet, seed: int = 0) -> Outcome:
    """Make about `samples` samples in cells whose samples take the forward passes `nfe`, by cell."""
    rng = np.random.default_rng(seed)
    documents = max(1, samples // len(nfe))
    size, parts = shape(documents, len(nfe), fleet.workers, fleet.batch)
    starts = np.arange(0, documents, size)
    # (cells, chunks) forward passes, and what is known of them before: at most.
    names = sorted(nfe)
    passes = np.stack([np.add.reduceat(rng.choice(nfe[cell], documents), starts) for cell in names])
    most = np.array([int(nfe[cell].max()) for cell in names])
    units: list[Unit] = []
    seconds: list[float] = []
    for chunk, start in enumerate(starts.tolist()):
        for group in np.array_split(np.arange(len(names)), parts):
            cost = min(size, documents - start) * int(most[group].sum())
            own = frozenset(names[i] for i in group.tolist())
            units.append(Unit(len(units), 0, own, frozenset([str(start)]), cost))
            seconds.append(fleet.forward * float(passes[group, chunk].sum()))
    crew = _Pretenders(fleet, seconds, rng)
    wanted = {unit.number: {Wanted(str(unit.number), SampleKey("", i)) for i in range(PARTS)} for unit in units}
    foreman = Foreman(crew, patience=float("inf"), tell=lambda message: None)
    aside = foreman.run(units, wanted, {0: "model"}, lambda made: None)
    if aside:
        raise RuntimeError(f"{len(aside)} units were set aside: workers die too often for units of this length")
    return Outcome(len(units), crew.deaths, crew.now(), sum(seconds) / fleet.workers, max(seconds))


class _Pretenders:
    """A crew on a clock that jumps from one message to the next."""

    def __init__(self, fleet: Fleet, seconds: Sequence[float], rng: np.random.Generator) -> None:
        self.size = fleet.workers
        self.deaths = 0
        self._fleet, self._seconds, self._rng = fleet, seconds, rng
        self._time = 0.0
        self._number = count()
        self._messages: list[tuple[float, int, int, Message]] = []

    def _tell(self, delay: float, place: int, message: Message) -> None:
        heapq.heappush(self._messages, (self._time + delay, next(self._number), place, message))

    def hire(self, place: int) -> None:
        self._tell(self._fleet.start, place, Ready())

    def give(self, place: int, unit: Unit, wanted: Collection[Wanted]) -> None:
        each = self._seconds[unit.number] / PARTS
        life = self._rng.exponential(self._fleet.mtbf * 3600) if self._fleet.mtbf else float("inf")
        done = int(min(len(wanted), life / each))
        records = [GenerationRecord(one.key, Output()) for one in sorted(wanted)[:done]]
        dies = done < len(wanted)
        made = life if dies else each * len(wanted)
        self._tell(made, place, Made({}, {str(unit.number): records}))
        self._tell(made, place, Failed("died", "lost") if dies else Done())

    def listen(self, seconds: float) -> list[tuple[int, Message]]:
        self._time, _, place, message = heapq.heappop(self._messages)
        return [(place, message)]

    def fire(self, place: int) -> None:
        self.deaths += 1

    def stop(self) -> list[tuple[int, Message]]:
        return []

    def now(self) -> float:
        return self._time
