"""Shards of a run, in one folder or in several, end like a run in one piece."""

import pytest

from harness.catalogue import Catalogue
from harness.errors import UserError
from harness.executors.inline import execute
from harness.executors.loader import ModelLoader
from harness.executors.making import Options, lacking, samples_of
from harness.executors.plan import make_plan
from harness.executors.shard import execute_shard
from harness.executors.units import Shard
from harness.spec import SuiteFile
from harness.store import GenerationRecord, RunStore, SampleKey
from harness.store.gather import gather
from harness.task import Output

OPTIONS = Options(batch_size=4)


@pytest.fixture(scope="module")
def plan():
    sweep = {"models": ["exact/chain", "exact/parity"], "tasks": "exact", "samplers": ["random", "eb:gamma=1"]}
    suite = {"name": "test", "batch_size": 4, "sweeps": [{**sweep, "budgets": [2], "limit": 6, "samples": 2}]}
    return make_plan(SuiteFile.model_validate(suite), Catalogue(), None, "test")


def lines(run):
    """All lines of generations and costs, sorted."""
    return {
        f"{cell.id}/{name}": sorted((cell.folder / name).read_bytes().splitlines())
        for cell in run.cells()
        for name in ("generations.jsonl", "costs.jsonl")
    }


@pytest.fixture(scope="module")
def whole(plan, tmp_path_factory):
    run = RunStore.create(tmp_path_factory.mktemp("whole") / "run", {})
    execute(plan, run, ModelLoader("cpu"), OPTIONS)
    return lines(run)


def make(plan, run, shard):
    execute_shard(plan, run, ModelLoader("cpu"), OPTIONS, Shard.parse(shard))


def test_shards_of_one_folder(plan, whole, tmp_path):
    run = RunStore.create(tmp_path / "run", {})
    every = samples_of(plan.cells)
    counts = []
    for shard in ("2/3", "1/3", "3/3", "3/3"):
        make(plan, run, shard)
        counts.append(len(lacking(every, {cell.spec.id: run.cell(cell.spec) for cell in plan.cells})))
    assert len(every) > counts[0] > counts[1] > counts[2] == counts[3] == 0
    assert lines(run) == whole
    asked = []
    execute(plan, run, asked.append, OPTIONS)
    assert not asked  # the run in one piece that follows finds everything there


def test_shards_of_their_own_folders_are_gathered(plan, whole, tmp_path):
    parts = [RunStore.create(tmp_path / str(i), {}) for i in (1, 2)]
    for i, part in enumerate(parts, 1):
        make(plan, part, f"{i}/2")
    into = RunStore.create(tmp_path / "all", {})
    assert gather(parts, into) == len(samples_of(plan.cells))
    assert gather(parts, into) == 0
    assert lines(into) == whole


def test_a_shard_leaves_alone_what_another_process_committed_meanwhile(plan, whole, tmp_path, monkeypatch):
    run = RunStore.create(tmp_path / "run", {})
    monkeypatch.setattr("harness.executors.shard.lacking", lambda samples, stores: set(samples))
    make(plan, run, "1/1")
    make(plan, run, "1/1")
    assert lines(run) == whole


def test_runs_with_other_outputs_are_not_gathered(plan, tmp_path):
    parts = [RunStore.create(tmp_path / name, {}) for name in ("one", "other")]
    for number, part in enumerate(parts):
        cell = part.cell(plan.cells[0].spec)
        with cell.lock():
            cell.append([GenerationRecord(SampleKey("0000", 0), Output((number,)))])
    with pytest.raises(UserError, match="hold different outputs for document '0000', sample 0"):
        gather(parts, RunStore.create(tmp_path / "all", {}))
