"""Limits of a process that runs what a model wrote; what it starts has them too. All are for good.

They keep mistakes of a model from harm; they are no wall against an attacker, which a container is.
"""

from __future__ import annotations

import ctypes
import os
import resource
import socket
import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PROCESSES = 512
"""Processes and threads more than the user has now: other programs of the user count too, so that there is room."""

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_NO_NEW_PRIVILEGES = 38
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION, _BENEATH = 1, 1
# linux/landlock.h: bits 1 and 4 to 12 write, remove and make; from versions 2 and 3 on, 13 links and 14 truncates.
_WRITES = 1 << 1 | sum(1 << bit for bit in range(4, 13))
_LATER = {2: 1 << 13, 3: 1 << 14}


def leave_network() -> None:
    """A network of one's own, without any connection, where the system grants one; else Python makes no connections."""
    if sys.platform == "linux":
        unshare = ctypes.CDLL(None, use_errno=True).unshare
        if unshare(_CLONE_NEWNET) == 0 or unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0:
            return

    def refuse(self: socket.socket, address: Any) -> Any:
        raise OSError("code that is being scored has no network")

    socket.socket.connect = refuse  # type: ignore[method-assign, assignment]


def limit(memory: int, file_size: int) -> None:
    """At most so many bytes more than now, and so many in a file; no core files, few open ones, not ever more
    processes."""
    statm = Path("/proc/self/statm")
    if statm.exists():  # macOS does not keep the limit anyway
        now = int(statm.read_text().split()[0]) * resource.getpagesize()
        _lower(resource.RLIMIT_AS, now + memory)
        _lower(resource.RLIMIT_NPROC, _tasks() + PROCESSES)
    _lower(resource.RLIMIT_FSIZE, file_size)
    _lower(resource.RLIMIT_NOFILE, 256)
    _lower(resource.RLIMIT_CORE, 0)


def _lower(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))


def _tasks() -> int:
    """Processes and threads of this user."""
    count = 0
    for tasks in Path("/proc").glob("[0-9]*/task"):
        try:
            count += len(os.listdir(tasks)) if tasks.stat().st_uid == os.getuid() else 0
        except OSError:  # it ended meanwhile
            continue
    return count


def write_only_in(folders: Sequence[str]) -> None:
    """Files elsewhere can be read, and neither written nor made nor removed, where Linux has Landlock (5.13 on)."""
    version = landlock_version()
    if version < 1:
        return
    call = ctypes.CDLL(None, use_errno=True).syscall
    handled = _WRITES | sum(bit for since, bit in _LATER.items() if version >= since)
    attribute = struct.pack("=Q", handled)
    ruleset = call(_CREATE_RULESET, attribute, ctypes.c_size_t(len(attribute)), 0)
    for folder in filter(os.path.exists, folders):
        beneath = os.open(folder, os.O_PATH)
        allowed = handled if os.path.isdir(folder) else handled & (1 << 1 | 1 << 14)
        call(_ADD_RULE, ruleset, _BENEATH, struct.pack("=Qi", allowed, beneath), 0)
        os.close(beneath)
    ctypes.CDLL(None).prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    if call(_RESTRICT_SELF, ruleset, 0) != 0:
        raise OSError(ctypes.get_errno(), "Landlock refuses the rules for code that is being scored")
    os.close(ruleset)


def landlock_version() -> int:
    """0 or less where there is none."""
    if sys.platform != "linux":
        return 0
    return int(ctypes.CDLL(None, use_errno=True).syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _ASK_VERSION))
