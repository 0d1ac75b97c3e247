"""`bench caches` runs, and what it says of token-forwards is what each cache computes."""

from click.testing import CliRunner

from harness.bench.caches import Cached, table
from harness.cli.bench_caches import caches
from harness.errors import UserError

SMALL = ["--vocab", "300", "--width", "64", "--layers", "2", "--prompt", "8", "--tokens", "16", "--block", "8"]


def test_all_caches_beside_the_exact_model(tmp_path):
    done = CliRunner().invoke(caches, [*SMALL, "--steps", "8", "--batch", "2", "--output", str(tmp_path / "table.md")])
    assert done.exit_code == 0, done.output
    text = (tmp_path / "table.md").read_text()
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith("| ") and "%" in line]
    # Two rows of 24 tokens; blocks of 8 in 4 calls, of which the first computes all.
    computed = [8 * 24, 2 * 24 + 3 * 16 + 3 * 8, 2 * 24 + 6 * 8]
    assert [int(row[1]) for row in rows[:3]] == [2 * each for each in computed]
    assert len(rows) == 4
    assert rows[0][2] == rows[0][4] == "100.0%"
    assert rows[0][-1] == "100.0% |"


def test_ratios_are_of_the_same_turn():
    exact, dual = Cached("exact", 100, 8.0, (2.0, 4.0, 6.0), 1.0), Cached("dual", 25, 2.0, (1.0, 1.0, 2.0), 0.5)
    assert "| dual | 25 | 25.0% | 2 | 25.0% | 1 [1, 1.5] | 3 [2.5, 3.5] | 50.0% |" in table([exact, dual], {}, "cpu")


def test_more_steps_than_tokens_are_refused():
    done = CliRunner().invoke(caches, [*SMALL, "--steps", "17"])
    assert isinstance(done.exception, UserError)
