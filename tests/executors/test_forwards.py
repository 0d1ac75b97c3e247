"""What a run computed is kept beside what it charged, and a timed cell shares nothing."""

import json

import pytest

from harness.catalogue import Catalogue
from harness.engine.sharing import Forwards, Sharing
from harness.executors.crew import Done, Ready
from harness.executors.distribute import execute_on
from harness.executors.forwards import FILE
from harness.executors.inline import execute
from harness.executors.loader import ModelLoader
from harness.executors.making import Options, samples_of
from harness.executors.plan import make_plan
from harness.executors.timing import time_cells
from harness.executors.units import Unit
from harness.executors.work import Order, Work
from harness.spec import SuiteFile
from harness.store import RunStore

OPTIONS = Options(batch_size=4)


@pytest.fixture(scope="module")
def plan():
    sweep = {"models": "digits", "tasks": "digits", "samplers": ["random", "confidence"], "budgets": [2, 3], "limit": 4}
    return make_plan(SuiteFile.model_validate({"name": "test", "sweeps": [sweep]}), Catalogue(), None, "test")


def made(run, name):
    return {cell.id: sorted((cell.folder / name).read_bytes().splitlines()) for cell in run.cells()}


def test_a_run_says_what_it_computed_and_is_the_same_without(plan, tmp_path, monkeypatch, capsys):
    runs = [RunStore.create(tmp_path / name, {}) for name in ("shared", "alone")]
    execute(plan, runs[0], ModelLoader("cpu"), OPTIONS)
    assert "digits · digits: 40 forward passes charged, 28 computed (30.0% shared)" in capsys.readouterr().err
    monkeypatch.setattr(Sharing, "begin", lambda self, rows: setattr(self, "useful", False))
    execute(plan, runs[1], ModelLoader("cpu"), OPTIONS)
    for name in ("generations.jsonl", "costs.jsonl"):
        assert made(runs[0], name) == made(runs[1], name)
    notes = [json.loads((run.root / FILE).read_text()) for run in runs]
    assert notes == [{"name": "digits · digits", "charged": 40, "computed": n} for n in (28, 40)]
    execute(plan, runs[0], ModelLoader("cpu"), OPTIONS)
    assert len((runs[0].root / FILE).read_text().splitlines()) == 1  # nothing was left to do


class AtHome:
    """A crew of one, which works in this process."""

    size = 1

    def __init__(self, suite):
        self._work, self._messages = Work(Order.of(suite, [], None, False, False), "cpu"), []

    def hire(self, place):
        self._messages.append((place, Ready()))

    def give(self, place, unit, wanted):
        self._messages += [(place, message) for message in self._work.run(unit, wanted)]

    def listen(self, seconds):
        told, self._messages = self._messages, []
        return told

    def stop(self):
        return []

    def now(self):
        return 0.0


def test_units_that_workers_made_are_added_up(plan, tmp_path):
    run = RunStore.create(tmp_path / "run", {})
    execute_on(AtHome(plan.suite), plan, run, 4)
    # So small a plan is divided by cells, of which none shares with another unit.
    assert json.loads((run.root / FILE).read_text()) == {"name": "test", "charged": 40, "computed": 40}


def test_each_unit_tells_what_it_computed(plan):
    work = Work(Order.of(plan.suite, [], None, False, False), "cpu")
    cells = frozenset(cell.spec.id for cell in plan.cells)
    told = []
    for documents in ("0 1", "2 3"):
        names = frozenset(plan.cells[0].documents[int(i)].id for i in documents.split())
        wanted = {each for each in samples_of(plan.cells) if each.key.document in names}
        *_, last = work.run(Unit(0, 0, cells, names, 1), wanted)
        told.append(last)
    # Both budgets of the first sampler begin side by side, and ask 4 times; the second sampler's first canvases are
    # there. Then each sampler asks 6 times: twice at 3 steps and once at 2, of two documents.
    assert told == [Done(Forwards(20, 16))] * 2


def test_a_timed_cell_shares_nothing(plan, tmp_path, monkeypatch):
    def refuse(self, *arguments):
        raise AssertionError("an answer was shared")

    run = RunStore.create(tmp_path / "run", {})
    execute(plan, run, ModelLoader("cpu"), OPTIONS)
    monkeypatch.setattr(Sharing, "take", refuse)
    time_cells(plan, run, ModelLoader("cpu"), OPTIONS)
    assert all((cell.folder / "timing.json").exists() for cell in run.cells())
