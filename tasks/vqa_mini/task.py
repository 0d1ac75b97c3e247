"""Questions about pictures: the tasks `vqa_mini` (describe, then conclude) and `vqa_mini_short` (one word)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from typing import Any

from harness.errors import UserError
from harness.metrics.vqa import ANNOTATORS, accuracy
from harness.miniworld.questions import (
    LONG_LENGTH,
    QUESTIONS_PER_PICTURE,
    SHORT_LENGTH,
    agreement,
    read_long,
    test_questions,
)
from harness.miniworld.scenes import Scene, Thing, render
from harness.picture import Drawn
from harness.task import Document, Metrics, Request, Sample, Task


class ShortAnswers(Task):
    """A document is a question about a scene, with its true answer of one word; `cluster` is the picture.

    The accuracy is that of VQA with ten annotators who all gave the true answer: of such, VQA normalises nothing.
    """

    long = False
    length = SHORT_LENGTH

    @cached_property
    def _documents(self) -> Sequence[Document]:
        documents = []
        for index, (scene, question, answer) in enumerate(test_questions(self.settings["count"], self.long)):
            things = [[thing.row, thing.column, thing.shape, thing.colour] for thing in scene]
            truth = read_long(answer)[1] if self.long else answer
            data = {"scene": things, "question": question, "answer": truth}
            documents.append(Document(f"{index:04d}", data, cluster=f"{index // QUESTIONS_PER_PICTURE:03d}"))
        return documents

    def check(self) -> None:
        """Raise UserError for a count below one."""
        if self.settings["count"] < 1:
            raise UserError(f"task {self.file.name!r}: count is {self.settings['count']}, but must be at least 1.")

    def documents(self) -> Sequence[Document]:
        """`count` questions, ids `0000`, `0001`, …"""
        return self._documents

    def request(self, document: Document) -> Request:
        """The question, and the picture of the scene."""
        scene = _scene(document)
        image = Drawn(scene, partial(render, scene))
        return Request(document.id, prompt=document.data["question"], image=image, length=self.length)

    def score(self, sample: Sample, observation: Mapping[str, Any]) -> Metrics:
        """`accuracy` of the whole text."""
        return {"accuracy": _accuracy(self._text(sample), sample.document)}

    def _text(self, sample: Sample) -> str:
        if sample.output.text is None:
            raise UserError(f"task {self.file.name!r} scores text, and the model's output has none; use a text model.")
        return sample.output.text


class LongAnswers(ShortAnswers):
    """The same questions with the request to describe the picture first."""

    long = True
    length = LONG_LENGTH

    def score(self, sample: Sample, observation: Mapping[str, Any]) -> Metrics:
        """What `read_long` finds: `accuracy` of the conclusion, and how far the description is the scene (`things`).

        `grounded` is the product of both; without a conclusion (`no_answer`) the answer is wrong. `description` says
        whether the description is exactly the scene.
        """
        described, conclusion = read_long(self._text(sample))
        right = 0.0 if conclusion is None else _accuracy(conclusion, sample.document)
        things = agreement(_scene(sample.document), described)
        return {
            "accuracy": right,
            "things": things,
            "grounded": right * things,
            "description": things == 1,
            "no_answer": conclusion is None,
        }


def _accuracy(answer: str, document: Document) -> float:
    return accuracy(answer, [document.data["answer"]] * ANNOTATORS)


def _scene(document: Document) -> Scene:
    return tuple(Thing(*thing) for thing in document.data["scene"])
