"""The command line as a process of its own, which can be killed, and what it leaves on disk."""

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]

SLOW = """
import sys, time
from harness.cli import report
from harness.executors import loader, making
from harness.cli import main

making.FLUSH_SECONDS = 0.05
load_model = loader.load_model

def slow_model(spec, device):
    model = load_model(spec, device)
    logits = model.logits
    def slow(inputs, index):
        time.sleep(float(sys.argv[1]))
        return logits(inputs, index)
    model.logits = slow
    return model

loader.load_model = slow_model
report.write = lambda *_: None
main(sys.argv[2:])
"""
"""The command line with a model that takes its time and commits that do not wait, so that a kill meets both; no report,
which takes longer than all the rest."""


def start(*arguments, pace=None, more=None, limit=None):
    """The command line as a process of its own; with a `pace`, so many seconds go by at each call of the model. `more`
    adds to the environment, and no file may grow beyond `limit` bytes."""
    program = ["-c", SLOW, str(pace)] if pace is not None else [str(ROOT / "run_eval.py")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **(more or {})}
    return subprocess.Popen(
        [sys.executable, *program, *map(str, arguments)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=limit and (lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))),
    )


def committed(output):
    """The committed lines of a run by cell, as they stand: whole lines only."""
    files = sorted(Path(output).glob("cells/*/generations.jsonl"))
    return {file.parent.name: [line for line in file.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
            for file in files}  # fmt: skip


def everything(output):
    """Every file below a folder with its bytes, locks left out."""
    root = Path(output)
    files = (path for path in root.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(files)}


def wait_for_commit(process, output, before):
    """Wait until `output` holds more committed lines than `before`; the process must still be at it."""
    while sum(map(len, committed(output).values())) <= sum(map(len, before.values())):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)


def finish(process):
    """Wait for the end; exit code and standard error."""
    _, errors = process.communicate(timeout=300)
    return process.returncode, errors
