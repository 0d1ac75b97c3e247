"""Real processes: killed at random moments, and competing for a cell."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from store_data import make_record, make_spec

from harness.store import CellStore, Locked, SampleKey

WRITER = """
import sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from store_data import make_record, make_spec
from harness.store import CellStore

cell = CellStore(Path({folder!r}), make_spec())
with cell.lock(wait={wait}):
    done = cell.done()
    todo = [i for i in range({count}) if ("d", i) not in done]
    print("locked", flush=True)
    for start in range(0, len(todo), 3):
        cell.append([make_record(i, trace="x" * 20000) for i in todo[start : start + 3]])
    {after}
"""


def start(cell: CellStore, count: int, wait: bool = False, after: str = "") -> "subprocess.Popen[str]":
    """A process that fills the cell up to `count` samples."""
    tests = str(Path(__file__).parent)
    code = WRITER.format(tests=tests, folder=str(cell.folder), count=count, wait=wait, after=after)
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def committed(cell: CellStore) -> bytes:
    """The whole lines of the file."""
    path = cell.folder / "generations.jsonl"
    data = path.read_bytes() if path.exists() else b""
    return data[: data.rfind(b"\n") + 1]


def test_killed_at_random_moments(tmp_path: Path) -> None:
    cell = CellStore(tmp_path / make_spec().id, make_spec())
    moments = random.Random(0)
    kept = b""
    for _ in range(8):
        writer = start(cell, count=10**6)
        assert writer.stdout is not None
        assert writer.stdout.readline() == "locked\n"
        time.sleep(moments.uniform(0.0, 0.1))
        writer.kill()
        writer.wait()
        now = committed(cell)
        assert now.startswith(kept)
        with cell.lock():
            assert (cell.folder / "generations.jsonl").exists() or not now
            assert committed(cell) == now
            for path in cell.folder.glob("*.jsonl"):
                assert path.read_bytes()[-1:] in (b"\n", b"")
        kept = now
    assert kept.count(b"\n") > 8
    total = kept.count(b"\n") + 30
    finisher = start(cell, count=total)
    finisher.communicate()
    assert finisher.returncode == 0

    uninterrupted = CellStore(tmp_path / "other" / make_spec().id, make_spec())
    with uninterrupted.lock():
        uninterrupted.append([make_record(i) for i in range(total)])
    assert sorted(committed(cell).splitlines()) == sorted(committed(uninterrupted).splitlines())
    assert cell.costs() == uninterrupted.costs()


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    cell = CellStore(tmp_path / make_spec().id, make_spec())
    first = start(cell, count=60, after="sys.stdin.readline()")
    assert first.stdout is not None
    assert first.stdout.readline() == "locked\n"
    with pytest.raises(Locked, match=cell.id):
        cell.lock().__enter__()
    first.kill()
    first.wait()
    with cell.lock():
        pass


def test_those_who_wait_take_turns_and_make_nothing_twice(tmp_path: Path) -> None:
    cell = CellStore(tmp_path / make_spec().id, make_spec())
    writers = [start(cell, count=200, wait=True) for _ in range(3)]
    for writer in writers:
        writer.communicate()
        assert writer.returncode == 0
    assert committed(cell).count(b"\n") == 200
    assert cell.done() == {SampleKey("d", i) for i in range(200)}


def test_waiting_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.store.cell.QUIET_SECONDS", 0.05)
    cell = CellStore(tmp_path / make_spec().id, make_spec())
    holder = start(cell, count=3, after="import time; time.sleep(0.5)")
    assert holder.stdout is not None
    assert holder.stdout.readline() == "locked\n"
    with cell.lock(wait=True):
        assert len(cell.done()) == 3
    assert "waiting for the process that is writing" in caplog.text
    holder.communicate()
