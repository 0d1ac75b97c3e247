"""Sudoku grids, the solver and the puzzles, against enumeration, published counts and puzzles of others."""

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare
from sudoku_answers import d1_answers

from harness.errors import UserError
from harness.miniworld import sudoku
from harness.miniworld.split import SHARE, held_out


def units(size):
    """Cells (as flat indices) of each row, column and block, written out by hand from the picture of the grid."""
    picture = {4: ["aabb", "aabb", "ccdd", "ccdd"], 6: ["aaabbb", "aaabbb", "cccddd", "cccddd", "eeefff", "eeefff"]}
    blocks = "".join(picture[size])
    places = range(size * size)
    for unit in range(size):
        yield [place for place in places if place // size == unit]
        yield [place for place in places if place % size == unit]
        yield [place for place in places if blocks[place] == "abcdef"[unit]]


def valid(grid):
    flat = np.asarray(grid).ravel()
    return all(sorted(flat[unit]) == list(range(1, len(grid) + 1)) for unit in units(len(grid)))


def all_4x4():
    rows = list(itertools.permutations(range(1, 5)))
    return np.array([grid for grid in itertools.product(rows, repeat=4) if valid_columns(grid) and valid(grid)])


def valid_columns(grid):
    return all(len(set(column)) == 4 for column in zip(*grid, strict=True))


EVERY_4X4 = all_4x4()


@pytest.mark.parametrize(("size", "published"), [(4, 288), (6, 28_200_960)])
def test_classes_are_all_grids_up_to_relabelling(size, published):
    grids = sudoku.classes(size)
    assert len(np.unique(grids.reshape(len(grids), -1), axis=0)) == len(grids)
    assert len(grids) * np.prod(range(1, size + 1)) == published  # OEIS A107739; Jarvis & Russell
    ordered = np.arange(1, size + 1)
    assert (grids[:, 0] == ordered).all()
    flat = grids.reshape(len(grids), -1)
    assert all((np.sort(flat[:, unit]) == ordered).all() for unit in units(size))


def test_every_grid_is_drawn_equally_often():
    rng = np.random.default_rng(0)
    drawn = Counter(sudoku.random_solution(rng, 4).tobytes() for _ in range(288 * 40))
    assert set(drawn) == {grid.tobytes() for grid in EVERY_4X4}
    assert chisquare(list(drawn.values())).pvalue > 1e-4


@given(st.data())
def test_solver_finds_what_enumeration_finds_4x4(data):
    grid = EVERY_4X4[data.draw(st.integers(0, 287))]
    keep = data.draw(st.lists(st.booleans(), min_size=16, max_size=16))
    puzzle = np.where(np.array(keep).reshape(4, 4), grid, 0)
    wrong = data.draw(st.one_of(st.none(), st.tuples(st.integers(0, 15), st.integers(1, 4))))
    if wrong is not None:
        puzzle.flat[wrong[0]] = wrong[1]
    matching = EVERY_4X4[((puzzle == EVERY_4X4) | (puzzle == 0)).all(axis=(1, 2))]
    before = puzzle.copy()
    found = sudoku.solutions(puzzle, limit=300)
    assert {grid.tobytes() for grid in found} == {grid.tobytes() for grid in matching}
    assert len(found) == len(matching)
    assert len(sudoku.solutions(puzzle)) == min(2, len(matching))
    assert (puzzle == before).all()


@pytest.mark.parametrize("clues", [2, 4, 6, 10])
def test_solver_finds_what_enumeration_finds_6x6(clues):
    rng = np.random.default_rng(clues)
    grids = sudoku.classes(6)
    puzzle = np.zeros((6, 6), dtype=np.int64)
    puzzle[0] = range(1, 7)
    places = rng.choice(np.arange(6, 36), clues, replace=False)
    puzzle.flat[places] = grids[rng.integers(len(grids))].flat[places]
    matching = grids[((grids == puzzle) | (puzzle == 0)).all(axis=(1, 2))]
    found = sudoku.solutions(puzzle, limit=40_000)
    assert {grid.tobytes() for grid in found} == {grid.tobytes() for grid in matching}
    assert len(found) == len(matching)


def test_solver_on_the_puzzles_of_others():
    rows = {(row.puzzle, row.solution) for row in d1_answers()}
    assert len(rows) > 200
    for puzzle, solution in rows:
        found = sudoku.solutions(np.array([int(digit) for digit in puzzle]).reshape(4, 4), limit=300)
        assert solution in {"".join(map(str, grid.ravel())) for grid in found}


@pytest.mark.parametrize(("size", "clues", "at_most"), [(4, 5, 6), (4, 8, 8), (6, 10, 12), (6, 14, 14), (6, 20, 20)])
def test_puzzles_have_one_solution_and_the_clues_asked_for(size, clues, at_most):
    rng = np.random.default_rng(7)
    for _ in range(30):
        solution = sudoku.training_solution(rng, size)
        puzzle = sudoku.dig(rng, solution, clues)
        assert ((puzzle == solution) | (puzzle == 0)).all()
        assert clues <= np.count_nonzero(puzzle) <= at_most
        (found,) = sudoku.solutions(puzzle)
        assert (found == solution).all()


@pytest.mark.parametrize("size", [4, 6])
def test_no_test_grid_is_trained_on_under_other_digits(size):
    rng = np.random.default_rng(3)
    tested = set()
    for puzzle in sudoku.test_puzzles(size, 60, 3 * size):
        (solution,) = sudoku.solutions(puzzle)
        assert held_out(sudoku.content(solution))
        tested.add(sudoku.content(solution))
    for _ in range(300):
        grid = sudoku.training_solution(rng, size)
        assert valid(grid)
        assert sudoku.content(grid) not in tested
        assert not held_out(sudoku.content(grid))
        digits = np.concatenate([[0], rng.permutation(size) + 1])
        assert sudoku.content(digits[grid]) == sudoku.content(grid)
    (sampled,) = sudoku.solutions(sudoku.sample_puzzle(rng, size, 2 * size))
    assert not held_out(sudoku.content(sampled))


def test_a_tenth_is_held_out():
    share = np.mean([held_out(sudoku.content(grid)) for grid in sudoku.classes(6)])
    assert abs(share - SHARE) < 0.01


def test_test_puzzles_are_distinct_and_always_the_same():
    puzzles = sudoku.test_puzzles(6, 50, 14)
    assert len({puzzle.tobytes() for puzzle in puzzles}) == 50
    more = sudoku.test_puzzles(6, 60, 14)
    assert all((one == other).all() for one, other in zip(puzzles, more[:50], strict=True))
    as_released = ["103560", "000130", "002040", "001600", "300250", "500000"]  # other puzzles need a new `semantics`
    assert ["".join(map(str, row)) for row in puzzles[0]] == as_released


def test_what_no_puzzle_has_is_refused():
    with pytest.raises(UserError, match="size is 9; it should be one of 4, 6"):
        sudoku.classes(9)
    for clues in (0, 16):
        with pytest.raises(UserError, match=f"clues is {clues}"):
            sudoku.test_puzzles(4, 10, clues)
    with pytest.raises(UserError, match="about 384 puzzles"):
        sudoku.test_puzzles(4, 400, 15)
