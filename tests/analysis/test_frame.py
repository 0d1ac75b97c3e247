"""What is read of runs that are damaged, foreign, unscored or of unknown tasks."""

import re
import shutil

import pytest
from site_run import make_spec, write_task
from stored_run import add_cell, new_run, verdicts

from harness.analysis.curves import name_cells, points
from harness.analysis.frame import read_frame
from harness.analysis.leaderboard import leaderboard
from harness.analysis.tables import markdown
from harness.catalogue import Catalogue
from harness.errors import UserError
from harness.store import GenerationRecord, SampleKey
from harness.task import Output


@pytest.fixture
def catalogue(tmp_path):
    return write_task(tmp_path / "quiz")


@pytest.fixture
def run(tmp_path):
    run = new_run(tmp_path / "run")
    for steps in (2, 4, 8):
        add_cell(run, verdicts(0.5), steps=steps)
    return run


def test_a_whole_run_has_no_problems(run, catalogue):
    table, tasks, problems = read_frame([run], catalogue)
    assert (len(table), list(tasks), problems) == (3, ["quiz"], [])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda cell: (cell / "cell.json").write_text("{"), r"cell\.json is no JSON"),
        (lambda cell: (cell / "cell.json").unlink(), r"cell\.json is missing"),
        (lambda cell: cell.rename(cell.with_name("copy")), "folder is named copy"),
        (lambda cell: (cell / "generations.jsonl").write_text("x\n{}\n"), r"generations\.jsonl, line 1"),
        (lambda cell: (cell / "scores" / "s.summary.json").write_text("{}"), "is no summary of scores"),
        (lambda cell: (cell.parent / "notes").mkdir() or (cell.parent / "notes" / "a.txt").touch(), "notes"),
    ],
)
def test_what_is_damaged_or_foreign_is_named_and_the_rest_is_read(run, catalogue, damage, message):
    damage(run.folders()[0])
    table, _, problems = read_frame([run], catalogue)
    (problem,) = problems
    assert re.search(message, problem)
    assert len(table) == (3 if message == "notes" else 2)


def test_cells_of_tasks_that_are_not_known_are_named(run, catalogue):
    spec = make_spec(catalogue)
    foreign = spec.model_copy(update={"task": spec.task.model_copy(update={"name": "quizz"})})
    with run.cell(foreign).lock():
        run.cell(foreign)
    table, tasks, problems = read_frame([run], catalogue)
    assert (set(table["task"]), list(tasks)) == ({"quiz"}, ["quiz"])
    (problem,) = problems
    assert "1 cells of task 'quizz' are left out" in problem
    assert "Did you mean 'quiz'" in problem


def test_cells_without_scores_and_cells_that_have_grown_are_told_with_the_command_that_helps(run, catalogue):
    folders = run.folders()
    shutil.rmtree(folders[0] / "scores")
    cell = run.cells()[1]
    with cell.lock():
        cell.append([GenerationRecord(SampleKey("more", 0), Output((1,), "out"), {"nfe": 1})])
    _, _, problems = read_frame([run], catalogue)
    (problem,) = problems
    assert problem.startswith("2 of 3 cells are not scored, or have grown since")
    assert f"`score {run.root}`" in problem


def test_cells_that_were_cut_short_are_listed_and_in_no_comparison(run, catalogue):
    add_cell(run, {"d000": True}, steps=16)
    for seed in (1, 2):
        add_cell(run, verdicts(0.5, seed=seed) if seed == 1 else {"d000": True}, steps=8, seed=seed)
    table, tasks, problems = read_frame([run], catalogue)
    (problem,) = problems
    assert problem.startswith("2 of 6 cells have less than half of the documents of the fullest one")
    found = points(table, "quiz", "accuracy")
    assert list(found["setting"]) == ["steps=2", "steps=4", "steps=8"]
    assert found["seeds"].tolist() == [1, 1, 2]  # the third seed of steps=8 does not count
    board = leaderboard(table, tasks).set_index("setting")
    assert not board.loc["steps=16", "finished"]
    assert not board.loc["steps=16", "pareto"]
    assert "steps=16" in markdown(table, tasks)


def test_cells_that_are_not_scored_yet_stand_with_those_of_the_only_protocol(run, catalogue):
    other = new_run(run.root.with_name("other"))
    add_cell(other, verdicts(0.5), protocol="strict")
    add_cell(other, verdicts(0.5), steps=4, protocol="strict")
    shutil.rmtree(other.folders()[0] / "scores")
    table, _, _ = read_frame([other], catalogue)
    assert set(name_cells(table)["task"]) == {"quiz@strict"}


def test_a_run_of_which_nothing_can_be_read_says_why(run, catalogue):
    for folder in run.folders():
        (folder / "cell.json").write_text("{")
    with pytest.raises(UserError, match=r"(?s)cell\.json is no JSON.*nothing to report"):
        read_frame([run], catalogue)
    with pytest.raises(UserError, match=r"(?s)task 'quiz' are left out.*nothing to report"):
        read_frame([_fresh(run)], Catalogue())


def _fresh(run):
    again = new_run(run.root.with_name("again"))
    add_cell(again, verdicts(0.5))
    return again
