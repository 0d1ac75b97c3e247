"""Questions about a picture, in a short form that answers at once and a long form that reasons first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from harness.dataset import Rows, each_once
from harness.errors import UserError, did_you_mean
from harness.metrics.answers import conclusion
from harness.picture import Picture
from harness.picture_tasks.data import Loaded, PictureData
from harness.picture_tasks.pictures import Pictures, check_pictures
from harness.task import Document, Request, Sample, Task

LENGTHS = {"short": 16, "long": 256}
"""Tokens of an answer in each form, where the setting `max_tokens` is 0."""
REASON = (
    "\nFirst describe what in the picture matters for the question, and reason step by step. "
    "Then end with a line that says 'Answer:' and {answer}."
)


class PictureQuestions(Task):
    """Base of the tasks whose documents are a question about a picture; `document.data["picture"]` names the picture.

    The short form is the one that the field publishes. It generates a few tokens, so that samplers hardly differ on it.
    In the long form the model reasons first, and its answer is what `harness.metrics.answers.conclusion` finds.
    """

    data: ClassVar[PictureData]
    instruction: ClassVar[str] = "\nAnswer the question using a single word or phrase."
    """What follows the question in the short form."""
    answer: ClassVar[str] = "a single word or phrase"
    """What an answer is, in the words of the long form's instruction."""

    def published(self, folder: Path) -> Loaded | None:
        """Rows and pictures of the files as their authors publish them, None where they are not in the folder."""
        return None

    @cached_property
    def _loaded(self) -> tuple[Sequence[Document], Pictures]:
        rows, pictures = self.data.load(self.data_dir, self.published)
        return self._unique(rows), pictures

    def picture(self, document: Document) -> Picture:
        """The picture that the document is about."""
        return self._loaded[1].find(document.data["picture"])

    def _unique(self, rows: Rows) -> Sequence[Document]:
        found = each_once(self.select(rows), self.document, "question")
        if not found:
            raise UserError(f"task {self.file.name}: no question is left in the data.")
        return found

    def select(self, rows: Rows) -> Rows:
        """The rows that the settings ask for."""
        return rows

    def check(self) -> None:
        """Raise UserError for an unknown form, and for data that are not there."""
        form = self.settings["form"]
        if form not in LENGTHS:
            raise UserError(f"task {self.file.name}: form is {form!r}.{did_you_mean(str(form), LENGTHS)}")
        self.documents()

    def check_requests(self, documents: Sequence[Document]) -> None:
        """Raise UserError for pictures that are not there, or are none."""
        wanted: dict[str, str] = {}
        for document in documents:
            wanted.setdefault(document.data["picture"], document.id)
        try:
            check_pictures(self._loaded[1], wanted)
        except UserError as error:
            raise UserError(f"task {self.file.name}: {error}") from None

    def documents(self) -> Sequence[Document]:
        """The questions in the order of the data; their picture is the cluster."""
        return self._loaded[0]

    def request(self, document: Document) -> Request:
        """The picture, the question, and how to answer it."""
        form = self.settings["form"]
        asked = self.question(document)
        asked += self.instruction_for(document) if form == "short" else REASON.format(answer=self.answer_for(document))
        length = self.settings["max_tokens"] or LENGTHS[form]
        return Request(document.id, prompt=asked, image=self.picture(document), length=length)

    def question(self, document: Document) -> str:
        """The text of the question."""
        return str(document.data["question"])

    def instruction_for(self, document: Document) -> str:
        """What follows the question in the short form."""
        return self.instruction

    def answer_for(self, document: Document) -> str:
        """What an answer to the question is, in the words of the long form's instruction."""
        return self.answer

    def read(self, sample: Sample) -> str | None:
        """The answer in an output: its whole text in the short form, its conclusion or None in the long one."""
        text = sample.output.text
        if text is None:
            raise UserError(f"task {self.file.name} scores text, and the model's output has none; use a text model.")
        return text if self.settings["form"] == "short" else conclusion(text)


def text_of(row: Mapping[str, Any], key: str, where: str) -> str:
    """The text under a key of a row; UserError where there is none."""
    value = row.get(key)
    if not isinstance(value, str) or not value.strip():
        raise UserError(f"{where}: `{key}` must be a text, found {value!r}.{'' if key in row else _columns(row, key)}")
    return value


def name_of(row: Mapping[str, Any], key: str, where: str) -> str:
    """The number or text under a key of a row that names something; UserError where there is none."""
    value = row.get(key)
    if isinstance(value, bool) or not isinstance(value, int | str) or value == "":
        raise UserError(
            f"{where}: `{key}` must be a number or a name, found {value!r}.{'' if key in row else _columns(row, key)}"
        )
    return str(value)


def _columns(row: Mapping[str, Any], key: str) -> str:
    return f" There is no such column.{did_you_mean(key, row)}"
