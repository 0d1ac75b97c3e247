"""The batch size that is found from a device's memory, with a device whose memory the test makes up."""

import pytest
import torch
from toys import TextDenoiser, job

from harness.catalogue import Catalogue
from harness.components import load_model, make_sampler
from harness.errors import UserError
from harness.executors import fit, making
from harness.executors.fit import MOST, batch_size, rows_that_fit
from harness.executors.inline import execute
from harness.executors.making import Options
from harness.executors.plan import make_plan
from harness.executors.timing import time_cells
from harness.samplers import samplers
from harness.spec import PLANNED_ROWS, SamplerSpec, SuiteFile
from harness.store import RunStore

TOKEN = 1000
"""Bytes that a token of a canvas takes on the made-up device."""


class Memory:
    """A device on which `model` takes `TOKEN` bytes for each token that it reads in a call."""

    def __init__(self, model, free):
        self.model, self.bytes = model, free
        self.calls = []

    def free(self):
        return self.bytes

    def peak(self, work):
        before = len(self.model.calls)
        work()
        self.calls.append(len(self.model.calls) - before)
        return max(TOKEN * inputs.tokens.numel() for inputs in self.model.calls[before:])


def todo(name="confidence", length=8, guidance=0.0, count=3, **args):
    sampler, info = make_sampler(SamplerSpec(name=name, args=args)), samplers[name].info
    return [
        job(sampler, info, str(i), prompt="1" * i, length=length, guidance=guidance, budget=4) for i in range(count)
    ]


def test_the_longest_row_decides_after_one_step():
    model = TextDenoiser()
    memory = Memory(model, free=240 * TOKEN)
    assert rows_that_fit(model, todo(), memory) == 16  # 0.7 x 240 tokens are 16 rows of 10
    assert memory.calls == [1]


def test_each_kind_of_job_is_measured_and_the_dearest_decides():
    model = TextDenoiser()
    kinds = [*todo(), *todo(guidance=1.0), *todo("entropy"), *todo("punt")]
    memory = Memory(model, free=240 * TOKEN)
    assert rows_that_fit(model, kinds, memory) == 8  # with guidance two rows a row
    assert memory.calls == [1, 1, 1, 1]


@pytest.mark.parametrize(("free", "rows"), [(0, 1), (13 * TOKEN, 1), (30 * TOKEN, 2), (10**9, MOST)])
def test_it_is_at_least_one_row_and_at_most_so_many(free, rows):
    model = TextDenoiser()
    assert rows_that_fit(model, todo(), Memory(model, free)) == rows


def test_where_one_row_does_not_fit_it_is_one(monkeypatch):
    model = TextDenoiser()

    def full(inputs, index):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(model, "logits", full)
    assert rows_that_fit(model, todo(), Memory(model, 10**9)) == 1


def test_a_number_is_taken_as_it_is_and_off_cuda_nothing_is_measured():
    model = TextDenoiser()
    assert batch_size(5, model, todo(), "cuda") == 5
    assert batch_size("auto", model, todo(), "cpu") == PLANNED_ROWS
    assert not model.calls


class Small:
    """A model that holds no more than so many rows."""

    def __init__(self, model, rows):
        self.model, self.rows, self.sizes = model, rows, []

    def __getattr__(self, name):
        return getattr(self.model, name)

    def logits(self, inputs, index):
        self.sizes.append(len(inputs.tokens))
        if len(inputs.tokens) > self.rows:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self.model.logits(inputs, index)


class Half:
    """A device that has half of what it tells."""

    def free(self):
        return int(40 * TOKEN / fit.SHARE)

    def peak(self, work):
        work()
        return TOKEN


def planned(**sweep):
    content = {"models": "exact/chain", "tasks": "exact", "samplers": "random", "budgets": [2], "limit": 70, **sweep}
    suite = SuiteFile.model_validate({"name": "test", "batch_size": "auto", "sweeps": [content]})
    return make_plan(suite, Catalogue(), None, "test")


def test_a_run_takes_what_fits_halves_it_where_that_was_too_much_and_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(making, "batch_size", lambda asked, model, jobs, device: rows_that_fit(model, jobs, Half()))
    plan, store = planned(), RunStore.create(tmp_path / "run", {})
    model = Small(load_model(plan.cells[0].spec.model, "cpu"), 16)
    execute(plan, store, lambda spec: model, Options(plan.suite.batch_size))
    assert model.sizes[:3] == [1, 32, 16]
    (cell,) = store.cells()
    assert len(cell.done()) == 70
    assert [note["batch_size"] for note in cell.provenance()] == [32, 16]


def test_the_batch_size_is_no_part_of_a_cell(tmp_path):
    plan, store = planned(limit=3), RunStore.create(tmp_path / "run", {})
    model = load_model(plan.cells[0].spec.model, "cpu")
    execute(plan, store, lambda spec: model, Options("auto"))
    time_cells(plan, store, lambda spec: model, Options("auto"))
    (cell,) = store.cells()
    assert cell.read_timing()["batch_size"] == PLANNED_ROWS
    assert "batch_size" not in (cell.folder / "cell.json").read_text()


@pytest.mark.parametrize("size", ["many", "0", "1.5", "true", '"8"'])
def test_a_suite_with_another_batch_size_is_refused(tmp_path, size):
    path = tmp_path / "suite.yaml"
    path.write_text(f"name: s\nbatch_size: {size}\nsweeps: [{{models: digits, tasks: digits, samplers: random}}]\n")
    with pytest.raises(UserError, match=r"batch_size is .*: must be a whole number of at least 1, or auto"):
        Catalogue().suite(str(path))


def test_a_suite_may_say_auto(tmp_path):
    path = tmp_path / "suite.yaml"
    path.write_text("name: s\nbatch_size: auto\nsweeps: [{models: digits, tasks: digits, samplers: random}]\n")
    assert Catalogue().suite(str(path)).batch_size == "auto"
