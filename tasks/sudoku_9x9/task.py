"""Sudoku for language models: the puzzle as lines of text, the solution read from the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from harness.errors import UserError
from harness.metrics.answers import read_digits
from harness.miniworld.sudoku import dig, filled_grid
from harness.task import Document, Metrics, Request, Sample, Task

PROMPT = """Solve this Sudoku. Each row, each column and each of the {size} boxes of {side}x{side} cells must hold the digits 1 to {size} once each. A dot is an empty cell.

{puzzle}

Write the whole solved grid, {size} lines of {size} digits, between <answer> and </answer>."""  # noqa: E501


class SudokuText(Task):
    """A document is a puzzle with one solution, a line of digits for each row with `.` for an empty cell.

    The answer is the last grid of digits, of the last `<answer>` if there is one. `cells`: of the cells that are empty
    in the puzzle, the share that it has right; given cells are not looked at. `solved`: all of them.
    """

    @cached_property
    def _documents(self) -> Sequence[Document]:
        size, clues, seed = (self.settings[name] for name in ("size", "clues", "seed"))
        rng = np.random.default_rng([size, clues, seed])
        documents = []
        for index in range(self.settings["count"]):
            solution = filled_grid(rng, size)
            puzzle = dig(rng, solution, clues)
            lines = ["".join(map(str, row)).replace("0", ".") for row in puzzle]
            answer = "".join(map(str, solution.ravel()))
            documents.append(Document(f"{index:04d}", {"puzzle": "\n".join(lines), "answer": answer}))
        return documents

    def check(self) -> None:
        """Raise UserError for settings that no puzzles have."""
        size = self.settings["size"]
        if size not in (4, 9):
            raise UserError(f"task sudoku_9x9: size is {size}; it must be 4 or 9.")
        for name, low, high in (("count", 1, 10_000), ("clues", 1, size * size - 1), ("seed", 0, 2**32)):
            if not low <= self.settings[name] <= high:
                raise UserError(f"task sudoku_9x9: {name} is {self.settings[name]}; it must be from {low} to {high}.")
        _ = self._documents

    def documents(self) -> Sequence[Document]:
        """`count` puzzles, ids `0000`, `0001`, …; a larger count begins with the same."""
        return self._documents

    def request(self, document: Document) -> Request:
        """The rules and the puzzle."""
        size = self.settings["size"]
        prompt = PROMPT.format(size=size, side=int(size**0.5), puzzle=document.data["puzzle"])
        return Request(document.id, prompt=prompt, length=self.settings["max_tokens"])

    def score(self, sample: Sample, observation: Mapping[str, Any]) -> Metrics:
        """`solved`, `cells` and `no_answer`."""
        if sample.output.text is None:
            raise UserError("task sudoku_9x9 scores text, and the model's output has none; use a text model.")
        puzzle, answer = sample.document.data["puzzle"].replace("\n", ""), sample.document.data["answer"]
        found = read_digits(sample.output.text, len(answer))
        given = found or "0" * len(answer)
        right = [one == true for one, true, clue in zip(given, answer, puzzle, strict=True) if clue == "."]
        return {"solved": all(right), "cells": sum(right) / len(right), "no_answer": found is None}
