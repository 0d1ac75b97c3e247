"""How a request lies on the canvas of the built-in multimodal model.

Each token has a position id that says what it is and where: a patch of a picture, a word of the prompt, a word of the
response, a cell of a puzzle. The order of the tokens on the canvas means nothing to the model.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.errors import UserError
from harness.miniworld.questions import CLAUSE
from harness.miniworld.scenes import GRID
from harness.miniworld.sudoku import BLOCKS
from harness.miniworld.vocabulary import FIRST_CODE, FIRST_DIGIT, NULL_ID, VOCABULARY, encode

PATCHES = GRID * GRID
PROMPT = 32
RESPONSE = 64

FIRST_PROMPT = PATCHES
FIRST_RESPONSE = FIRST_PROMPT + PROMPT
FIRST_CELL = {6: FIRST_RESPONSE + RESPONSE, 4: FIRST_RESPONSE + RESPONSE + 36}
POSITIONS = FIRST_CELL[4] + 16
"""Number of position ids."""

HOLE = -1
"""Stands at the positions to generate."""

Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Layout:
    """`tokens` (L,) int64 with `HOLE` where something is to be generated, and their `positions` (L,) int64."""

    tokens: Ids
    positions: Ids

    def filled(self, content: Ids | int) -> Ids:
        """The tokens (L,) with `content` in the holes, one for each or the same in all."""
        tokens: Ids = self.tokens.copy()
        tokens[tokens == HOLE] = content
        return tokens


def picture(prompt: str) -> Layout:
    """A prompt, and the patches of a picture to generate."""
    return _join(_prompt(prompt), (np.full(PATCHES, HOLE), np.arange(PATCHES)))


def text(prompt: str, length: int, codes: Ids | None = None) -> Layout:
    """A prompt, after the patches `codes` (64,) of a picture if there is one, and `length` words to generate.

    Of a picture that is seen, only patches with something in them are tokens: the place of a patch is in its position
    id, so the empty ones would say nothing, and cost three quarters of the canvas.
    """
    if not 1 <= length <= RESPONSE:
        raise UserError(f"the model 'mini' writes 1 to {RESPONSE} tokens, not {length}.")
    shown = np.flatnonzero(codes) if codes is not None else np.arange(0)
    seen = [(codes[shown] + FIRST_CODE, shown)] if codes is not None else []
    return _join(*seen, _prompt(prompt), (np.full(length, HOLE), FIRST_RESPONSE + np.arange(length)))


def sudoku(cells: Ids) -> Layout:
    """A puzzle (n, n) of digits, 0 where empty, in place."""
    given = np.where(cells > 0, cells - 1 + FIRST_DIGIT, HOLE).ravel()
    return Layout(given, FIRST_CELL[len(cells)] + np.arange(cells.size))


def read_sudoku(prompt: str) -> Ids | None:
    """The cells (n, n) of a prompt that is a puzzle: lines of digits, with a dot where a cell is empty."""
    rows = prompt.strip().split("\n")
    size = len(rows)
    if size not in BLOCKS or not all(re.fullmatch(rf"[.1-{size}]{{{size}}}", row) for row in rows):
        return None
    return np.array([[0 if cell == "." else int(cell) for cell in row] for row in rows])


def coordinates() -> tuple[NDArray[np.float32], Ids]:
    """Of each position id, its two coordinates (POSITIONS, 2), and (POSITIONS, 3) the groups that it belongs to.

    Coordinates are row and column; those of a text are its index, twice, the response counting on where the longest
    prompt ends. Groups are numbered from 1 (0 = none): the rows and columns of a picture; the rows, columns and blocks
    of the puzzles; of a response the clauses that a description would have, and the places in them.
    """
    places = np.zeros((POSITIONS, 2), dtype=np.float32)
    groups = np.zeros((POSITIONS, 3), dtype=np.int64)
    row, column = np.divmod(np.arange(PATCHES), GRID)
    places[:PATCHES] = np.stack([row, column], axis=1)
    groups[:PATCHES, :2] = np.stack([1 + row, 1 + GRID + column], axis=1)
    places[FIRST_PROMPT : FIRST_RESPONSE + RESPONSE] = np.arange(PROMPT + RESPONSE)[:, None]
    first = 1 + 2 * GRID
    for size, (height, width) in BLOCKS.items():
        row, column = np.divmod(np.arange(size * size), size)
        block = row // height * (size // width) + column // width
        cells = slice(FIRST_CELL[size], FIRST_CELL[size] + size * size)
        places[cells] = np.stack([row, column], axis=1)
        groups[cells] = np.stack([row, size + column, 2 * size + block], axis=1) + first
        first += 3 * size
    clause, word = np.divmod(np.arange(RESPONSE), CLAUSE)
    groups[FIRST_RESPONSE : FIRST_RESPONSE + RESPONSE, :2] = np.stack([clause, clause[-1] + 1 + word], axis=1) + first
    return places, groups


def windows() -> NDArray[np.bool_]:
    """(POSITIONS, FIRST_CODE + codes) bool: which tokens may be generated at each position id."""
    allowed = np.zeros((POSITIONS, VOCABULARY), dtype=bool)
    allowed[:PATCHES, FIRST_CODE:] = True
    allowed[FIRST_PROMPT : FIRST_RESPONSE + RESPONSE, :FIRST_CODE] = True
    for size in BLOCKS:
        allowed[FIRST_CELL[size] : FIRST_CELL[size] + size * size, FIRST_DIGIT : FIRST_DIGIT + size] = True
    allowed[:, NULL_ID] = False
    return allowed


def _prompt(prompt: str) -> tuple[Ids, Ids]:
    tokens = np.array(encode(prompt), dtype=np.int64)
    if len(tokens) > PROMPT:
        raise UserError(
            f"the model 'mini' reads prompts of at most {PROMPT} tokens; this has {len(tokens)}: {prompt!r}"
        )
    return tokens, FIRST_PROMPT + np.arange(len(tokens))


def _join(*parts: tuple[Ids, Ids]) -> Layout:
    return Layout(np.concatenate([tokens for tokens, _ in parts]), np.concatenate([where for _, where in parts]))
