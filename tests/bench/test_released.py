"""The plain loop in the manner of LLaDA's release makes the harness's tokens, and the command tells both times."""

import re

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from harness.bench.released import Comparison, compare, released_loop, table
from harness.cli.bench_released import released
from harness.errors import UserError
from harness.models.base import Inputs
from harness.models.random_llama import RandomDenoiser, Shape

SHAPE = Shape(vocab_size=50, width=32, depth=2, heads=2)


@pytest.fixture(scope="module")
def denoiser():
    return RandomDenoiser(SHAPE, 12, prompt=[3, 4, 5])


@pytest.mark.parametrize("steps", [1, 5, 12])
def test_both_make_the_same_tokens_at_temperature_zero(denoiser, steps):
    found = compare(denoiser, batch=3, steps=steps, temperature=0.0, repeats=2)
    assert found.agree == 1
    assert len(found.released) == len(found.ours) == 2
    assert all(0 < inside < whole for inside, whole in zip(found.forward, found.ours, strict=True))


def test_above_zero_both_draw_from_the_model(denoiser):
    """One step: the marginals of the all-masked canvas, which the loop's noise must reproduce."""
    torch.manual_seed(0)
    drawn = torch.cat([released_loop(denoiser, 500, 1, 1.0) for _ in range(8)])
    row = torch.tensor([[3, 4, 5, *[denoiser.mask_id] * 12]])
    inputs = Inputs(row, row >= 0, torch.arange(15)[None], {"label": torch.zeros(1, dtype=torch.int64)})
    logits, _ = denoiser.logits(inputs, torch.arange(3, 15))
    expected = torch.softmax(logits, dim=-1)
    counts = torch.nn.functional.one_hot(drawn, 50).double().mean(dim=0)
    error = (expected * (1 - expected) / len(drawn)).sqrt().clamp(min=1e-3)
    assert ((counts - expected).abs() / error).max() < 5
    assert (drawn != denoiser.mask_id).all()


def test_the_best_batches_are_told():
    rows = [
        Comparison(1, 0.0, (2.0,) * 3, (1.0,) * 3, (0.9,) * 3, 1.0),
        Comparison(4, 0.0, (9.0,) * 3, (3.0,) * 3, (2.5,) * 3, 1.0),
    ]
    text = table(rows, {}, "cpu")
    assert "(released 1, harness 4): 2.67 times as many tokens a second" in text
    assert "| 4 | 0 | 9 [9, 9] | 3 [3, 3] | 3 [3, 3] | 1.2 [1.2, 1.2] | 100.00% |" in text


def test_the_command(tmp_path):
    small = ["--vocab", "50", "--width", "64", "--layers", "1", "--prompt", "2", "--tokens", "6", "--steps", "3"]
    done = CliRunner().invoke(released, [*small, "--repeats", "2", "--output", str(tmp_path / "table.md")])
    assert done.exit_code == 0, done.output
    lines = re.findall(r"^\| (\d+) \| ([01]) \|", (tmp_path / "table.md").read_text(), re.M)
    assert lines == [("1", "0"), ("4", "0"), ("1", "1"), ("4", "1")]
    assert np.all([f"Temperature {t}, each at its best batch" in done.output for t in (0, 1)])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--steps", "9", "--tokens", "4"], "at most as many as the 4 tokens"),
        (["--batches", "0"], "at least one row"),
        (["--temperatures", "-1"], "must be at least 0"),
        (["--width", "129"], "multiple of"),
    ],
)
def test_wrong_sizes_are_refused(arguments, says):
    done = CliRunner().invoke(released, arguments)
    assert isinstance(done.exception, UserError)
    assert says in str(done.exception)
