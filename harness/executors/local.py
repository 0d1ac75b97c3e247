"""Workers on this machine: one process a device."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Collection, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

import torch

from harness.errors import UserError
from harness.executors.crew import Failed, Message, Ready
from harness.executors.making import Wanted
from harness.executors.units import Unit
from harness.executors.work import Order, Work

GRACE = 10.0
"""Seconds that workers have to hand on what they finished, when the run is interrupted."""


def read_devices(text: str) -> list[str]:
    """`0,1` (GPUs by their number) or `cpu,cpu`; raises UserError for what is no device here."""
    devices = [f"cuda:{name}" if name.isdigit() else name for name in text.split(",")]
    for name in devices:
        try:
            device = torch.device(name)
        except RuntimeError:
            raise UserError(f"--devices {text}: {name!r} is no device; write numbers of GPUs, such as 0,1") from None
        if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
            raise UserError(f"--devices {text}: there is no {name}; this machine has {torch.cuda.device_count()} GPUs")
    return devices


class LocalCrew:
    """A process for each device. They end with this process, however it ends."""

    def __init__(self, order: Order, devices: Sequence[str]) -> None:
        self.size = len(devices)
        self._order = order
        self._devices = devices
        self._threads = _threads(devices)
        self._context = multiprocessing.get_context("spawn")
        self._workers: dict[int, tuple[Any, Connection]] = {}

    def hire(self, place: int) -> None:
        """See `Crew`, also below."""
        ours, theirs = self._context.Pipe()
        arguments = (theirs, self._order, self._devices[place], self._threads)
        process = self._context.Process(target=serve, args=arguments, daemon=True)
        process.start()
        theirs.close()
        self._workers[place] = process, ours

    def give(self, place: int, unit: Unit, wanted: Collection[Wanted]) -> None:
        with contextlib.suppress(OSError):  # it is gone, which `listen` tells
            self._workers[place][1].send((unit, wanted))

    def listen(self, seconds: float) -> list[tuple[int, Message]]:
        return self._hear(self._workers, seconds)

    def _hear(self, places: Collection[int], seconds: float) -> list[tuple[int, Message]]:
        """One message of each of the places that has one."""
        connections = {self._workers[place][1]: place for place in places}
        told = [each for each in wait(list(connections), seconds) if isinstance(each, Connection)]
        return [(connections[each], self._receive(connections[each])) for each in told]

    def _receive(self, place: int) -> Message:
        process, connection = self._workers[place]
        try:
            message: Message = connection.recv()
        except (EOFError, OSError):
            process.join(GRACE)
            return Failed(f"on {self._devices[place]}, the process ended with exit code {process.exitcode}", "lost")
        return message

    def fire(self, place: int) -> None:
        process, connection = self._workers.pop(place)
        process.kill()
        process.join()
        connection.close()

    def stop(self) -> list[tuple[int, Message]]:
        for process, _ in self._workers.values():
            process.terminate()
        messages: list[tuple[int, Message]] = []
        end = self.now() + GRACE
        open_places = set(self._workers)
        while open_places and (left := end - self.now()) > 0:
            for place, message in self._hear(open_places, left):
                messages.append((place, message))
                if isinstance(message, Failed) and message.kind == "lost":
                    open_places.discard(place)
        for place in list(self._workers):
            self.fire(place)
        return messages

    def now(self) -> float:
        return time.monotonic()


def _threads(devices: Sequence[str]) -> int | None:
    """Threads of each worker, where several compute on the CPU and the user does not say how many they are to use."""
    count = sum(torch.device(device).type == "cpu" for device in devices)
    return None if count < 2 or "OMP_NUM_THREADS" in os.environ else max(1, torch.get_num_threads() // count)


def serve(connection: Connection, order: Order, device: str, threads: int | None) -> None:
    """The life of a worker process: units come, messages go, until the one who sends them is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal; the foreman decides
    signal.signal(signal.SIGTERM, _interrupt)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if threads is not None:
        torch.set_num_threads(threads)
    with contextlib.suppress(KeyboardInterrupt, EOFError, OSError):
        try:
            work = Work(order, device)
        except UserError as error:
            connection.send(Failed(str(error), "user"))
            return
        connection.send(Ready())
        while True:
            for message in work.run(*connection.recv()):
                connection.send(message)


def _interrupt(number: int, frame: Any) -> None:
    raise KeyboardInterrupt


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
