"""Both ways make the same samples, and the command says what it measured."""

import re

import pytest
from click.testing import CliRunner

from harness.bench.sharing import Shared, table
from harness.cli.bench_sharing import sharing
from harness.engine.sharing import Forwards
from harness.errors import UserError


def test_both_ways_make_the_same_samples(tmp_path):
    arguments = ["--model", "exact/chain", "--task", "exact", "--samplers", "confidence,random", "--limit", "8"]
    path = tmp_path / "table.md"
    done = CliRunner().invoke(sharing, [*arguments, "--budgets", "2,4", "--batch", "8", "--output", str(path)])
    assert done.exit_code == 0, done.output
    lines = re.findall(r"^\| (\d) \| (\d+) \| (\d+) \| ([\d.]+)% .* (\d+\.\d\d)% \|$", path.read_text(), re.MULTILINE)
    assert [line[0] for line in lines] == ["0", "1"]
    for _, charged, computed, share, equal in lines:
        assert int(charged) == 2 * 8 * (2 + 4)
        assert float(share) == pytest.approx(100 * (1 - int(computed) / int(charged)), abs=0.05)
        assert float(share) >= 8
        assert equal == "100.00"


def test_the_ratio_is_paired():
    text = table([Shared(0.0, Forwards(200, 150), (10, 8), (2.0, 4.0, 8.0), (1.0, 2.0, 4.0), 1.0)], {}, "cpu")
    assert "| 0 | 200 | 150 | 25.0% | 10 | 8 | 20.0% | 4 [3, 6] | 2 [1.5, 3] | 2 [2, 2] | 100.00% |" in text


def test_an_unknown_sampler_is_named():
    done = CliRunner().invoke(sharing, ["--samplers", "confidense"])
    assert isinstance(done.exception, UserError)
    assert "Did you mean 'confidence'" in str(done.exception)
