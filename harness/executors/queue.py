"""Units that wait for a worker: those of the model that it holds first, and the longest of these."""

from __future__ import annotations

from bisect import insort
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from harness.executors.units import Unit

TRIES = 3
"""A unit that fails so often, with no sample finished between, is set aside."""


class Queue:
    """The units that are left to do.

    model_of   the model of each group. A worker changes its model only when no unit of it is left, and then to the
               one with the most work for each worker on it
    set_aside  units that failed, each with its last error
    """

    def __init__(self, units: Sequence[Unit], model_of: Mapping[int, str]) -> None:
        self._model_of = model_of
        self._waiting: dict[str, list[Unit]] = defaultdict(list)
        self._failures: Counter[int] = Counter()
        self._held: dict[int, str] = {}
        self.set_aside: list[tuple[Unit, str]] = []
        for unit in sorted(units, key=_rank):
            self._waiting[model_of[unit.group]].append(unit)

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def take(self, worker: int) -> Unit | None:
        """The next unit for a worker, None where all are taken."""
        model = self._held.get(worker, "")
        if not self._waiting[model]:
            waiting = [name for name, units in self._waiting.items() if units]
            if not waiting:
                return None
            holders = Counter(self._held.values())
            model = max(waiting, key=lambda name: sum(u.cost for u in self._waiting[name]) / (1 + holders[name]))
            self._held[worker] = model
        return self._waiting[model].pop()

    def progressed(self, unit: Unit) -> None:
        """Samples of the unit were finished: what failed it before was an accident, or comes again."""
        self._failures.pop(unit.number, None)

    def failed(self, unit: Unit, error: str, again: bool = True) -> None:
        """Put a unit that failed back, or aside where it failed too often or another try is of no use."""
        self._failures[unit.number] += 1
        if again and self._failures[unit.number] < TRIES:
            insort(self._waiting[self._model_of[unit.group]], unit, key=_rank)
        else:
            self.set_aside.append((unit, error))


def _rank(unit: Unit) -> tuple[int, int]:
    """The longest last, where a list ends cheaply; of equal ones the first."""
    return unit.cost, -unit.number
