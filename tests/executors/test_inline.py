"""The executor around an engine that answers at once."""

import json

import pytest
import torch

from harness.catalogue import Catalogue
from harness.engine.cost import Cost
from harness.engine.generator import Generation
from harness.errors import RunError, UserError
from harness.executors import loader, making, timing
from harness.executors.inline import execute
from harness.executors.loader import ModelLoader
from harness.executors.making import Options
from harness.executors.plan import make_plan
from harness.executors.timing import time_cells
from harness.spec import SuiteFile
from harness.store import RunStore
from harness.task import Output


class Echo:
    """Answers each job with the number of its document, and remembers what it was told."""

    def __init__(self, fail_after=None):
        self.jobs, self.made, self.fail_after = [], [], fail_after

    def generate(self, jobs, done=lambda job: False):
        self.jobs.append(len(jobs))
        for job in jobs:
            if done(job):
                continue
            if len(self.made) == self.fail_after:
                raise RuntimeError("out of luck")
            self.made.append((job.cell, job.request.document, job.sample))
            yield Generation(job, Output((int(job.request.document),)), Cost(1, 1, 1, 32, None, 1))


def plan(**sweep):
    content = {"models": "exact/chain", "tasks": "exact", "samplers": "random", "budgets": [1, 2], "limit": 3, **sweep}
    suite = SuiteFile.model_validate({"name": "test", "sweeps": [content]})
    return make_plan(suite, Catalogue(), None, "test")


def run(model, store, **sweep):
    execute(plan(**sweep), store, lambda spec: model, Options())
    return model


@pytest.fixture(autouse=True)
def model_is_its_own_engine(monkeypatch):
    for module in (making, timing):
        monkeypatch.setattr(module, "Engine", lambda model, *options: model)


@pytest.fixture
def store(tmp_path):
    return RunStore.create(tmp_path / "run", {})


def test_only_what_is_missing_is_made_but_the_whole_group_is_told(store):
    assert run(Echo(), store).jobs == [6]
    assert run(Echo(), store).jobs == []  # complete: the model is not even asked
    grown = run(Echo(), store, limit=4)
    assert grown.jobs == [8]
    assert [document for _, document, _ in grown.made] == ["0003", "0003"]
    added = run(Echo(), store, budgets=[1, 2, 3], limit=4)
    assert added.jobs == [12]  # complete cells too: the shapes of batches must not depend on what is done
    assert len(added.made) == 4


def test_what_was_finished_before_a_failure_is_committed(store):
    with pytest.raises(RuntimeError, match="out of luck"):
        run(Echo(fail_after=4), store)
    assert sum(len(cell.done()) for cell in store.cells()) == 4
    assert len(run(Echo(), store).made) == 2


def test_commits_do_not_wait_for_the_end(store, monkeypatch):
    monkeypatch.setattr(making, "FLUSH_SECONDS", 0.0)
    monkeypatch.setattr(making, "COMMIT_SHARE", float("inf"))
    seen = []

    class Watching(Echo):
        def generate(self, jobs, done):
            for made in super().generate(jobs, done):
                seen.append(sum(len(cell.done()) for cell in store.cells()))
                yield made

    run(Watching(), store)
    assert seen == [0, 1, 2, 3, 4, 5]


def test_slow_commits_come_less_often(store, monkeypatch):
    monkeypatch.setattr(making, "FLUSH_SECONDS", 0.0)
    clock = iter(range(1000))
    monkeypatch.setattr(making.time, "monotonic", lambda: next(clock))
    # The clock goes on by one at each look: a commit takes 1, so that the next one is more than 10 away.
    sizes = [len(batch) for batch in making._batches(iter(range(30)))]
    assert sizes == [1, 11, 11, 7]


def test_a_timing_run_changes_no_sample(store):
    run(Echo(), store)
    before = [cell.generations() for cell in store.cells()]
    model = Echo()
    time_cells(plan(), store, lambda spec: model, Options(batch_size=2))
    assert model.jobs == [2, 3, 2, 3]  # a warm-up of one batch, then the cell alone
    assert [cell.generations() for cell in store.cells()] == before
    for cell in store.cells():
        measured = json.loads((cell.folder / "timing.json").read_bytes())
        assert measured["samples"] == 3
        assert measured["batch_size"] == 2
        assert measured["seconds"] == pytest.approx(3 * measured["seconds_per_sample"])
        assert measured["joules"] is None


def test_the_loader_keeps_one_model_and_refuses_what_it_cannot_use(monkeypatch):
    loaded = []
    monkeypatch.setattr(loader, "load_model", lambda spec, device: loaded.append((spec.name, device)) or object())
    load = ModelLoader("cpu")
    first, second = (cell.spec.model for cell in plan(models=["exact/chain", "exact/tree"], budgets=[1]).cells)
    assert load(first) is load(first)
    load(second)
    assert loaded == [("exact/chain", "cpu"), ("exact/tree", "cpu")]
    with pytest.raises(UserError, match="--device nowhere cannot be used"):
        ModelLoader("nowhere")


class Greedy(Echo):
    """Runs out of memory after so many answers at each batch size above `fits`."""

    def __init__(self, fits):
        super().__init__()
        self.fits, self.sizes = fits, []

    def at(self, size):
        self.sizes.append(size)
        return self

    def generate(self, jobs, done=lambda job: False):
        for number, generation in enumerate(super().generate(jobs, done)):
            yield generation
            if number == 1 and self.sizes[-1] > self.fits:
                raise torch.OutOfMemoryError("CUDA out of memory")


def test_out_of_memory_halves_the_batch_and_nothing_is_lost_or_made_twice(store, monkeypatch, capsys):
    model = Greedy(fits=8)
    monkeypatch.setattr(making, "Engine", lambda model, batch_size, *options: model.at(batch_size))
    execute(plan(limit=20), store, lambda spec: model, Options(batch_size=32))
    assert model.sizes == [32, 16, 8]
    assert len(model.made) == len(set(model.made)) == 40
    assert sum(len(cell.done()) for cell in store.cells()) == 40
    told = [note["batch_size"] for note in store.cells()[0].provenance()]
    assert told == [32, 16, 8]
    assert "out of memory at a batch of 32; going on at 16" in capsys.readouterr().err


def test_a_row_that_does_not_fit_alone_ends_the_run_and_keeps_what_is_there(store, monkeypatch):
    model = Greedy(fits=0)
    monkeypatch.setattr(making, "Engine", lambda model, batch_size, *options: model.at(batch_size))
    with pytest.raises(RunError, match=r"does not hold a single row\. What is stored already is kept"):
        execute(plan(limit=20), store, lambda spec: model, Options(batch_size=4))
    assert model.sizes == [4, 2, 1]
    assert sum(len(cell.done()) for cell in store.cells()) == 6
