"""What happens to long runs: workers and drivers killed, disks full, folders that cannot be written. What is committed
stays, nothing is made twice, and the report in the end is that of a run left in peace."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from processes import ROOT, committed, finish, start, wait_for_commit
from test_interruption import assert_same, run_in_peace

pytestmark = pytest.mark.slow

FAULTS = ROOT / "tests" / "executors" / "faults"
RUN = ["run", "--model", "exact/chain,exact/parity", "--tasks", "exact", "--samplers", "random,eb:gamma=1"]
RUN += ["--budgets", "4,8", "--batch-size", "8", "--limit", "24"]


@pytest.fixture(scope="module")
def peaceful(tmp_path_factory):
    return run_in_peace(RUN, tmp_path_factory.mktemp("peaceful") / "run")


@pytest.fixture
def faults(tmp_path):
    """The folder in which a file is an accident that is going to happen, see `faults.py`."""
    folder = tmp_path / "faults"
    folder.mkdir()
    return folder


def assert_same_report(output, peaceful):
    assert_same(output, peaceful)
    for name in ("leaderboard.csv", "leaderboard.md"):
        assert (output / name).read_bytes() == (peaceful / name).read_bytes()


def children(pid):
    """The processes that a process has started, by /proc."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found.append(int(stat.parent.name))
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_workers_and_their_driver_are_killed_and_two_drivers_finish(faults, peaceful, tmp_path):
    output = tmp_path / "run"
    command = [*RUN, "--devices", "cpu,cpu", "--include-path", FAULTS, "--output", output]
    more = {"FAULTS": str(faults), "PACE": "0.1", "FLUSH": "0.05"}
    before = {}
    for number in (signal.SIGKILL, signal.SIGINT):
        process = start(*command, more=more)
        wait_for_commit(process, output, before)
        workers = children(process.pid)
        assert len(workers) >= 2
        process.send_signal(number)
        code, errors = finish(process)
        assert code == (-9 if number == signal.SIGKILL else 130), errors
        assert "Traceback" not in errors
        after = committed(output)
        assert {cell: after[cell][: len(lines)] for cell, lines in before.items()} == before
        before = after
        end = time.monotonic() + 60
        while any(Path(f"/proc/{pid}").exists() for pid in workers):
            assert time.monotonic() < end, "workers outlive their driver"
            time.sleep(0.1)
    (faults / "kill-1").touch()
    both = [start(*command, more={**more, "PACE": "0"}) for _ in range(2)]
    for process in both:
        code, errors = finish(process)
        assert code == 0, errors
    assert not list(faults.iterdir())
    assert_same_report(output, peaceful)


@pytest.mark.skipif(sys.platform != "linux", reason="looks for processes in /proc")
def test_the_head_of_a_ray_cluster_is_lost(faults, peaceful, tmp_path):
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    output = tmp_path / "run"
    more = {"FAULTS": str(faults), "PACE": "0.5", "FLUSH": "0.05", "RAY_gcs_rpc_server_reconnect_timeout_s": "1"}
    command = [*RUN, "--include-path", FAULTS, "--output", output]
    process = start(*command, "--executor", "ray", "--workers", "2", more=more)
    wait_for_commit(process, output, {})
    before = committed(output)
    (head,) = [pid for pid in children(process.pid) if Path(f"/proc/{pid}/comm").read_text() == "gcs_server\n"]
    os.kill(head, signal.SIGKILL)
    code, errors = finish(process)
    assert code != 0, errors
    code, errors = finish(start(*command, more={**more, "PACE": "0"}))
    assert code == 0, errors
    after = committed(output)
    assert {cell: after[cell][: len(lines)] for cell, lines in before.items()} == before
    assert_same_report(output, peaceful)


def test_memory_runs_out_at_random(faults, peaceful, tmp_path):
    output = tmp_path / "run"
    for i in range(3):
        (faults / f"memory-{i}").touch()
    command = [*RUN, "--include-path", FAULTS, "--output", output]
    code, errors = finish(start(*command, more={"FAULTS": str(faults), "FLUSH": "0.05", "CHANCE": "0.05"}))
    assert code == 0, errors
    assert errors.count("out of memory at a batch of") == 3
    assert_same_report(output, peaceful)


def test_a_file_may_not_grow_and_then_may(peaceful, tmp_path):
    output = tmp_path / "run"
    code, errors = finish(start(*RUN, "--output", output, pace=0.01, limit=2000))
    assert code == 2
    assert "cannot write" in errors
    assert "File too large" in errors
    assert "Traceback" not in errors
    before = committed(output)
    assert any(before.values())
    code, errors = finish(start(*RUN, "--output", output))
    assert code == 0, errors
    after = committed(output)
    assert {cell: after[cell][: len(lines)] for cell, lines in before.items()} == before
    assert_same_report(output, peaceful)


def in_namespace(script, *arguments):
    """Run a shell script where it may mount; skipped where the system does not grant that."""
    unshare = ["unshare", "--user", "--map-root-user", "--mount"]
    granted = shutil.which("unshare") and subprocess.run([*unshare, "true"], capture_output=True).returncode == 0
    if not granted:
        pytest.skip("needs a mount namespace of its own (unshare --user --mount)")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    command = [*unshare, "sh", "-c", script, "sh", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


def test_the_disk_is_full_and_then_is_not(peaceful, tmp_path):
    disk, output = tmp_path / "disk", tmp_path / "run"
    disk.mkdir()
    # What is on the small disk goes with the namespace, so that it is copied out.
    script = 'mount -t tmpfs -o size=96k none "$1" && shift && disk="$1" && shift && copy="$1" && shift && '
    script += '"$@"; code=$?; cp -r "$disk/run" "$copy"; exit $code'
    run = [sys.executable, ROOT / "run_eval.py", *RUN, "--output", disk / "run"]
    done = in_namespace(script, disk, disk, output, *run)
    assert done.returncode == 2, done.stderr
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    before = committed(output)
    assert any(before.values())
    code, errors = finish(start(*RUN, "--output", output))
    assert code == 0, errors
    after = committed(output)
    assert {cell: after[cell][: len(lines)] for cell, lines in before.items()} == before
    assert_same_report(output, peaceful)


def test_a_folder_that_can_only_be_read(peaceful, tmp_path):
    output = tmp_path / "run"
    shutil.copytree(peaceful, output)
    script = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" && shift && exec "$@"'
    longer = [*RUN[:-1], "30", "--output", output]
    done = in_namespace(script, output, sys.executable, ROOT / "run_eval.py", *longer)
    assert done.returncode == 2, done.stderr
    assert f"cannot write {output}" in done.stderr
    assert "Traceback" not in done.stderr
    assert_same_report(output, peaceful)


def test_a_cell_that_is_damaged_between_two_runs_is_named_and_repaired(peaceful, tmp_path):
    output = tmp_path / "run"
    shutil.copytree(peaceful, output)
    damaged = sorted(output.glob("cells/*/generations.jsonl"))[0]
    lines = damaged.read_bytes().splitlines(keepends=True)
    damaged.write_bytes(b"".join([lines[0], lines[1][:10] + b"\n", *lines[2:]]))
    kept = committed(output)
    code, errors = finish(start(*RUN, "--output", output))
    assert code == 2
    assert f"{damaged}, line 2" in errors
    assert committed(output) == kept
    damaged.write_bytes(b"".join([lines[0], *lines[2:]]))  # as the message says
    code, errors = finish(start(*RUN, "--output", output))
    assert code == 0, errors
    assert_same_report(output, peaceful)
