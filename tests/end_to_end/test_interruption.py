"""Runs that are killed, interrupted, or started twice end with the samples of a run left in peace."""

import json
import random
import signal
import time

import pytest
from processes import committed, finish, start, wait_for_commit

EXACT = ["run", "--model", "exact/chain,exact/parity", "--tasks", "exact", "--batch-size", "8"]
EXACT += ["--samplers", "random,eb:gamma=1", "--budgets", "4,8"]
DIGITS = ["run", "--model", "digits", "--tasks", "digits", "--samplers", "random,maskgit", "--budgets", "8"]
DIGITS += ["--batch-size", "8"]


def keys(lines):
    """The sample keys of committed lines."""
    return [(record["document"], record["sample"]) for record in map(json.loads, lines)]


def assert_same(output, peaceful):
    """Byte for byte the same generations after sorting, and no sample twice."""
    found, expected = committed(output), committed(peaceful)
    assert expected
    assert {cell: sorted(lines) for cell, lines in found.items()} == {
        cell: sorted(lines) for cell, lines in expected.items()
    }
    for lines in found.values():
        assert len(set(keys(lines))) == len(lines)


def run_in_peace(command, output):
    """The same run, undisturbed."""
    code, errors = finish(start(*command, "--output", output))
    assert code == 0, errors
    return output


def stop_repeatedly(command, output, signals):
    """Start, stop at a random moment of the generation, start again; committed lines must all stay."""
    moments = random.Random(0)
    before = committed(output)
    for number in signals:
        process = start(*command, "--output", output, pace=0.05)
        wait_for_commit(process, output, before)
        time.sleep(moments.uniform(0, 0.2))
        assert process.poll() is None, "the run ended before it was stopped: make it longer"
        process.send_signal(number)
        code, errors = finish(process)
        if number == signal.SIGINT:
            assert code == 130
            assert "interrupted; what was made is kept" in errors
            assert "Traceback" not in errors
        after = committed(output)
        assert {cell: after[cell][: len(lines)] for cell, lines in before.items()} == before
        before = after


def test_a_run_killed_then_interrupted_then_finished_by_two_processes_at_once(tmp_path):
    command, output = [*EXACT, "--limit", 40], tmp_path / "stopped"
    stop_repeatedly(command, output, [signal.SIGKILL, signal.SIGKILL, signal.SIGINT])
    both = [start(*command, "--output", output, pace=0.01) for _ in range(2)]
    for process in both:
        code, errors = finish(process)
        assert code == 0, errors
    assert_same(output, run_in_peace(command, tmp_path / "peaceful"))


@pytest.mark.slow
@pytest.mark.parametrize("command", [[*EXACT, "--limit", 200], [*DIGITS, "--limit", 300]], ids=["exact", "digits"])
def test_a_run_killed_ten_times_ends_like_an_uninterrupted_one(command, tmp_path):
    stop_repeatedly(command, tmp_path / "killed", [signal.SIGKILL] * 10)
    run_in_peace(command, tmp_path / "killed")
    assert_same(tmp_path / "killed", run_in_peace(command, tmp_path / "peaceful"))


@pytest.mark.slow
def test_shards_at_the_same_time_one_of_them_killed(tmp_path):
    command, output = [*EXACT, "--limit", 40], tmp_path / "shards"
    shards = [start(*command, "--output", output, "--shard", f"{i}/2", pace=0.01) for i in (1, 2)]
    wait_for_commit(shards[0], output, {})
    shards[0].kill()
    shards[0].communicate()
    code, errors = finish(shards[1])
    assert code == 0, errors
    for shard in ("1/2", "2/2"):
        code, errors = finish(start(*command, "--output", output, "--shard", shard))
        assert code == 0, errors
    assert "samples made" not in errors  # the second was complete
    code, errors = finish(start(*command, "--output", output))
    assert code == 0, errors
    assert "samples made" not in errors
    assert_same(output, run_in_peace(command, tmp_path / "peaceful"))
