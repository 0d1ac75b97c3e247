"""Hands units to workers, replaces those that die or hang, and sees to it that every unit is done or set aside."""

from __future__ import annotations

import functools
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from harness.engine.sharing import Forwards
from harness.errors import RunError, UserError
from harness.executors.crew import Crew, Done, Made, Message, Ready
from harness.executors.making import Wanted
from harness.executors.queue import TRIES, Queue
from harness.executors.units import Unit

PATIENCE = 3600.0
"""Seconds after which a worker that finishes no sample, or does not get ready, is taken for hung."""

Commit = Callable[[Made], None]


class Foreman:
    """Runs units on a crew, whose workers start when there is something to do and stay until `stop`.

    forwards  what was charged and computed of the units that were finished
    """

    def __init__(self, crew: Crew, patience: float = PATIENCE, tell: Callable[[str], object] | None = None) -> None:
        self.forwards = Forwards()
        self._crew = crew
        self._tell = tell or functools.partial(print, file=sys.stderr)
        self._patience = patience
        self._heard: dict[int, float] = {}  # of each worker there is, when it was last heard of
        self._idle: set[int] = set()
        self._busy: dict[int, Unit] = {}
        self._deaths: Counter[int] = Counter()  # in a row, without a sample between
        self._last_error = ""
        self._looked = crew.now()  # for hung workers

    def run(
        self,
        units: Sequence[Unit],
        wanted: Mapping[int, set[Wanted]],
        model_of: Mapping[int, str],
        commit: Commit,
    ) -> list[tuple[Unit, str]]:
        """Make the `wanted` samples, by number of unit, each of which leaves its set when it is committed.

        Returns the units that were set aside, with their errors. Raises UserError where a worker finds a mistake of
        the user, RunError where no worker can be kept alive.
        """
        queue = Queue([unit for unit in units if wanted.get(unit.number)], model_of)
        while queue or self._busy:
            self._hire(len(queue) + len(self._busy))
            self._give(queue, wanted)
            for place, message in self._crew.listen(1.0):
                self._heard[place] = self._crew.now()
                self._hear(place, message, queue, wanted, commit)
            self._replace_hung(queue)
        return queue.set_aside

    def stop(self, commit: Commit) -> None:
        """End all workers, and commit what they had finished."""
        for _, message in self._crew.stop():
            if isinstance(message, Made):
                commit(message)

    def _hire(self, needed: int) -> None:
        """Have as many workers as there are units, or places."""
        if len(self._heard) >= min(needed, self._crew.size):
            return
        places = [place for place in range(self._crew.size) if self._deaths[place] < TRIES]
        if not places:
            raise RunError(f"no worker stays alive: {self._last_error}. What was made before is kept.")
        for place in places:
            if place not in self._heard and len(self._heard) < needed:
                self._crew.hire(place)
                self._heard[place] = self._crew.now()

    def _give(self, queue: Queue, wanted: Mapping[int, set[Wanted]]) -> None:
        for place in sorted(self._idle):
            unit = queue.take(place)
            while unit is not None and not wanted[unit.number]:  # it failed when all was made
                unit = queue.take(place)
            if unit is None:
                return
            self._idle.discard(place)
            self._busy[place] = unit
            self._heard[place] = self._crew.now()
            self._crew.give(place, unit, frozenset(wanted[unit.number]))

    def _hear(
        self, place: int, message: Message, queue: Queue, wanted: Mapping[int, set[Wanted]], commit: Commit
    ) -> None:
        if isinstance(message, Ready):
            self._idle.add(place)
        elif isinstance(message, Made):
            commit(message)
            made = {Wanted(cell, record.key) for cell, records in message.records.items() for record in records}
            wanted[self._busy[place].number].difference_update(made)
            if made:
                self._deaths[place] = 0
                queue.progressed(self._busy[place])
        elif isinstance(message, Done):
            del self._busy[place]
            self._idle.add(place)
            self._deaths[place] = 0
            self.forwards = self.forwards.plus(message.forwards)
        elif message.kind == "user":
            raise UserError(message.error)
        elif message.kind == "run":
            queue.failed(self._busy.pop(place), message.error, again=False)
            self._idle.add(place)
        else:
            self._lose(place, message.error, queue)

    def _lose(self, place: int, error: str, queue: Queue) -> None:
        """Give up a worker, which is replaced, and the unit that it was at, which is tried again."""
        last = error.strip().splitlines()[-1]
        self._tell(f"worker {place}: {last}; it is replaced")
        self._crew.fire(place)
        del self._heard[place]
        self._idle.discard(place)
        self._deaths[place] += 1
        self._last_error = last
        if place in self._busy:
            queue.failed(self._busy.pop(place), error)

    def _replace_hung(self, queue: Queue) -> None:
        now = self._crew.now()
        if now - self._looked < 1.0:
            return
        self._looked = now
        for place in sorted(self._heard.keys() - self._idle):
            if now - self._heard[place] > self._patience:
                self._lose(place, f"finished nothing for {self._patience:g} seconds", queue)
