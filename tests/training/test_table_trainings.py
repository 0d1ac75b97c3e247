"""Trainings on tables: every method finishes, resumes, and says what it found; mistakes in their recipes."""

import json

import pytest
from safetensors.torch import load_file

from harness.errors import UserError
from harness.models.tables.denoiser import load_network
from harness.models.tables.network import METHODS
from harness.training.run import train

SMALL = {
    "network.width": 16,
    "network.depth": 1,
    "network.heads": 2,
    "objective.data": "wine",
    "steps": 6,
    "batch_size": 8,
    "validate_every": 3,
    "warmup": 2,
    "ema": 0.5,
}


def run(path, stop_after=None, **overrides):
    train("learned_order", {**SMALL, **overrides}, path, stop_after=stop_after)
    return path


@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains_and_resumes(tmp_path, method):
    overrides = {"objective.method": method}
    whole = run(tmp_path / "whole", **overrides)
    run(tmp_path / "stopped", stop_after=4, **overrides)
    assert (run(tmp_path / "stopped", **overrides) / "weights.safetensors").read_bytes() == (
        whole / "weights.safetensors"
    ).read_bytes()
    result = json.loads((whole / "result.json").read_text())
    assert 10 < result["nats_per_row"] < 50
    assert 0 < result["nats_per_row_stderr"] < 3
    assert len(result["nats"]) == 36
    assert sum(result["nats"]) / 36 == pytest.approx(result["nats_per_row"])
    assert result["nats_per_row_uniform_orders"] == pytest.approx(result["nats_per_row"], abs=3)
    assert ("nats_per_row_fixed_order" in result) == (method != "genmd4")
    rates = load_file(whole / "weights.safetensors")["schedule"]
    assert rates.shape == ((14, 8) if method == "genmd4" else (14,))
    assert (rates == 0).all() == (method == "uniform")
    assert load_network(str(whole / "weights.safetensors")).config.data == "wine"


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("objective.method", "order", "objective.method is 'order'. Did you mean 'order_space'"),
        ("objective.method", 3, "objective.method = 3 should be of type str"),
        ("objective.data", "wines", "Did you mean 'wine'"),
        ("objective.data", "absent.csv", "'absent.csv' cannot be read"),
        ("objective.bins", 1, "bins is 1"),
        ("rates.schedul", 0.1, "no part of the network. Did you mean 'schedule'"),
    ],
)
def test_mistakes_are_named(tmp_path, key, value, message):
    with pytest.raises(UserError, match=message):
        run(tmp_path / "run", **{key: value})
