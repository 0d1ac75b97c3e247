"""Analysis and report of many samples: each part timed by itself, in a process of its own."""

from __future__ import annotations

import multiprocessing
import re
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from harness.analysis.frame import Frame, read_frame
from harness.analysis.paired.panels import compare_panels
from harness.analysis.paired.ranking import rank_all
from harness.analysis.report import write_report
from harness.analysis.scoring import score_run
from harness.analysis.site import write_site
from harness.catalogue import Catalogue
from harness.store import RunStore


@dataclass(frozen=True)
class Part:
    """What one part took, in a process of its own: seconds, and the peak memory of that process in MiB."""

    name: str
    seconds: float
    peak: float


def measure(root: Path) -> Iterator[Part]:
    """Each part of the analysis of the run in `root`, in the order in which a user meets them."""
    for name, part in _PARTS.items():
        spawned = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=spawned) as process:
            yield Part(name, *process.submit(_timed, part, root).result())


def _timed(part: Callable[[Path], Callable[[], object]], root: Path) -> tuple[float, float]:
    """Seconds of what `part` prepares, and the process's peak memory, that of the preparation included."""
    work = part(root)
    start = time.perf_counter()
    work()
    return time.perf_counter() - start, _peak()


def _peak() -> float:
    """The largest memory of this process so far, in MiB."""
    status = Path("/proc/self/status")
    if status.is_file():  # on Linux, `ru_maxrss` is never below what the process that started this one had
        return int(re.search(r"^VmHWM:\s+(\d+) kB", status.read_text(), re.M)[1]) / 2**10  # type: ignore[index]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)  # a Mac tells bytes, others KiB


def _frame(root: Path) -> Frame:
    return read_frame([RunStore(root)], Catalogue(()))


def _score(root: Path) -> Callable[[], object]:
    return lambda: score_run(RunStore(root), Catalogue(()), [], None)


def _read(root: Path) -> Callable[[], object]:
    return lambda: _frame(root)


def _rank(root: Path) -> Callable[[], object]:
    frame = _frame(root)
    return lambda: rank_all(frame.table, frame.tasks)


def _compare(root: Path) -> Callable[[], object]:
    frame = _frame(root)
    return lambda: compare_panels(frame.table, frame.tasks, "confidence", "threshold")


def _leaderboard(root: Path) -> Callable[[], object]:
    frame = _frame(root)
    return lambda: write_report(root, frame.table, frame.tasks)


def _site(root: Path) -> Callable[[], object]:
    frame = _frame(root)
    return lambda: write_site(root, frame.table, frame.tasks, Catalogue(()))


_PARTS: Mapping[str, Callable[[Path], Callable[[], object]]] = {
    "score every cell": _score,
    "score again: nothing to do": _score,
    "read the table of cells": _read,
    "rank, with intervals": _rank,
    "compare two samplers": _compare,
    "leaderboard and figures": _leaderboard,
    "site with all samples": _site,
}


def table(parts: Sequence[Part], told: Mapping[str, str]) -> str:
    """Markdown: a line for each part, and what a reader needs to make it again."""
    from harness.bench.table import machine  # with torch, which the processes that are measured do without

    facts = "".join(f"* {name}: {value}\n" for name, value in {**machine("cpu"), **told}.items())
    lines = "".join(f"| {part.name} | {part.seconds:.3g} | {part.peak:.0f} |\n" for part in parts)
    total = f"| all | {sum(part.seconds for part in parts):.3g} | {max(part.peak for part in parts):.0f} |\n"
    header = "| part | seconds | peak memory of the process, MiB |\n| --- | ---: | ---: |\n"
    return f"# Analysis of many samples\n\n{facts}\n{header}{lines}{total}"
