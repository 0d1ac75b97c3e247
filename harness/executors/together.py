"""A crew whose workers begin at the same moment, so that their work can be timed without their start."""

from __future__ import annotations

from collections.abc import Collection

from harness.executors.crew import Crew, Message, Ready
from harness.executors.making import Wanted
from harness.executors.units import Unit


class Together:
    """`crew`, of which nobody is ready before all are; `seconds` from then to the last message."""

    def __init__(self, crew: Crew) -> None:
        self.size = crew.size
        self.seconds = 0.0
        self._crew = crew
        self._ready: list[tuple[int, Message]] = []
        self._began: float | None = None
        self.hire, self.fire, self.stop, self.now = crew.hire, crew.fire, crew.stop, crew.now

    def give(self, place: int, unit: Unit, wanted: Collection[Wanted]) -> None:
        """See `Crew`, also below."""
        self._crew.give(place, unit, wanted)

    def listen(self, seconds: float) -> list[tuple[int, Message]]:
        told = self._crew.listen(seconds)
        if self._began is not None:
            if told:
                self.seconds = self._crew.now() - self._began
            return told
        self._ready += [(place, message) for place, message in told if isinstance(message, Ready)]
        if len(self._ready) < self.size:
            return [(place, message) for place, message in told if not isinstance(message, Ready)]
        self._began = self._crew.now()
        return [*self._ready, *[each for each in told if each not in self._ready]]
