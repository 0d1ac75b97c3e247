"""The benchmark of samplers counts and divides what it should; nothing here depends on how fast the machine is."""

import re

import pytest
import torch

from harness.bench import overhead
from harness.bench.overhead import Overhead, StepTime, measure, model
from harness.cli import main
from harness.engine import loop
from harness.models.random_llama import RandomDenoiser, Shape

TINY = Shape(vocab_size=40, width=8, depth=1, heads=1)


@pytest.fixture
def clock(monkeypatch):
    """Time stands still but where a test moves it."""
    seconds = [0.0]
    monkeypatch.setattr(overhead, "now", lambda device: seconds[0])
    return seconds


@pytest.mark.parametrize(("name", "calls"), [("confidence", 1), ("punt", 4), ("threshold", 1), ("freecorrection", 1)])
def test_model_and_sampler_are_told_apart(clock, monkeypatch, name, calls):
    def delayed(function, seconds):
        def run(*args):
            clock[0] += seconds
            return function(*args)

        return run

    monkeypatch.setattr(RandomDenoiser, "logits", delayed(RandomDenoiser.logits, 10.0))
    monkeypatch.setattr(loop, "apply_edit", delayed(loop.apply_edit, 2.0))
    row = measure(name, 1.0, model(TINY, 8, "cpu"), batch=2, repeats=4)
    assert len(row.steps) == 4
    assert all(step.forward == 10.0 * step.calls and step.beyond == 2.0 for step in row.steps)
    assert max(step.calls for step in row.steps) <= calls
    assert row.share[1] == pytest.approx(0.2 / row.calls)


def test_quartiles():
    row = Overhead("x", 0.0, tuple(StepTime(2.0, float(i), 1) for i in (1, 2, 3, 4, 5)))
    assert row.beyond == (2.0, 3.0, 4.0)
    assert row.share == (1.0, 1.5, 2.0)


def test_the_command_prints_and_writes_the_table(capsys, tmp_path):
    flags = "--vocab 40 --width 8 --layers 1 --positions 9 --repeats 2 --batch 2 --samplers confidence,halton"
    main([*f"bench samplers {flags}".split(), "--output", str(tmp_path / "table.md")])
    text = (tmp_path / "table.md").read_text()
    assert capsys.readouterr().out == text
    assert f"\n`run_eval.py bench samplers {flags}`\n" in text
    assert f"threads: {torch.get_num_threads()}" in text
    assert re.findall(r"^\| `(\w+)` \| (\d) \| 1 \|", text, re.M) == [
        ("confidence", "0"),
        ("confidence", "1"),
        ("halton", "0"),
        ("halton", "1"),
    ]
