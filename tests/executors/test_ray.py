"""Ray workers on this machine: actors that are killed, and the same samples as without Ray."""

import pytest
from test_local import FAULTS, SUITE, lines

pytest.importorskip("ray", reason="the extra `ray` is not installed")
pytestmark = pytest.mark.slow

import ray  # noqa: E402

from harness.catalogue import Catalogue  # noqa: E402
from harness.errors import UserError  # noqa: E402
from harness.executors.distribute import execute_on  # noqa: E402
from harness.executors.inline import execute  # noqa: E402
from harness.executors.loader import ModelLoader  # noqa: E402
from harness.executors.making import Options  # noqa: E402
from harness.executors.plan import make_plan  # noqa: E402
from harness.executors.ray_crew import RayCrew  # noqa: E402
from harness.executors.work import Order  # noqa: E402
from harness.spec import SuiteFile  # noqa: E402
from harness.store import RunStore  # noqa: E402


@pytest.fixture
def cluster_ends():
    yield
    ray.shutdown()


def run_with(kinds, workers, tmp_path, monkeypatch, **options):
    """A run that meets with accidents of these kinds, and has the samples of one that does not."""
    suite = SuiteFile.model_validate(SUITE)
    plan = make_plan(suite, Catalogue(), None, "test")
    peaceful, run = (RunStore.create(tmp_path / name, {}) for name in ("peaceful", "run"))
    execute(plan, peaceful, ModelLoader("cpu"), Options(4))
    faults = tmp_path / "faults"
    faults.mkdir()
    for kind in kinds:
        (faults / kind).touch()
    monkeypatch.setenv("FAULTS", str(faults))
    crew = RayCrew(Order.of(suite, [FAULTS], None, False, False), "cpu", workers, None)
    execute_on(crew, plan, run, suite.batch_size, **options)
    assert not list(faults.iterdir())
    assert lines(run) == lines(peaceful)


@pytest.mark.usefixtures("cluster_ends")
def test_actors_that_die_leave_no_trace(tmp_path, monkeypatch, capsys):
    run_with(("kill-1", "error-1", "memory-1"), 2, tmp_path, monkeypatch)
    told = capsys.readouterr().err
    assert "the actor ended" in told
    assert "an accident of the kind error; it is replaced" in told
    with pytest.raises(UserError, match="the Ray cluster has no GPU"):
        RayCrew(Order.of(SuiteFile.model_validate(SUITE), [], None, False, False), "cuda", None, None)


@pytest.mark.usefixtures("cluster_ends")
def test_an_actor_that_hangs_is_replaced(tmp_path, monkeypatch, capsys):
    run_with(("hang-1",), 1, tmp_path, monkeypatch, patience=60)
    assert "finished nothing for 60 seconds; it is replaced" in capsys.readouterr().err


def test_there_is_no_cluster_at_an_address():
    with pytest.raises(UserError, match="--address auto: there is no Ray cluster"):
        RayCrew(None, "cpu", 1, "auto")
