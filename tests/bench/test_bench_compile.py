"""`bench compile` runs, its ratios are of the same turn, and compiled tokens are the plain ones."""

import pytest
from click.testing import CliRunner

from harness.bench.compiling import Turns, table
from harness.cli.bench_compile import compile
from harness.errors import UserError

SMALL = ["--vocab", "700", "--width", "64", "--layers", "2", "--prompt", "8", "--tokens", "16", "--repeats", "2"]


def test_ratios_are_of_the_same_turn():
    text = table(
        [Turns("this", (2.0, 4.0, 6.0), (1.0, 1.0, 2.0), 9.0, 0.5), Turns("that", (1.0,), (2.0,), 3.0)], {}, "cpu"
    )
    assert "| this | 4 [3, 5] | 1 [1, 1.5] | 3 [2.5, 3.5] | 9 | 50.0% |" in text
    assert "| that | 1 [1, 1] | 2 [2, 2] | 0.5 [0.5, 0.5] | 3 |  |" in text


@pytest.mark.parametrize(
    ("wrong", "told"), [(["--steps", "17"], "--steps 17"), (["--samplers", "eb"], "'eb' takes no number")]
)
def test_mistakes_are_named(wrong, told):
    done = CliRunner().invoke(compile, [*SMALL, *wrong])
    assert isinstance(done.exception, UserError)
    assert told in str(done.exception)


@pytest.mark.slow
def test_both_are_timed(tmp_path):
    done = CliRunner().invoke(compile, [*SMALL, "--steps", "4", "--batch", "2", "--output", str(tmp_path / "table.md")])
    assert done.exit_code == 0, done.output
    rows = [line.split(" | ") for line in (tmp_path / "table.md").read_text().splitlines() if " [" in line]
    assert len(rows) == 4 + 2 * 3
    assert all(row[-1] == "100.0% |" for row in rows[4:])
