"""MMMU: questions of college level about charts, diagrams, notes and paintings, most of them multiple choice."""

from __future__ import annotations

import ast
import random
from collections.abc import Mapping
from string import ascii_uppercase
from typing import Any

from harness.dataset import Rows
from harness.errors import UserError
from harness.metrics.choices import mmmu_choice, mmmu_open_correct
from harness.picture_tasks.data import PictureData
from harness.picture_tasks.task import PictureQuestions, name_of, text_of
from harness.spec import content_hash
from harness.task import Document, Metrics, Sample


class MMMU(PictureQuestions):
    """A document is a question of the validation split that is about one picture (the others are left out).

    Protocol `strict` counts a multiple-choice answer that cannot be read as wrong; `official` draws a letter in its
    place, as the evaluation of its authors does, by a generator seeded with document and sample.
    """

    data = PictureData(
        task="mmmu",
        source=None,
        hub="lmms-lab/MMMU",
        split="validation",
        column="image_1",
    )

    def select(self, rows: Rows) -> Rows:
        return ((where, row) for where, row in rows if "<image 2>" not in f"{row.get('question')}{row.get('options')}")

    def document(self, row: Mapping[str, Any], where: str) -> Document:
        kind, name = text_of(row, "question_type", where), text_of(row, "id", where)
        options = _literal(row.get("options"), f"{where}: `options`") if kind == "multiple-choice" else []
        answer = text_of(row, "answer", where)
        answers = _literal(answer, where) if answer.startswith("[") and not options else [answer]
        if kind == "multiple-choice" and answer not in ascii_uppercase[: len(options)]:
            raise UserError(f"{where}: the answer must be a letter of the {len(options)} options, found {answer!r}.")
        data = {
            "question": text_of(row, "question", where),
            "options": options,
            "answers": answers,
            "picture": name_of(row, "image_1", where),
        }
        # validation_Accounting_1
        return Document(name, data, stratum=name.partition("_")[2].rpartition("_")[0] or None)

    def question(self, document: Document) -> str:
        lettered = (f"{letter}. {option}" for letter, option in _options(document).items())
        return "\n".join([document.data["question"], *lettered]) + "\n"

    def instruction_for(self, document: Document) -> str:
        if document.data["options"]:
            return "\nAnswer with the option's letter from the given choices directly."
        return self.instruction

    def answer_for(self, document: Document) -> str:
        return "the letter of the right option" if document.data["options"] else self.answer

    def score(self, sample: Sample, observation: Mapping[str, Any]) -> Metrics:
        """`accuracy`; `unread`: no letter of an option was found, or there was no conclusion."""
        document, text = sample.document, self.read(sample)
        options = _options(document)
        if not options:
            right = text is not None and mmmu_open_correct(text, document.data["answers"])
            return {"accuracy": right, "unread": text is None}
        letter = None if text is None else mmmu_choice(text, options)
        unread = letter is None
        if unread and self.protocol == "official":
            letter = random.Random(content_hash([document.id, sample.index])).choice(list(options))
        return {"accuracy": letter == document.data["answers"][0], "unread": unread}


def _options(document: Document) -> dict[str, str]:
    return dict(zip(ascii_uppercase, document.data["options"], strict=False))


def _literal(text: Any, where: str) -> list[str]:
    """A list that the data have as the text of a Python list."""
    try:
        found = ast.literal_eval(text) if isinstance(text, str) else text
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        found = None
    if not isinstance(found, list) or not found:
        raise UserError(f"{where} must be a list, found {str(text)[:60]!r}.")
    return [str(one) for one in found]
