"""The process that runs what a model wrote: `python -m harness.lm_tasks.worker`, spoken to by `harness.lm_tasks.code`.

It reads one line of JSON that says which task, loads it, answers `ready`, and then answers each further line, a
document and the responses to it, with lm-eval's verdicts. Its limits bind what it starts too. They keep mistakes of a
model from harm; they are no wall against an attacker, which a container is.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import socket
import sys
from pathlib import Path
from typing import Any, TextIO

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000


def main() -> None:
    """Serve until standard input ends."""
    answers = os.fdopen(os.dup(1), "w")  # what the code prints goes elsewhere
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    _leave_network()
    from harness.lm_tasks.load import ask, judge, load

    order = json.loads(sys.stdin.readline())
    data_dir = Path(order["data_dir"]) if order["data_dir"] else None
    task = load(order["name"], Path(order["path"]), order["settings"], data_dir)
    asked = {str(each.id): each for each in ask(task, order["settings"])}
    _limit(order["memory"], order["file_size"])
    _say(answers, "ready")
    for line in sys.stdin:
        document, responses = json.loads(line)
        verdicts = judge(task, asked[document], responses)
        _say(answers, [[metric, chosen, value] for (metric, chosen), value in verdicts.items()])


def _say(answers: TextIO, value: Any) -> None:
    import numpy as np

    def plain(value: Any) -> Any:
        return value.tolist() if isinstance(value, np.generic | np.ndarray) else str(value)

    print(json.dumps(value, default=plain), file=answers, flush=True)


def _leave_network() -> None:
    """A network of one's own, without any connection, where the system grants one; else Python makes no connections."""
    if sys.platform == "linux":
        unshare = ctypes.CDLL(None, use_errno=True).unshare
        if unshare(_CLONE_NEWNET) == 0 or unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0:
            return

    def refuse(self: socket.socket, address: Any) -> Any:
        raise OSError("code that is being scored has no network")

    socket.socket.connect = refuse  # type: ignore[method-assign, assignment]


def _limit(memory: int, file_size: int) -> None:
    """At most so many bytes more than now, and so many in a file; no core files, few open ones."""
    statm = Path("/proc/self/statm")
    if statm.exists():  # macOS does not keep the limit anyway
        now = int(statm.read_text().split()[0]) * resource.getpagesize()
        _lower(resource.RLIMIT_AS, now + memory)
    _lower(resource.RLIMIT_FSIZE, file_size)
    _lower(resource.RLIMIT_NOFILE, 256)
    _lower(resource.RLIMIT_CORE, 0)


def _lower(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))


if __name__ == "__main__":
    main()
