"""Latin squares: nothing is given, and each letter that is written narrows what may stand beside and below it."""

from __future__ import annotations

import random
import re
import string
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from harness.errors import UserError
from harness.metrics.answers import section
from harness.task import Document, Metrics, Request, Sample, Task

PROMPT = (
    "Write a Latin square of size {size} with the letters {letters}: {size} rows of {size} letters, each letter once "
    "in each row and in each column. Answer with the {size} rows only, one on each line, blanks between the letters."
)


class LatinSquare(Task):
    """A document is a set of letters, in some order. Any Latin square of them is right.

    The answer is the last `size` lines (of the last `<answer>`, if there is one) that are `size` of the letters.
    `lines`: share of its rows and columns that have each letter once; 0 where there is no square.
    """

    @cached_property
    def _documents(self) -> Sequence[Document]:
        size, rng = self.settings["size"], random.Random(f"latin square {self.settings['seed']}")
        return [
            Document(f"{index:04d}", {"letters": rng.sample(string.ascii_uppercase, size)})
            for index in range(self.settings["count"])
        ]

    def check(self) -> None:
        """Raise UserError for settings out of range."""
        for name, low, high in (("size", 2, 9), ("count", 1, 10_000), ("seed", 0, 2**32)):
            if not low <= self.settings[name] <= high:
                raise UserError(f"task latin_square: {name} is {self.settings[name]}; it must be from {low} to {high}.")

    def documents(self) -> Sequence[Document]:
        """`count` sets of letters, ids `0000`, `0001`, …"""
        return self._documents

    def request(self, document: Document) -> Request:
        """The rules and the letters."""
        letters = document.data["letters"]
        prompt = PROMPT.format(size=len(letters), letters=", ".join(letters))
        return Request(document.id, prompt=prompt, length=self.settings["max_tokens"])

    def score(self, sample: Sample, observation: Mapping[str, Any]) -> Metrics:
        """`correct` and `lines`."""
        if sample.output.text is None:
            raise UserError("task latin_square scores text, and the model's output has none; use a text model.")
        letters = sample.document.data["letters"]
        rows = _square(sample.output.text, letters)
        lines = [*rows, *zip(*rows, strict=True)]
        good = sum(sorted(line) == sorted(letters) for line in lines)
        return {"correct": good == 2 * len(letters), "lines": good / (2 * len(letters))}


def _square(text: str, letters: Sequence[str]) -> list[tuple[str, ...]]:
    """The last lines that are as many of the letters, if there are enough of them, else none."""
    lines = [tuple(re.sub(r"[\s,|;\[\]\"']+", "", line)) for line in section(text).splitlines()]
    rows = [line for line in lines if len(line) == len(letters) and set(line) <= set(letters)]
    return rows[-len(letters) :] if len(rows) >= len(letters) else []
