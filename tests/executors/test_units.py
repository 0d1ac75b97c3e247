"""Dividing a plan: everything once, alike in every process, in parts of about the same cost."""

import pytest

from harness.catalogue import Catalogue
from harness.errors import UserError
from harness.executors.making import samples_of
from harness.executors.plan import make_plan
from harness.executors.units import UNITS, Shard, by_unit, divide
from harness.spec import SuiteFile


def plan(*sweeps):
    default = {"models": "exact/chain", "tasks": "exact", "samplers": "random", "budgets": [1, 2], "limit": 40}
    suite = SuiteFile.model_validate({"name": "test", "sweeps": [{**default, **sweep} for sweep in sweeps or [{}]]})
    return make_plan(suite, Catalogue(), None, "test")


MIXED = ({"models": ["exact/chain", "exact/tree"], "samplers": ["random", "eb"], "limit": 200}, {"samples": 3})


@pytest.mark.parametrize("workers", [1, 2, 7, 100])
@pytest.mark.parametrize("batch_size", [1, 8, 32])
def test_every_sample_is_in_one_unit_of_one_shard(workers, batch_size):
    mixed = plan(*MIXED)
    every = samples_of(mixed.cells)
    units = divide(mixed, workers, batch_size)
    assert [unit.number for unit in units] == list(range(len(units)))
    owned = [each for of_unit in by_unit(units, every).values() for each in of_unit]
    assert len(owned) == len(every)
    assert set(owned) == every
    shards = [Shard(i, workers).of(units) for i in range(1, workers + 1)]
    assert [unit for shard in shards for unit in shard] == units


def test_units_are_whole_batches_and_no_more_than_are_needed():
    units = divide(plan({"limit": 1000}), 2, 8)
    assert len(units) <= 2 * UNITS
    sizes = [len(unit.documents) for unit in units]
    assert sizes == [32] * 31 + [8]
    assert {len(unit.cells) for unit in units} == {2}


def test_cells_are_divided_where_documents_are_few():
    units = divide(plan({"limit": 8, "budgets": [1, 2, 3, 4, 5, 6, 7, 8]}), 4, 32)
    assert [len(unit.cells) for unit in units] == [1] * 8
    assert [unit.cost for unit in units] == sorted(unit.cost for unit in units)
    assert units[7].cost == 8 * units[0].cost  # eight times the steps


def test_samples_of_a_document_fill_a_batch():
    assert {len(unit.documents) for unit in divide(plan({"samples": 16}), 1, 32)} == {4}


def test_shards_differ_by_no_more_than_the_largest_unit():
    units = divide(plan(*MIXED), 5, 8)
    costs = [sum(unit.cost for unit in Shard(i, 5).of(units)) for i in range(1, 6)]
    assert max(costs) - min(costs) <= 2 * max(unit.cost for unit in units)
    assert min(costs) > 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0/4", "no such part; the parts are 1/4 to 4/4"),
        ("5/4", "no such part; the parts are 1/4 to 4/4"),
        ("0/0", "1/1 for the whole"),
        ("a/b", "such as --shard 2/4"),
        ("2", "such as --shard 2/4"),
        ("-1/4", "such as --shard 2/4"),
    ],
)
def test_what_is_no_shard(text, message):
    with pytest.raises(UserError, match=message):
        Shard.parse(text)
    assert str(Shard.parse("3/4")) == "3/4"
