"""What goes to and fro between those who make samples and the one who commits them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from harness.engine.sharing import Forwards
from harness.executors.making import Note, Wanted
from harness.executors.units import Unit
from harness.store import GenerationRecord


@dataclass(frozen=True)
class Ready:
    """A worker has its plan, and waits for its first unit."""


@dataclass(frozen=True)
class Made:
    """Finished samples by cell, and under what they were made."""

    note: Note
    records: Mapping[str, Sequence[GenerationRecord]]


@dataclass(frozen=True)
class Done:
    """The unit is finished; the worker waits for the next.

    forwards  what was charged and computed of it
    """

    forwards: Forwards = Forwards()


@dataclass(frozen=True)
class Failed:
    """The unit failed, and what was made of it before is there.

    kind  `user` ends the run: it would fail everywhere. `run` cannot be made: another try is of no use. `other` may
          be an accident, and the worker be no good any more. `lost`: the worker is gone
    """

    error: str
    kind: Literal["user", "run", "other", "lost"]


Message = Ready | Made | Done | Failed


class Crew(Protocol):
    """Workers, one at each of `size` places, wherever they live."""

    size: int

    def hire(self, place: int) -> None:
        """Begin to start a worker; it tells when it is `Ready`."""

    def give(self, place: int, unit: Unit, wanted: Collection[Wanted]) -> None:
        """Let a worker make these samples of a unit."""

    def listen(self, seconds: float) -> list[tuple[int, Message]]:
        """What workers tell, each with its place, as soon as one tells something or so much time is over."""

    def fire(self, place: int) -> None:
        """End a worker at once; nothing is heard of it any more."""

    def stop(self) -> list[tuple[int, Message]]:
        """End all workers; what they had finished is handed on where that takes no time."""

    def now(self) -> float:
        """Seconds, from whenever."""
