"""Scores, observations, timing, and the table of a run."""

import json
import math
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from store_data import make_record, make_spec

from harness.errors import UserError
from harness.store import CellStore, MetricValue, RunStore, SampleKey, table

KEYS = [SampleKey("a", 0), SampleKey("a", 1), SampleKey("b", 0)]


@pytest.fixture
def run(tmp_path: Path) -> RunStore:
    return RunStore.create(tmp_path / "run", {})


@pytest.fixture
def cell(run: RunStore) -> CellStore:
    cell = run.cell(make_spec())
    with cell.lock():
        cell.append([make_record(i, document) for document, i in KEYS])
    return cell


def test_scores_are_read_back_with_infinities(cell: CellStore) -> None:
    assert cell.read_scores("s") == {}
    assert cell.read_summary("s") is None
    scores = {
        KEYS[0]: {"nll": math.inf, "valid": np.bool_(True), "each": [1.5, -math.inf]},
        KEYS[1]: {"nll": np.float64(0.1), "valid": False, "each": []},
        KEYS[2]: {"nll": None},
    }
    metrics = {"nll": MetricValue(math.inf, 3, stderr=math.nan), "valid": MetricValue(0.5, 3, floor=0.25)}
    cell.write_scores("s", "strict", scores, metrics)
    assert cell.read_scores("s") == {
        KEYS[0]: {"nll": math.inf, "valid": True, "each": [1.5, -math.inf]},
        KEYS[1]: {"nll": 0.1, "valid": False, "each": []},
        KEYS[2]: {"nll": None},
    }
    summary = cell.read_summary("s")
    assert summary is not None
    assert (summary.scorer, summary.protocol, summary.documents, summary.samples) == ("s", "strict", 2, 3)
    assert summary.metrics["valid"] == MetricValue(0.5, 3, None, 0.25)
    assert summary.metrics["nll"].value == math.inf
    assert math.isnan(summary.metrics["nll"].stderr)
    strict = {"parse_constant": lambda name: pytest.fail(f"{name} is no JSON")}
    for path in (cell.folder / "scores").iterdir():
        for text in [path.read_text()] if path.suffix == ".json" else path.read_text().splitlines():
            json.loads(text, **strict)


def test_a_summary_knows_its_samples(cell: CellStore) -> None:
    cell.write_scores("s", None, {key: {} for key in reversed(KEYS)}, {})
    summary = cell.read_summary("s")
    assert summary is not None
    assert summary.covers(cell.done())
    with cell.lock():
        cell.append([make_record(9)])
    assert not summary.covers(cell.done())


def test_a_failed_replacement_keeps_the_scores_that_were(cell: CellStore, monkeypatch: pytest.MonkeyPatch) -> None:
    cell.write_scores("s", None, {KEYS[0]: {"x": 1}}, {"x": MetricValue(1.0, 1)})
    before = {path: path.read_bytes() for path in (cell.folder / "scores").iterdir()}

    def fail(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(UserError, match="No space left"):
            cell.write_scores("s", None, {KEYS[0]: {"x": 2}}, {"x": MetricValue(2.0, 1)})
    assert {path: path.read_bytes() for path in (cell.folder / "scores").iterdir()} == before


def test_a_foreign_summary_is_refused(cell: CellStore) -> None:
    (cell.folder / "scores").mkdir()
    for text in ("{}", "[]", '{"metrics": {"x": {"wert": 1}}}'):
        (cell.folder / "scores" / "s.summary.json").write_text(text)
        with pytest.raises(UserError, match=r"s.summary.json is no summary"):
            cell.read_summary("s")


def test_observations_are_read_back(cell: CellStore) -> None:
    assert cell.read_observations("o") is None
    generator = np.random.default_rng(0)
    arrays = {
        "features": generator.normal(size=(3, 4)).astype(np.float32),
        "strided": generator.normal(size=(4, 3)).T[:, ::2],
        "half": np.ones((3,), np.float16),
        "labels": np.arange(3),
        "seen": np.array([True, False, True]),
        "empty": np.zeros((3, 0)),
    }
    keys = [SampleKey("ü\n\ud800", 0), *KEYS[:2]]
    cell.write_observations("o", keys, arrays)
    first = (cell.folder / "observations" / "o.safetensors").read_bytes()
    found = cell.read_observations("o")
    assert found is not None
    assert found[0] == keys
    assert set(found[1]) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[1][name], array)
        assert found[1][name].dtype == array.dtype
    cell.write_observations("o", keys, arrays)
    assert (cell.folder / "observations" / "o.safetensors").read_bytes() == first


@pytest.mark.parametrize("array", [np.zeros(2), np.zeros(()), np.array(["a", "b", "c"]), np.array([{}, {}, {}])])
def test_observations_are_numbers_one_row_a_sample(cell: CellStore, array: np.ndarray) -> None:
    with pytest.raises(ValueError, match="observation 'x'"):
        cell.write_observations("o", KEYS, {"x": array})


def test_a_broken_observation_file_is_named(cell: CellStore) -> None:
    (cell.folder / "observations").mkdir()
    (cell.folder / "observations" / "o.safetensors").write_bytes(b"garbage")
    with pytest.raises(UserError, match=r"o.safetensors holds no observations"):
        cell.read_observations("o")


def test_timing_is_read_back(cell: CellStore) -> None:
    assert cell.read_timing() is None
    cell.write_timing({"seconds": 1.5, "joules": None})
    assert cell.read_timing() == {"seconds": 1.5, "joules": None}


