"""Lists of names that are copied, reordered or changed: easy one by one, and hard where names depend on each other."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from harness.errors import UserError, did_you_mean
from harness.metrics.answers import read_list
from harness.task import Document, Metrics, Request, Sample, Task

NAMES = (
    *("Ada", "Alan", "Bea", "Ben", "Carl", "Cleo", "Dan", "Dora", "Emil", "Eva", "Finn", "Flora", "Gina", "Gus"),
    *("Hanna", "Hugo", "Ida", "Ivan", "Jana", "Jon", "Karl", "Kim", "Lara", "Leo", "Mia", "Max", "Nina", "Noah"),
    *("Olga", "Otto", "Paul", "Pia", "Quinn", "Rosa", "Rolf", "Sara", "Sven", "Tara", "Theo", "Uma", "Ugo", "Vera"),
    *("Vito", "Wanda", "Will", "Xenia", "Yara", "Yuri", "Zoe", "Zack"),
)
OPERATIONS = {
    "copy": "Write the line as it is.",
    "reverse": "Write the line from last to first.",
    "sort": "Write the names in alphabetical order.",
    "shuffle": "Write the same names in another order, as random as you can.",
    "insert": "{name} comes and takes place number {place}. Write the new line.",
    "insert_random": "{name} comes and takes any place that you choose. Write the new line.",
    "replace": "{name} takes the place of number {place}, who leaves. Write the new line.",
    "replace_random": "{name} takes the place of anyone that you choose, who leaves. Write the new line.",
    "remove": "Number {place} leaves. Write the new line.",
    "remove_random": "One person that you choose leaves. Write the new line.",
}
PROMPT = (
    "People stand in a waiting line. From first to last they are: {line}.\n{instruction}\nAnswer with the names only, "
    "with commas between them."
)


class WaitingLine(Task):
    """A document is a line of names, a place in it (from 1) and a further name.

    The answer is the last line with commas, or else one name on each line. `correct`: it is the one that is asked for,
    or one of those that are allowed. `places`: the share of places with the right name, of the allowed line that is
    nearest; for `shuffle` the share of the names that are there, each as often as it should be.
    """

    @cached_property
    def _documents(self) -> Sequence[Document]:
        length, rng = self.settings["length"], random.Random(f"waiting line {self.settings['seed']}")
        documents = []
        for index in range(self.settings["count"]):
            *line, name = rng.sample(NAMES, length + 1)
            documents.append(Document(f"{index:04d}", {"line": line, "name": name, "place": rng.randint(1, length)}))
        return documents

    def check(self) -> None:
        """Raise UserError for an operation that is none, and settings out of range."""
        operation = self.settings["operation"]
        if operation not in OPERATIONS:
            raise UserError(f"task waiting_line: operation is {operation!r}.{did_you_mean(operation, OPERATIONS)}")
        for name, low, high in (("length", 2, len(NAMES) - 1), ("count", 1, 10_000), ("seed", 0, 2**32)):
            if not low <= self.settings[name] <= high:
                raise UserError(f"task waiting_line: {name} is {self.settings[name]}; it must be from {low} to {high}.")

    def documents(self) -> Sequence[Document]:
        """`count` lines, ids `0000`, `0001`, …; the same for all operations."""
        return self._documents

    def request(self, document: Document) -> Request:
        """The line, and what is to be done with it."""
        data = document.data
        instruction = OPERATIONS[self.settings["operation"]].format(name=data["name"], place=data["place"])
        prompt = PROMPT.format(line=", ".join(data["line"]), instruction=instruction)
        return Request(document.id, prompt=prompt, length=self.settings["max_tokens"])

    def score(self, sample: Sample, observation: Mapping[str, Any]) -> Metrics:
        """`correct` and `places`."""
        if sample.output.text is None:
            raise UserError("task waiting_line scores text, and the model's output has none; use a text model.")
        data, answer = sample.document.data, read_list(sample.output.text)
        line: list[str] = data["line"]
        if self.settings["operation"] == "shuffle":
            there = (Counter(answer) & Counter(line)).total()
            return {
                "correct": sorted(answer) == sorted(line) and answer != line,
                "places": there / max(len(answer), len(line)),
            }
        allowed = lines(self.settings["operation"], line, data["name"], data["place"])
        return {"correct": answer in allowed, "places": max(_shared(answer, each) for each in allowed)}


def lines(operation: str, line: list[str], name: str, place: int) -> list[list[str]]:
    """The lines that are right, of any operation but `shuffle`; `place` counts from 1."""
    every = range(len(line))
    at = place - 1
    match operation:
        case "copy":
            return [line]
        case "reverse":
            return [line[::-1]]
        case "sort":
            return [sorted(line)]
        case "insert":
            return [[*line[:at], name, *line[at:]]]
        case "insert_random":
            return [[*line[:i], name, *line[i:]] for i in (*every, len(line))]
        case "replace":
            return [[*line[:at], name, *line[at + 1 :]]]
        case "replace_random":
            return [[*line[:i], name, *line[i + 1 :]] for i in every]
        case "remove":
            return [[*line[:at], *line[at + 1 :]]]
        case _:
            return [[*line[:i], *line[i + 1 :]] for i in every]


def _shared(answer: Sequence[str], right: Sequence[str]) -> float:
    return sum(one == other for one, other in zip(answer, right, strict=False)) / max(len(answer), len(right))
