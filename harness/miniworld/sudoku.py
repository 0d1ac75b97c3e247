"""Sudoku of 4x4 (blocks of 2x2) and 6x6 (blocks of 2 rows by 3 columns) with unique solutions.

A grid is a (size, size) int64 array of the digits 1 … size; a puzzle has 0 where a cell is empty. Two grids are of one
class if relabelling digits turns one into the other; the grid of a class whose first row is 1, 2, … stands for it.
There are 12 classes of 4x4 grids and 39,168 of 6x6. All are listed once, so that every grid is drawn equally often.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import islice, permutations

import numpy as np
from numpy.typing import NDArray

from harness.errors import UserError
from harness.miniworld.split import held_out

Grid = NDArray[np.int64]

BLOCKS = {4: (2, 2), 6: (2, 3)}
"""Size of a grid to rows and columns of its blocks."""
SHAPES = {**BLOCKS, 9: (3, 3)}
"""The same with the size that the small world has not."""
CLUES = {4: 5, 6: 10}
"""Size of a grid to the clues of a good test puzzle: a solver of forced cells gets there, random order must guess."""


@cache
def classes(size: int) -> Grid:
    """(classes, size, size): the grids whose first row is 1 … size, in ascending order."""
    if size not in BLOCKS:
        raise UserError(f"sudoku: size is {size!r}; it should be one of {', '.join(map(str, BLOCKS))}.")
    height, width = BLOCKS[size]
    rows = np.array(list(permutations(range(size))), dtype=np.int64)
    # A row as a set of bits: which digit stands in which column, and which digits stand in which block.
    in_column = np.bitwise_or.reduce(1 << (size * np.arange(size) + rows), axis=1)
    in_block = np.bitwise_or.reduce(1 << (size * (size + np.arange(size) // width) + rows), axis=1)
    found = np.zeros((1, 1), dtype=np.int64)  # the grids up to the row, by the index of each of their rows
    for row in range(1, size):
        used = np.bitwise_or.reduce(in_column[found], axis=1)
        used |= np.bitwise_or.reduce(in_block[found[:, row - row % height :]], axis=1, initial=0)
        grid, new = np.nonzero((used[:, None] & (in_column | in_block)) == 0)
        found = np.column_stack([found[grid], new])
    return rows[found] + 1


@cache
def _split(size: int) -> tuple[Grid, Grid]:
    """The classes for training and those for testing."""
    grids = classes(size)
    test = np.array([held_out(content(grid)) for grid in grids])
    return grids[~test], grids[test]


def content(grid: Grid) -> str:
    """What names the class of a full grid: the same for all relabellings of it."""
    label = np.zeros(len(grid) + 1, dtype=np.int64)
    label[grid[0]] = np.arange(1, len(grid) + 1)
    return "sudoku " + "".join(map(str, label[grid].ravel()))


def random_solution(rng: np.random.Generator, size: int) -> Grid:
    """A full grid, each of the 288 (4x4) or 28,200,960 (6x6) equally likely."""
    return _relabelled(rng, classes(size))


def filled_grid(rng: np.random.Generator, size: int) -> Grid:
    """A full grid of any size of `SHAPES`. Of size 9, where not every grid is equally likely: the blocks of the
    diagonal at random, the rest as the solver fills it, then relabelled."""
    if size in BLOCKS:
        return random_solution(rng, size)
    side = SHAPES[size][0]
    grid = np.zeros((size, size), dtype=np.int64)
    for start in range(0, size, side):
        block = slice(start, start + side)
        grid[block, block] = (rng.permutation(size) + 1).reshape(side, side)
    (full,) = solutions(grid, 1)
    return _relabelled(rng, full[None])


def training_solution(rng: np.random.Generator, size: int) -> Grid:
    """A full grid of a class that is not held out."""
    return _relabelled(rng, _split(size)[0])


def _relabelled(rng: np.random.Generator, grids: Grid) -> Grid:
    grid = grids[rng.integers(len(grids))]
    relabelled: Grid = (rng.permutation(grid.shape[-1]) + 1)[grid - 1]
    return relabelled


def solutions(puzzle: Grid, limit: int = 2) -> list[Grid]:
    """The first `limit` ways to fill the puzzle, none where its clues contradict each other."""
    size = len(puzzle)
    cells = puzzle.ravel().tolist()
    free = [[(1 << size) - 1] * size for _ in range(3)]  # digits left by row, column and block, as bits
    where = _units(size)
    for place, digit in enumerate(cells):
        if digit:
            bit = 1 << digit - 1
            for left, unit in zip(free, where[place], strict=True):
                if not left[unit] & bit:
                    return []
                left[unit] ^= bit
    empty = [place for place, digit in enumerate(cells) if not digit]
    found = [np.array(cells, dtype=np.int64) for _ in islice(_fill(cells, empty, free, where), limit)]
    return [way.reshape(size, size) for way in found]


@cache
def _units(size: int) -> list[tuple[int, int, int]]:
    """Row, column and block of each cell in reading order."""
    height, width = SHAPES[size]
    return [(row, column, row - row % height + column // width) for row in range(size) for column in range(size)]


def _fill(
    cells: list[int], empty: list[int], free: list[list[int]], where: Sequence[tuple[int, int, int]]
) -> Iterator[None]:
    """Fill the `empty` of the cells in place in every possible way, the most constrained cell first."""
    if not empty:
        yield
        return
    rows, columns, blocks = free
    fewest = len(rows) + 1
    for place in empty:
        row, column, block = where[place]
        fit = rows[row] & columns[column] & blocks[block]
        if fit.bit_count() < fewest:
            fewest, best, digits = fit.bit_count(), place, fit
            if fewest < 2:
                break
    rest = [place for place in empty if place != best]
    row, column, block = where[best]
    while digits:
        bit = digits & -digits
        digits ^= bit
        rows[row] ^= bit
        columns[column] ^= bit
        blocks[block] ^= bit
        cells[best] = bit.bit_length()
        yield from _fill(cells, rest, free, where)
        rows[row] ^= bit
        columns[column] ^= bit
        blocks[block] ^= bit


def sample_puzzle(rng: np.random.Generator, size: int, clues: int) -> Grid:
    """A puzzle for training: its solution is unique, and of a class that is not held out; see `dig`."""
    return dig(rng, training_solution(rng, size), clues)


def dig(rng: np.random.Generator, solution: Grid, clues: int) -> Grid:
    """`solution` with cells emptied (0) in random order, each if the solution stays unique, until `clues` are left.

    Where no further cell can be emptied, the puzzle has more clues than asked for.
    """
    puzzle: Grid = solution.copy()
    left = puzzle.size
    for place in rng.permutation(puzzle.size):
        if left <= clues:
            break
        digit = puzzle.flat[place]
        puzzle.flat[place] = 0
        if len(solutions(puzzle)) == 1:
            left -= 1
        else:
            puzzle.flat[place] = digit
    return puzzle


@cache
def test_puzzles(size: int, count: int, clues: int | None = None) -> tuple[Grid, ...]:  # noqa: PT028 (it is no test)
    """The first `count` test puzzles: distinct, their solutions of held-out classes, the same at every call.

    clues  as in `dig`; None = those of `CLUES`
    Raises UserError for a number of clues that no puzzle has, or where there are not so many puzzles.
    """
    grids = _split(size)[1]
    clues = CLUES[size] if clues is None else clues
    if not 1 <= clues < size**2:
        raise UserError(f"sudoku: clues is {clues}; of the {size**2} cells at least 1 should be given and 1 empty.")
    rng = np.random.default_rng([size, clues])
    found: dict[bytes, Grid] = {}
    for _ in range(20 * count):
        puzzle = dig(rng, _relabelled(rng, grids), clues)
        found.setdefault(puzzle.tobytes(), puzzle)
        if len(found) == count:
            return tuple(found.values())
    raise UserError(
        f"sudoku: count is {count}, but of size {size} and {clues} clues there are about {len(found)} puzzles."
    )
