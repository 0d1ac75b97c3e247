"""Workers as real processes: killed, hung, out of memory, and still every sample once and as in a peaceful run."""

import json
from pathlib import Path

import pytest

from harness.catalogue import Catalogue
from harness.errors import RunError, UserError
from harness.executors import local
from harness.executors.distribute import ASIDE, execute_on
from harness.executors.inline import execute
from harness.executors.loader import ModelLoader
from harness.executors.local import LocalCrew, read_devices
from harness.executors.making import Options
from harness.executors.plan import make_plan
from harness.executors.work import Order
from harness.spec import SuiteFile
from harness.store import RunStore

FAULTS = Path(__file__).parent / "faults"
SWEEP = {"models": ["exact/chain", "exact/parity"], "tasks": "exact", "samplers": ["random", "eb:gamma=1"]}
SUITE = {"name": "test", "batch_size": 4, "sweeps": [{**SWEEP, "budgets": [4], "limit": 12}]}


@pytest.fixture(scope="module")
def suite():
    return SuiteFile.model_validate(SUITE)


@pytest.fixture(scope="module")
def plan(suite):
    return make_plan(suite, Catalogue(), None, "test")


def lines(run):
    return {cell.id: sorted((cell.folder / "generations.jsonl").read_bytes().splitlines()) for cell in run.cells()}


@pytest.fixture(scope="module")
def peaceful(plan, tmp_path_factory):
    run = RunStore.create(tmp_path_factory.mktemp("peaceful") / "run", {})
    execute(plan, run, ModelLoader("cpu"), Options(4))
    return lines(run)


@pytest.fixture
def faults(tmp_path, monkeypatch):
    """The folder in which a file is an accident that is going to happen."""
    folder = tmp_path / "faults"
    folder.mkdir()
    monkeypatch.setenv("FAULTS", str(folder))
    monkeypatch.setenv("FLUSH", "0")
    return folder


def distribute(suite, plan, run, workers=2, **options):
    order = Order.of(suite, [FAULTS], None, False, False)
    execute_on(LocalCrew(order, ["cpu"] * workers), plan, run, suite.batch_size, **options)


@pytest.mark.slow
def test_workers_that_are_killed_and_run_out_of_memory_leave_no_trace(suite, plan, peaceful, faults, tmp_path, capsys):
    for kind in ("kill-1", "memory-1", "error-1"):
        (faults / kind).touch()
    run = RunStore.create(tmp_path / "run", {})
    distribute(suite, plan, run)
    assert not list(faults.iterdir())
    assert lines(run) == peaceful
    told = capsys.readouterr().err
    assert "exit code -9; it is replaced" in told
    assert "an accident of the kind error; it is replaced" in told
    hired = []
    crew = LocalCrew(Order.of(suite, [], None, False, False), ["cpu", "cpu"])
    crew.hire = hired.append
    execute_on(crew, plan, run, suite.batch_size)
    assert not hired  # all is there: no process is started


@pytest.mark.slow
def test_a_worker_that_hangs_is_replaced(suite, plan, peaceful, faults, tmp_path, capsys):
    (faults / "hang-1").touch()
    run = RunStore.create(tmp_path / "run", {})
    distribute(suite, plan, run, patience=60)
    assert lines(run) == peaceful
    assert "finished nothing for 60 seconds; it is replaced" in capsys.readouterr().err


@pytest.mark.slow
def test_a_unit_that_always_fails_is_set_aside_and_made_by_a_later_run(suite, plan, peaceful, faults, tmp_path):
    run = RunStore.create(tmp_path / "run", {})
    (faults / "error-always").touch()
    with pytest.raises(RunError, match=r"no worker stays alive|could not be made"):
        distribute(suite, plan, run, workers=1)
    (faults / "error-always").unlink()
    distribute(suite, plan, run, workers=1)
    assert lines(run) == peaceful
    assert not (run.root / ASIDE).exists()


def test_what_is_set_aside_is_told_and_kept(suite, plan, tmp_path):
    from test_foreman import Pretenders

    from harness.executors.crew import Failed

    run = RunStore.create(tmp_path / "run", {})
    crew = Pretenders(1, lambda place, unit, attempt: Failed("Traceback\nboom", "run"))
    crew.give = lambda place, unit, wanted: crew._tell(1, place, Failed("Traceback\nboom", "run"))
    with pytest.raises(RunError, match=r"exact/chain · exact, 1 cells, documents 0000 to 0003: boom") as error:
        execute_on(crew, plan, run, suite.batch_size)
    kept = json.loads((run.root / ASIDE).read_bytes())
    assert f"{len(kept)} units of work" in str(error.value)
    assert kept[0]["error"] == "Traceback\nboom"


def test_devices(monkeypatch):
    assert read_devices("cpu,cpu") == ["cpu", "cpu"]
    monkeypatch.setattr(local.torch.cuda, "device_count", lambda: 2)
    assert read_devices("0,1") == ["cuda:0", "cuda:1"]
    for text, problem in (("0,2", "there is no cuda:2; this machine has 2 GPUs"), ("x", "'x' is no device")):
        with pytest.raises(UserError, match=problem):
            read_devices(text)
