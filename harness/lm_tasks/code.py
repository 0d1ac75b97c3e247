"""Scores of tasks that run the code which a model wrote: only where the user allows it, and in a process of its own."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import UserError

log = logging.getLogger(__name__)

SECONDS = 60.0
"""Longest time for the answers to one document; lm-eval's own limit, 3 seconds for a program, lies within it."""
MEMORY = 2 * 2**30
FILE_SIZE = 16 * 2**20
_STARTING = 600.0
_SECRET = ("TOKEN", "KEY", "SECRET", "PASSWORD", "CREDENTIAL")


class CodeJudge:
    """lm-eval's verdicts from a process with limits on time, memory and files, and without a network.

    The process starts with the first document, in an empty folder, and again after one that it did not survive.
    """

    def __init__(
        self, name: str, path: Path, settings: Mapping[str, Any], data_dir: Path | None, seconds: float = SECONDS
    ) -> None:
        self._order = {
            "name": name,
            "path": str(path.resolve()),
            "settings": dict(settings),
            "data_dir": str(data_dir.resolve()) if data_dir else None,
            "memory": MEMORY,
            "file_size": FILE_SIZE,
        }
        self._seconds = seconds
        self._process: subprocess.Popen[str] | None = None

    def judge(self, document: str, responses: Sequence[Sequence[Any]]) -> dict[tuple[str, str], Any] | None:
        """(metric, filter) to lm-eval's value; None where the code ran over a limit."""
        if self._process is None:
            self._process = self._start()
        reply = self._exchange([document, responses], self._seconds)
        if reply is None:
            log.warning("%s: the code written for document %s ran over a limit", self._order["name"], document)
            return None
        return {(metric, chosen): value for metric, chosen, value in reply}

    def _start(self) -> subprocess.Popen[str]:
        folder = tempfile.TemporaryDirectory(prefix="mdm-code-")
        with tempfile.TemporaryFile("w+") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", "harness.lm_tasks.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                cwd=folder.name,
                env=_environment(folder.name),
                start_new_session=True,
            )
            weakref.finalize(self, _end, process, folder)
            self._process = process
            if self._exchange(self._order, _STARTING) is None:
                errors.seek(0)
                problem = "".join(errors.read().strip().splitlines()[-1:])
                raise UserError(f"task {self._order['name']!r}: code cannot be scored here: {problem}")
        return process

    def _exchange(self, message: Any, seconds: float) -> Any:
        """The reply to a message; None where none comes in time, or none that is one, and the process is ended then."""
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            try:
                process.stdin.write(json.dumps(message) + "\n")
                process.stdin.flush()
                line = process.stdout.readline() if selector.select(seconds) else ""
                return json.loads(line)
            except (OSError, ValueError):
                _kill(process)
                self._process = None
                return None


def _environment(folder: str) -> dict[str, str]:
    """This environment without what may be secret; lm-eval may run code, and loads from caches only.

    `folder` is the one to write in, also for the metrics of `evaluate`, which keep what they are given in files.
    """
    import datasets

    kept = {name: value for name, value in os.environ.items() if not any(word in name.upper() for word in _SECRET)}
    package = str(Path(__file__).parents[2])
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")])),
        "HF_ALLOW_CODE_EVAL": "1",
        "HF_HUB_OFFLINE": "1",
        "TMPDIR": folder,
        "HF_METRICS_CACHE": folder,
        "HF_DATASETS_CACHE": str(datasets.config.HF_DATASETS_CACHE),
    }


def _kill(process: subprocess.Popen[str]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _end(process: subprocess.Popen[str], folder: tempfile.TemporaryDirectory[str]) -> None:
    _kill(process)
    folder.cleanup()
