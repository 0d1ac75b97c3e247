"""Rows of a table against the real ones: both metrics by hand, their floor by simulation, and mistakes."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from harness.catalogue import Catalogue
from harness.errors import UserError
from harness.models.tables.data import load_table
from harness.models.tables.network import TableConfig, TableTransformer
from harness.models.weights_file import write_weights
from harness.spec import ModelSpec, TaskSpec
from harness.task import Document, Output, Sample


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    table = load_table("wine", 4, 0)
    config = TableConfig(
        list(table.columns), list(table.columns.values()), "wine", 4, 0, table.digest, "order_space", 8, 1, 2
    )
    path = tmp_path_factory.mktemp("weights") / "wine.safetensors"
    write_weights(path, config, TableTransformer(config).state_dict())
    return path, config, table


def task_of(path, **settings):
    model = ModelSpec(name="table", args={"weights": str(path)})
    return Catalogue().task(TaskSpec(name="tables", args=settings), None, model)


def samples(rows):
    return [Sample(Document(str(i)), 0, Output(tokens=tuple(map(int, row)))) for i, row in enumerate(rows)]


def test_real_rows_have_no_error_and_other_rows_have_that_of_a_plain_count(weights):
    path, _, table = weights
    task, real = task_of(path), np.concatenate([table.train, table.validation])
    assert task.aggregate(samples(real), {})["pair_trend"].value == pytest.approx(0, abs=1e-6)
    assert task.aggregate(samples(real), {})["column_shape"].value == pytest.approx(0, abs=1e-6)
    made = table.test
    found = task.aggregate(samples(made), {})

    def share(rows, columns, values):
        return np.mean((rows[:, columns] == values).all(axis=1))

    shapes = [
        sum(abs(share(made, [c], [v]) - share(real, [c], [v])) for v in range(4)) / 2 for c in range(real.shape[1])
    ]
    assert found["column_shape"].value == pytest.approx(np.mean(shapes))
    trends = [
        sum(abs(share(made, [a, b], [u, v]) - share(real, [a, b], [u, v])) for u in range(4) for v in range(4)) / 2
        for b in range(real.shape[1])
        for a in range(b)
    ]
    assert found["pair_trend"].value == pytest.approx(np.mean(trends))
    assert found["pair_trend"].stderr > 0
    assert task.aggregate(samples(made[:1]), {}) == {}


def test_the_floor_is_what_rows_of_the_same_origin_reach(weights):
    path, _, table = weights
    task, rng = task_of(path), np.random.default_rng(0)
    everything = np.concatenate([table.train, table.validation])
    # Draws from the reference itself, against an equally large draw in its place, are two samples of one origin.
    values = []
    for _ in range(20):
        again = task_of(path)
        again.__dict__["reference"] = torch.from_numpy(rng.choice(everything, len(everything)))
        values.append(again.aggregate(samples(rng.choice(everything, 200)), {})["pair_trend"].value)
    floor = task.aggregate(samples(rng.choice(everything, 200)), {})["pair_trend"].floor
    assert floor == pytest.approx(np.mean(values), rel=0.05)


def test_lines_that_differ_in_columns_alone_are_told_apart_by_pairs(weights):
    path, _, table = weights
    real = np.concatenate([table.train, table.validation])
    rng = np.random.default_rng(0)
    shuffled = np.stack([rng.permutation(column) for column in real.T], axis=1)
    found = task_of(path).aggregate(samples(shuffled), {})
    assert found["column_shape"].value == pytest.approx(0, abs=1e-6)
    assert found["pair_trend"].value > 1.3 * found["pair_trend"].floor


def test_documents_are_slots(weights):
    task = task_of(weights[0], count=3)
    task.check()
    assert [document.id for document in task.documents()] == ["0000", "0001", "0002"]
    assert task.data_hash() == task_of(weights[0], count=7).data_hash()
    assert "count" not in task.identity().args
    assert task.request(task.documents()[0]).length is None


def test_mistakes_are_named(weights, tmp_path):
    path, config, _ = weights
    with pytest.raises(UserError, match="count=1"):
        task_of(path, count=1).check()
    with pytest.raises(UserError, match="needs the model"):
        Catalogue().task(TaskSpec(name="tables"), None, None).check()
    other = replace(config, digest="0" * 16)
    write_weights(tmp_path / "other.safetensors", other, TableTransformer(other).state_dict())
    with pytest.raises(UserError, match="not the one that the model was trained on"):
        task_of(tmp_path / "other.safetensors").check()
    for row in ([0] * 13, [4] * 14, [-1] * 14):
        with pytest.raises(UserError, match="no row of the table 'wine'"):
            task_of(path).aggregate(samples([row, row]), {})