def test_the_table_of_an_empty_run(run: RunStore) -> None:
    assert table(run).empty
    assert {"cell", "model", "params", "budget"} <= set(table(run).columns)


def test_the_table_has_means_and_metrics(run: RunStore, cell: CellStore) -> None:
    scores = {key: {"x": 1.0} for key in KEYS}
    cell.write_scores("old", "p", scores, {"x": MetricValue(0.1, 3), "gone": MetricValue(9.0, 3)})
    cell.write_scores("new", "p", scores, {"x": MetricValue(0.2, 3, 0.05, 0.01)})
    os.utime(cell.folder / "scores" / "old.summary.json", ns=(0, 0))
    with run.cell(make_spec(budget=16, seed=3)).lock():
        pass
    frame = table(run).set_index("cell")
    row = frame.loc[cell.id]
    assert (row["model"], row["model_args"], row["dtype"]) == ("exact/chain", "length=8,noise=0.0001", "float64")
    assert (row["task"], row["protocol"], row["sampler"], row["seed"]) == ("exact", "p", "eb", 0)
    assert row["params"] == {"gamma": 1.0, "order": "entropy"}
    assert pd.isna(row["budget"])
    assert (row["temperature"], row["guidance"], row["documents"], row["samples"]) == (1.0, 0.0, 2, 3)
    assert (row["cost.depth"], row["cost.nfe"]) == (pytest.approx(1 / 3), pytest.approx(2 / 3))
    assert math.isnan(row["cost.flops"])
    assert (row["metric.x"], row["metric.x.stderr"], row["metric.x.floor"]) == (0.2, 0.05, 0.01)
    assert "metric.gone" not in frame
    assert not row["stale"]
    empty = frame.loc[make_spec(budget=16, seed=3).id]
    assert (empty["budget"], empty["samples"], empty["stale"]) == (16, 0, True)
    assert math.isnan(empty["metric.x"])


def test_a_mean_cost_is_unknown_where_one_sample_lacks_it(run: RunStore, cell: CellStore) -> None:
    with cell.lock():
        cell.append([make_record(5, cost={"depth": 5, "nfe": None})])
    row = table(run).iloc[0]
    assert row["cost.depth"] == pytest.approx((0 + 1 + 0 + 5) / 4)
    assert math.isnan(row["cost.nfe"])
    with cell.lock():
        cell.append([make_record(6, cost=None)])
    assert math.isnan(table(run).iloc[0]["cost.depth"])


def test_a_timed_cell_has_seconds_and_joules_per_sample(run: RunStore, cell: CellStore) -> None:
    assert {"cost.seconds", "cost.joules"}.isdisjoint(table(run).dropna(axis="columns", how="all").columns)
    timing = {"device": "cpu", "batch_size": 8, "samples": 4, "seconds_per_sample": 0.5, "joules": None}
    cell.write_timing(timing)
    row = table(run).iloc[0]
    assert (row["cost.seconds"], row["timed"]) == (0.5, "cpu, batches of 8")
    assert math.isnan(row["cost.joules"])
    cell.write_timing({**timing, "joules": 10.0})
    assert table(run).iloc[0]["cost.joules"] == 2.5


def test_a_cell_scored_under_two_protocols_has_two_rows(run: RunStore, cell: CellStore) -> None:
    scores = {key: {"x": 1.0} for key in KEYS}
    for protocol, value in (("strict", 0.25), ("loose", 0.75)):
        cell.write_scores(f"s-{protocol}", protocol, scores, {"x": MetricValue(value, 3)})
    with cell.lock():
        cell.append([make_record(7)])
    cell.write_scores("s-loose", "loose", {**scores, SampleKey("d", 7): {}}, {"x": MetricValue(0.8, 4)})
    frame = table(run).set_index("protocol")
    assert frame["metric.x"].to_dict() == {"strict": 0.25, "loose": 0.8}
    assert frame["stale"].to_dict() == {"strict": True, "loose": False}


def test_observations_of_some_samples_after_others(cell: CellStore) -> None:
    arrays = {"x": np.arange(6, dtype=np.float32).reshape(3, 2), "seen": np.array([True, False, True])}
    keys = [SampleKey(name, 0) for name in ("c", "a", "b")]
    cell.write_observations("o", keys[:1], {name: array[:1] for name, array in arrays.items()})
    cell.add_observations("o", keys[1:2], {name: array[1:2] for name, array in arrays.items()})
    cell.add_observations("o", keys[2:], {name: array[2:] for name, array in arrays.items()})
    assert cell.observed("o") == set(keys)
    assert cell.observed("p") == set()
    found = cell.gather_observations("o", sorted(keys))
    np.testing.assert_array_equal(found["x"], [[2, 3], [4, 5], [0, 1]])
    np.testing.assert_array_equal(found["seen"], [False, True, True])
    assert isinstance(found["x"], np.memmap)
    assert not list((cell.folder / "observations").glob("*.parts"))
    assert cell.read_observations("o")[0] == sorted(keys)  # type: ignore[index]


def test_the_file_is_one_that_safetensors_reads(cell: CellStore) -> None:
    from safetensors.numpy import load_file

    arrays = {"x": np.ones((3, 2), np.float16), "n": np.arange(3, dtype=np.int8), "b": np.array([True, False, True])}
    keys = [SampleKey(name, 1) for name in "abc"]
    cell.write_observations("o", keys, arrays)
    found = load_file(cell.folder / "observations" / "o.safetensors")
    assert set(found) == set(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype
