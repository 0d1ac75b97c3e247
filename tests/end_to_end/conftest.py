"""The command line in this process, as a user types it."""

import sys
from dataclasses import dataclass

import pytest

from harness.cli import main
from harness.models import models
from harness.samplers import samplers


@dataclass(frozen=True)
class Result:
    """What a command left: its exit code and what it printed."""

    code: int
    out: str
    err: str


@pytest.fixture
def mdm(capsys, monkeypatch):
    """`mdm("ls tasks")` runs a command line in this process; what an --include-path registered is forgotten after."""
    monkeypatch.setattr(samplers, "_entries", dict(samplers._entries))
    monkeypatch.setattr(models, "_entries", dict(models._entries))
    modules = set(sys.modules)

    def run(line, *more):
        capsys.readouterr()
        try:
            main([*line.split(), *map(str, more)])
            code = 0
        except SystemExit as stop:
            code = stop.code
        return Result(code, *capsys.readouterr())

    yield run
    for name in set(sys.modules) - modules:
        if name.startswith("_mdm_"):
            del sys.modules[name]
