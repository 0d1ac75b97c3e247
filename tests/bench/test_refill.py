"""Both ways make the same rows, and the command says what it measured."""

import re

import pytest
from click.testing import CliRunner

from harness.bench.refill import Refill, table
from harness.cli.bench_refill import refill
from harness.errors import UserError


def test_both_ways_make_the_same_rows(tmp_path):
    arguments = ["--model", "exact/chain", "--task", "exact", "--sampler", "eb:gamma=1", "--limit", "32"]
    done = CliRunner().invoke(refill, [*arguments, "--batch", "4", "--output", str(tmp_path / "table.md")])
    assert done.exit_code == 0, done.output
    text = (tmp_path / "table.md").read_text()
    assert "* rows with the same tokens: 100.00%" in text
    waiting, filled = map(int, re.search(r"(\d+) waiting, (\d+) refilled", text).groups())
    assert waiting > filled
    assert "* rows: 32 of exact by eb:gamma=1 on exact/chain" in text
    assert re.search(r"coefficient of variation 0\.\d\d", text)


def test_the_ratio_is_paired():
    text = table(Refill((2, 4, 6), (2.0, 4.0, 8.0), (1.0, 2.0, 4.0), (9, 6), 1.0), {}, "cpu")
    assert "mean 4, largest 6, coefficient of variation 0.41" in text
    assert "9 waiting, 6 refilled, 1.50 times as many" in text
    assert "| 4 [3, 6] | 2 [1.5, 3] | 2 [2, 2] |" in text


def test_several_settings_are_refused():
    done = CliRunner().invoke(refill, ["--model", "exact/chain", "--task", "exact", "--sampler", "eb"])
    assert isinstance(done.exception, UserError)
    assert "give one value for each knob" in str(done.exception)


def test_an_unknown_sampler_is_named():
    done = CliRunner().invoke(refill, ["--sampler", "ebb"])
    assert isinstance(done.exception, UserError)
    assert "Did you mean 'eb'" in str(done.exception)


@pytest.mark.parametrize("flag", ["--batch", "--repeats", "--limit"])
def test_counts_begin_at_one(flag):
    assert CliRunner().invoke(refill, [flag, "0"]).exit_code == 2
