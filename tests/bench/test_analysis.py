"""The made-up run is one that the harness could have made, and every part of its analysis is measured."""

import re

import pytest
from click.testing import CliRunner

from harness.analysis.frame import read_frame
from harness.analysis.scoring import score_run
from harness.bench import analysis, made_run
from harness.bench.analysis import Part, table
from harness.catalogue import Catalogue
from harness.cli.bench_analysis import analysis as command
from harness.errors import UserError
from harness.store import RunStore


@pytest.fixture
def small(monkeypatch):
    """One model and two samplers, one with steps and one with a knob of its own: 60 cells."""
    monkeypatch.setattr(made_run, "MODELS", ("llada",))
    monkeypatch.setattr(made_run, "SAMPLERS", ("confidence", "threshold"))
    monkeypatch.setattr(made_run, "CELLS", 60)


def test_more_steps_are_more_often_right_and_rows_are_ragged(small, tmp_path):
    made = made_run.make_run(tmp_path / "run", 1200)
    assert 1150 < made < 1250
    run, catalogue = RunStore(tmp_path / "run"), Catalogue(())
    assert score_run(run, catalogue, [], None) == 60
    assert score_run(run, catalogue, [], None) == 0
    frame = read_frame([run], catalogue)
    assert frame.table["samples"].sum() == made
    assert frame.table["samples"].nunique() == 3  # whole cells, and two kinds that were cut short
    right = frame.table.groupby("budget")["metric.correct"].mean()
    assert right.loc[64] > right.loc[4] + 0.2
    costs = [cost["nfe"] for cost in run.cells()[0].costs().values()]
    assert len(costs) > 5


def test_every_part_is_measured_in_a_process_of_its_own(small, monkeypatch, tmp_path):
    some = {name: part for name, part in analysis._PARTS.items() if name.startswith(("score", "read"))}
    monkeypatch.setattr(analysis, "_PARTS", some)
    held = b"x" * 2**30  # of this process, not of theirs
    done = CliRunner().invoke(command, ["--samples", "200", "--output", str(tmp_path / "table.md")])
    assert done.exit_code == 0, done.output
    text = (tmp_path / "table.md").read_text()
    assert re.search(r"^\* samples: \d+ in 60 cells$", text, re.M)
    for name in some:
        seconds, peak = re.search(rf"^\| {name} \| (\S+) \| (\d+) \|$", text, re.M).groups()
        assert 0 < float(seconds) < 60
        assert 20 < int(peak) < len(held) / 2**20


def test_the_sum_is_of_seconds_and_the_peak_is_the_largest():
    assert "| all | 3.5 | 200 |" in table([Part("a", 1.5, 200.0), Part("b", 2.0, 100.0)], {})


def test_a_folder_that_is_there_is_not_written_into(tmp_path):
    done = CliRunner().invoke(command, ["--folder", str(tmp_path)])
    assert isinstance(done.exception, UserError)
    assert "is there already" in str(done.exception)
