"""The files of a report."""

import math

import pandas as pd
import pytest

from harness.analysis.report import write_report
from harness.errors import UserError


@pytest.fixture
def table(cell, table_of):
    return table_of(
        *(cell(s, nfe, 0.5 / nfe, seed=seed) for s in ("eb", "random") for nfe in (1, 4) for seed in (0, 1)),
        cell(model="digits", nfe=4),
    )


def test_it_writes_tables_and_both_forms_of_every_figure(table, tasks, tmp_path):
    paths = write_report(tmp_path / "run", table, tasks)
    assert {path.relative_to(tmp_path / "run").as_posix() for path in paths} == {
        "leaderboard.md",
        "leaderboard.csv",
        "curves.png",
        "curves.pdf",
        *(f"figures/exact-{model}-pair_tv.{s}" for model in ("digits", "exact_chain") for s in ("png", "pdf")),
    }
    assert set(paths) == {path for path in (tmp_path / "run").rglob("*") if path.is_file()}  # nothing half-made
    assert all(path.stat().st_size > 200 for path in paths)


def test_the_csv_reads_back_as_plain_numbers(table, tasks, tmp_path):
    write_report(tmp_path, table, tasks)
    board = pd.read_csv(tmp_path / "leaderboard.csv")
    assert [column for column in board.columns if not column.replace("_", "").isalnum()] == []
    row = board[(board["sampler"] == "eb") & (board["nfe"] == 4)].iloc[0]
    assert (row["metric_pair_tv"], row["metric_pair_tv_stderr"], row["seeds"]) == (0.125, 0.0, 2)
    assert board["flops"].isna().all()  # unknown is empty, never zero


def test_the_same_table_in_another_order_gives_the_same_bytes(table, tasks, tmp_path):
    first = write_report(tmp_path / "a", table, tasks)
    second = write_report(tmp_path / "b", table.sample(frac=1, random_state=0), tasks)
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_an_empty_table_says_so(table, tasks, tmp_path):
    for empty in (table.iloc[:0], pd.DataFrame()):
        with pytest.raises(UserError, match="nothing to report"):
            write_report(tmp_path, empty, tasks)


def test_what_has_no_scores_is_listed_without_figures(cell, table_of, tasks, tmp_path):
    paths = write_report(tmp_path, table_of(cell(tv=math.nan), cell("eb", math.nan, 0.5)), tasks)
    assert [path.name for path in paths] == ["leaderboard.md", "leaderboard.csv"]
    assert len(pd.read_csv(tmp_path / "leaderboard.csv")) == 2


def test_models_whose_file_names_would_be_equal_keep_apart(cell, table_of, tasks, tmp_path):
    paths = write_report(tmp_path, table_of(cell(model="a/b"), cell(model="a:b"), cell(model="../A_b")), tasks)
    figures = [path for path in paths if path.parent.name == "figures"]
    assert len({path.name.lower() for path in figures}) == 6
    assert all(path.resolve().parent == (tmp_path / "figures").resolve() for path in figures)


def test_a_failed_write_is_named_and_leaves_the_old_file(table, tasks, tmp_path):
    (tmp_path / "leaderboard.md").write_text("old")
    (tmp_path / "leaderboard.csv").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write .*leaderboard\.csv"):
        write_report(tmp_path, table, tasks)
    with pytest.raises(UserError, match="cannot write"):
        write_report(tmp_path / "file", table, tasks)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
