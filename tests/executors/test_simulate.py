"""The simulated fleet against what can be computed by hand."""

import numpy as np
import pytest

from harness.executors.simulate import Fleet, passes_of, simulate


def test_equal_units_end_together_and_take_what_the_formula_says():
    nfe = {"a": np.full(5, 16.0), "b": np.full(5, 48.0)}
    found = simulate(nfe, 2 * 4096, Fleet(workers=8, batch=32, forward=0.01, start=100.0, mtbf=0))
    # 4,096 documents, 16 units of 32 for each worker, each 32 x (16 + 48) forwards of 10 ms.
    assert found.units == 128
    assert found.longest == pytest.approx(20.48)
    assert found.ideal == pytest.approx(16 * 20.48)
    assert found.seconds == pytest.approx(100 + 16 * 20.48)
    assert found.deaths == 0


def test_uneven_units_leave_the_last_worker_alone_for_no_longer_than_a_unit():
    rng = np.random.default_rng(0)
    nfe = {str(i): rng.gamma(6.25, 4, 200) for i in range(4)}  # coefficient of variation 0.4
    found = simulate(nfe, 100_000, Fleet(workers=20, batch=32, forward=0.01, start=0.0, mtbf=0))
    assert found.ideal <= found.seconds <= found.ideal + found.longest


def test_deaths_cost_a_restart_and_little_work():
    nfe = {"a": np.full(5, 32.0)}
    fleet = Fleet(workers=10, batch=32, forward=0.01, start=60.0, mtbf=1.0)
    found = simulate(nfe, 1_000_000, fleet)
    expected = found.ideal * fleet.workers / 3600 / fleet.mtbf
    assert found.deaths == pytest.approx(expected, abs=4 * expected**0.5)
    # Each death costs the start of a worker, and on average half a part of a unit.
    again = found.deaths * (fleet.start + found.longest / 40) / fleet.workers
    assert found.seconds == pytest.approx(found.ideal + 60 + again, abs=found.longest + 60)


def test_a_pass_counts_by_the_length_of_its_row():
    short = {"nfe": 4, "token_forwards": 4 * 10}
    long = {"nfe": 2, "token_forwards": 2 * 40}
    unknown = {"nfe": None, "token_forwards": None}
    found = passes_of({"a": [short, short], "b": [long, unknown], "c": [unknown]})
    # 10 passes of 160 tokens: rows have 16 tokens in the mean of all passes.
    assert {cell: passes.tolist() for cell, passes in found.items()} == {"a": [2.5, 2.5], "b": [5.0]}
