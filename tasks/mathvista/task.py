"""MathVista: mathematics in pictures; long form only, since its questions need reasoning."""

from __future__ import annotations

import re
from collections.abc import Mapping
from string import ascii_uppercase
from typing import Any

from harness.errors import UserError
from harness.picture_tasks.data import PictureData
from harness.picture_tasks.task import PictureQuestions, text_of
from harness.task import Document, Metrics, Sample


class MathVista(PictureQuestions):
    """A document is a question of testmini.

    The published protocol has a language model find the answer in the text. Here it is the conclusion of the long form,
    which then counts as the official code counts: a letter, or an option's text; a number as a whole number, or rounded
    to the question's precision; a list by its numbers. What is none of these is wrong, and `unread`.
    """

    data = PictureData(
        task="mathvista",
        source=None,
        hub="AI4Math/MathVista",
        split="testmini",
        column="decoded_image",
    )

    def check(self) -> None:
        if self.settings["form"] != "long":
            raise UserError(f"task mathvista: form is {self.settings['form']!r}, but only 'long' makes sense here.")
        super().check()

    def document(self, row: Mapping[str, Any], where: str) -> Document:
        choices = row.get("choices")
        data = {
            "question": text_of(row, "question", where),
            "unit": row.get("unit") or "",
            "choices": [str(choice) for choice in choices] if isinstance(choices, list) else [],
            "kind": text_of(row, "answer_type", where),
            "precision": int(row.get("precision") or 0),
            "answer": text_of(row, "answer", where),
            "picture": text_of(row, "decoded_image", where),
        }
        return Document(text_of(row, "pid", where), data)

    def question(self, document: Document) -> str:
        data = document.data
        unit = f" (Unit: {data['unit']})" if data["unit"] else ""
        lines = [f"({letter}) {choice}" for letter, choice in zip(ascii_uppercase, data["choices"], strict=False)]
        return "\n".join([data["question"] + unit, *(["Choices:", *lines] if lines else [])])

    def answer_for(self, document: Document) -> str:
        data = document.data
        if data["choices"]:
            return "the letter of the right choice"
        kinds = {"integer": "a whole number", "float": f"a number with {data['precision']} decimal places"}
        return kinds.get(data["kind"], "a list in brackets, such as [1, 2]")

    def score(self, sample: Sample, observation: Mapping[str, Any]) -> Metrics:
        """`accuracy`; `unread`: no conclusion, or none of the kind that was asked for."""
        text, data = self.read(sample), sample.document.data
        found = None if text is None else _normalised(text, data)
        return {"accuracy": found is not None and found == data["answer"].strip(), "unread": found is None}


def _normalised(text: str, data: Mapping[str, Any]) -> str | None:
    choices = data["choices"]
    if choices:
        letter = re.match(r"\(?([A-Za-z])\)?(?![A-Za-z0-9])", text)
        if letter and letter[1].upper() in ascii_uppercase[: len(choices)]:
            return str(choices[ascii_uppercase.index(letter[1].upper())])
        return next((choice for choice in choices if choice.lower() == text.lower()), None)
    numbers = [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d{1,3})?", text.replace(",", ""))]
    if data["kind"] == "list":
        inside = re.search(r"\[[^\[\]]*\]", text)
        return inside[0] if inside else None
    if not numbers or numbers[-1] in (float("inf"), float("-inf")):
        return None
    return str(int(numbers[-1])) if data["kind"] == "integer" else str(round(numbers[-1], data["precision"]))
