"""The tables and the figure of `bench corrections`."""

import itertools

import pandas as pd
import pytest
from click.testing import CliRunner
from matplotlib.figure import Figure

from harness.analysis.corrections import figure, markdown, write
from harness.cli.bench_corrections import corrections
from harness.errors import UserError

METRICS = ("auroc", "average_precision", "harm_rate")


@pytest.fixture
def records() -> pd.DataFrame:
    rows = []
    for score, ratio, share in itertools.product(("visible", "shadow"), (0.0, 0.5), (0.1, 0.2)):
        known = score == "visible"
        values = dict.fromkeys(METRICS, 0.75 + ratio / 10 if known else None)
        errors = {f"{name}_stderr": 0.02 if known else None for name in METRICS}
        about = {"model": "exact/a_b", "score": score, "mask_ratio": ratio, "error_share": share}
        rows.append({**about, **values, **errors, "nfe": 1.0 if known else None})
    return pd.DataFrame(rows)


def test_a_line_for_each_score_and_what_is_unknown_says_so(records):
    text = markdown(records).splitlines()
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in text if line.startswith("| exact")]
    assert lines[0] == ["exact/a_b", "visible", "0.750 ± 0.020", "0.800 ± 0.020"]
    assert lines[1] == ["exact/a_b", "shadow", "n/a", "n/a"]
    assert lines[-2:] == [["exact/a_b", "visible", "1", "1"], ["exact/a_b", "shadow", "n/a", "n/a"]]
    assert len(lines) == 2 * (3 * 2 + 1)


def test_the_figure_shows_the_measured_points(records):
    made = figure(records)
    assert isinstance(made, Figure)
    drawn = [line.get_xydata().tolist() for line in made.axes[0].lines]
    assert [[0.0, 0.75], [0.5, 0.8]] in drawn


def test_the_same_records_give_the_same_files(records, tmp_path):
    first, second = (write(records, tmp_path / name) for name in ("a", "b"))
    assert [path.suffix for path in first] == [".csv", ".md", ".png", ".pdf"]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"--output .*file"):
        write(records, tmp_path / "file")


def test_the_command_measures_and_writes(tmp_path):
    models = "exact/chain:length=8:visible=leave_one_out|one_hot"
    flags = ["--models", models, "--mask-ratios", "0,0.5", "--error-shares", "0.2", "--seeds", "0", "--documents", "3"]
    done = CliRunner().invoke(corrections, [*flags, "--output", str(tmp_path)], catch_exceptions=False)
    assert done.exit_code == 0
    table = pd.read_csv(tmp_path / "corrections.csv")
    assert table.groupby("model").size().to_dict() == {
        "exact/chain:length=8:visible=leave_one_out": 12,
        "exact/chain:length=8:visible=one_hot": 12,
    }
    assert table.loc[table["score"] == "leave_one_out", "nfe"].tolist() == [8, 4, 8, 4]


@pytest.mark.parametrize(
    ("flag", "value", "message"),
    [
        ("--mask-ratios", "0.5,1", "--mask-ratios: 1 in '0.5,1' must be at least 0 and below 1"),
        ("--error-shares", "0", "--error-shares: 0 in '0'"),
        ("--models", "exact/chian", "exact/chian"),
        ("--seeds", "a", "--seeds: 'a'"),
    ],
)
def test_mistakes_are_named(flag, value, message):
    with pytest.raises(UserError, match=message):
        CliRunner().invoke(corrections, [flag, value], catch_exceptions=False)
