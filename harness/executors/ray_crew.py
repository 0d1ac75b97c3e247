"""Workers on a Ray cluster: actors, each with a model on a GPU (or a CPU core) of its own."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Collection, Iterator
from typing import Any

from harness.errors import RunError, UserError
from harness.executors.crew import Done, Failed, Message, Ready
from harness.executors.making import Wanted
from harness.executors.units import Unit
from harness.executors.work import Order, Work

try:
    import ray
except ImportError:
    raise UserError("--executor ray needs Ray: pip install 'mdm-harness[ray]'") from None


class RayCrew:
    """An actor for each GPU of the cluster, or for each CPU core where `device` is the CPU; or as many as `workers`.

    The cluster is the one at `address` (`auto` finds it from any of its nodes), or one that is started on this machine.
    """

    def __init__(self, order: Order, device: str, workers: int | None, address: str | None) -> None:
        try:
            ray.init(address=address, include_dashboard=None if address else False, logging_level=logging.WARNING)
        except ConnectionError as error:
            raise UserError(f"--address {address or 'none'}: there is no Ray cluster: {error}") from None
        on_gpu = device.startswith("cuda")
        kind = "GPU" if on_gpu else "CPU"
        there = int(ray.cluster_resources().get(kind, 0))
        if not (workers or there):
            raise UserError(f"--device {device}: the Ray cluster has no {kind}")
        self.size = workers or there
        self._order = order
        self._device = "cuda" if on_gpu else device  # each actor sees its own GPU only
        # The foreman replaces actors and tries units again: it knows what is committed, and Ray does not.
        self._actor = ray.remote(num_cpus=1, num_gpus=int(on_gpu), max_restarts=0, max_task_retries=0)(_Member)
        self._actors: dict[int, Any] = {}
        self._answers: dict[int, Any] = {}  # what is being waited for: whether a worker is ready, or the next message

    def hire(self, place: int) -> None:
        """See `Crew`, also below."""
        self._actors[place] = self._actor.remote(self._order, self._device)
        self._answers[place] = self._actors[place].start.remote()

    def give(self, place: int, unit: Unit, wanted: Collection[Wanted]) -> None:
        self._answers[place] = self._actors[place].run.remote(unit, wanted)

    def listen(self, seconds: float) -> list[tuple[int, Message]]:
        places = {answer: place for place, answer in self._answers.items()}
        if not places:
            time.sleep(seconds)
            return []
        try:
            told, _ = ray.wait(list(places), timeout=seconds)
            return [(places[answer], self._receive(places[answer])) for answer in told]
        except ray.exceptions.RaySystemError as error:
            raise RunError(f"the Ray cluster is gone ({error}). What was made is kept: run again.") from error

    def _receive(self, place: int) -> Message:
        answer = self._answers[place]
        streams = not isinstance(answer, ray.ObjectRef)
        try:
            message: Message = ray.get(next(answer) if streams else answer)
        except (ray.exceptions.RayActorError, ray.exceptions.RayTaskError, StopIteration) as error:
            message = Failed(f"the actor ended: {error}".replace("\n", " "), "lost")
        if not streams or isinstance(message, Done | Failed):
            del self._answers[place]
        return message

    def fire(self, place: int) -> None:
        self._answers.pop(place, None)
        ray.kill(self._actors.pop(place))

    def stop(self) -> list[tuple[int, Message]]:
        messages: list[tuple[int, Message]] = []
        with contextlib.suppress(Exception):  # whatever ended the run counts, not what Ray makes of its end
            if self._answers:
                messages = self.listen(0.0)
            for place in list(self._actors):
                self.fire(place)
        ray.shutdown()  # scores need no GPU of the cluster
        return messages

    def now(self) -> float:
        return time.monotonic()


class _Member:
    """The actor."""

    def __init__(self, order: Order, device: str) -> None:
        self._order, self._device = order, device

    def start(self) -> Message:
        try:
            self._work = Work(self._order, self._device)
        except UserError as error:
            return Failed(str(error), "user")
        return Ready()

    def run(self, unit: Unit, wanted: Collection[Wanted]) -> Iterator[Message]:
        yield from self._work.run(unit, wanted)
