"""Both ways make the same rows, and the command says what it measured."""

import heapq
import re

import numpy as np
import pytest
from click.testing import CliRunner

from harness.bench.refill import Refill, compare, largest, table
from harness.catalogue import Catalogue
from harness.cli.bench_refill import refill
from harness.engine.loop import CanvasEngine
from harness.errors import UserError
from harness.executors.loader import ModelLoader
from harness.executors.plan import make_plan
from harness.spec import SuiteFile


def test_both_ways_make_the_same_rows(tmp_path):
    arguments = ["--model", "exact/chain", "--task", "exact", "--sampler", "eb:gamma=1", "--limit", "32"]
    written = tmp_path / "table.md"
    done = CliRunner().invoke(refill, [*arguments, "--batches", "4,8", "--repeats", "1", "--output", str(written)])
    assert done.exit_code == 0, done.output
    text = written.read_text()
    assert "* rows: 32 of exact by eb:gamma=1 on exact/chain, temperature 1" in text
    assert re.search(r"coefficient of variation 0\.\d\d", text)
    four, eight = (line.strip("| ").split(" | ") for line in text.splitlines()[-2:])
    assert (four[0], eight[0]) == ("4", "8")
    for line in (four, eight):
        assert int(line[2]) > int(line[3])
        assert line[-1] == "100.00%"


def test_row_forwards_are_those_of_the_slowest_row_of_each_batch():
    """Against NFE of rows one by one: a batch that waits computes its size times its largest, refilled slots run until
    the queue, dealt to whichever slot is free, is empty."""
    sweep = {"models": "exact/chain", "tasks": "exact", "samplers": "eb:gamma=1", "limit": 20}
    plan = make_plan(SuiteFile.model_validate({"name": "refill", "sweeps": [sweep]}), Catalogue(), None, "test")
    (cell,) = plan.cells
    model, jobs = ModelLoader("cpu")(cell.spec.model), sorted(cell.jobs(), key=lambda job: job.request.document)
    alone = {one.job.request.document: one.cost.nfe for one in CanvasEngine(model, 1).generate(jobs)}
    nfe = [alone[job.request.document] for job in jobs]
    found = compare(model, jobs, 5, 1)
    free = [0] * 5
    for passes in nfe:
        heapq.heapreplace(free, free[0] + passes)
    assert found.computed == (5 * sum(max(nfe[i : i + 5]) for i in range(0, 20, 5)), 5 * max(free))
    assert sorted(found.nfe) == sorted(nfe)


def test_the_expected_largest_of_a_batch():
    assert largest([3, 1, 2], 1) == pytest.approx(2)
    assert largest([1, 2], 3) == pytest.approx(1 * 1 / 8 + 2 * 7 / 8)
    values, random = [1, 1, 2, 5, 9], np.random.default_rng(0)
    drawn = random.choice(values, (20_000, 4)).max(axis=1)
    assert largest(values, 4) == pytest.approx(drawn.mean(), abs=4 * drawn.std() / 20_000**0.5)


def test_the_ratio_is_paired():
    text = table([Refill(2, (2, 4, 6), (2.0, 4.0, 8.0), (1.0, 2.0, 4.0), (18, 14), 1.0)], {}, "cpu")
    assert "mean 4, largest 6, coefficient of variation 0.41" in text
    assert "| 2 | 1.22 | 18 | 14 | 1.29 | 67%, 86% | 4 [3, 6] | 2 [1.5, 3] | 2 [2, 2] | 100.00% |" in text


def test_several_settings_are_refused():
    done = CliRunner().invoke(refill, ["--model", "exact/chain", "--task", "exact", "--sampler", "eb"])
    assert isinstance(done.exception, UserError)
    assert "give one value for each knob" in str(done.exception)


def test_an_unknown_sampler_is_named():
    done = CliRunner().invoke(refill, ["--sampler", "ebb"])
    assert isinstance(done.exception, UserError)
    assert "Did you mean 'eb'" in str(done.exception)


@pytest.mark.parametrize("flag", ["--repeats", "--limit"])
def test_counts_begin_at_one(flag):
    assert CliRunner().invoke(refill, [flag, "0"]).exit_code == 2


def test_batches_have_a_row_at_least():
    done = CliRunner().invoke(refill, ["--batches", "8,0"])
    assert isinstance(done.exception, UserError)
    assert "at least one row" in str(done.exception)
