"""MT-Bench: its questions are asked here; its judge is another language model, and left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from statistics import fmean
from typing import Any

from harness.dataset import Dataset
from harness.errors import UserError
from harness.metrics.text import repetition
from harness.spec import content_hash
from harness.task import Document, Metrics, Request, Sample, Task

DATASET = Dataset(
    task="mt_bench",
    file="mt_bench/question.jsonl",
    source="https://github.com/lm-sys/FastChat/blob/main/fastchat/llm_judge/data/mt_bench/question.jsonl",
)
QUESTIONS = "9a50abd96ebe6990"
"""Hash of the 80 questions as published (lm-sys/FastChat b494d0c; SHA-256 of the file 119565ad…2a944f7)."""


class MTBench(Task):
    """A document is a question of two turns. The model's own answer to the first is part of the second.

    Only what needs no judge is scored: whether there are answers, how long they are, and how much they repeat.
    `mdm-eval export --format mt-bench` writes them as the judge of FastChat reads them.
    """

    @cached_property
    def _documents(self) -> Sequence[Document]:
        return DATASET.documents(self.data_dir, _document)

    def check(self) -> None:
        """Raise UserError where the questions are not there, or are others than those published."""
        found = content_hash([[document.data["question_id"], document.data["turns"]] for document in self._documents])
        if found != QUESTIONS:
            raise UserError(
                f"task mt_bench: the {len(self._documents)} questions in {DATASET.file} are not the 80 of MT-Bench. "
                f"Get the file anew from {DATASET.source}."
            )

    def documents(self) -> Sequence[Document]:
        """The questions, their category the stratum."""
        return self._documents

    def request(self, document: Document) -> Request:
        """The first turn, and then the second."""
        first, *then = document.data["turns"]
        return Request(document.id, prompt=first, then=tuple(then), length=self.settings["max_tokens"])

    def score(self, sample: Sample, observation: Mapping[str, Any]) -> Metrics:
        """`answered`, `words` and `repetition`, over the turns."""
        if sample.output.text is None:
            raise UserError("task mt_bench is about texts, and the model's output has none; use a text model.")
        answers = [*sample.output.before, sample.output.text]
        return {
            "answered": fmean(bool(answer.strip()) for answer in answers),
            "words": fmean(len(answer.split()) for answer in answers),
            "repetition": fmean(repetition(answer, 4) for answer in answers),
        }


def _document(row: Mapping[str, Any], where: str) -> Document:
    number, turns = row.get("question_id"), row.get("turns")
    if type(number) is not int:
        raise UserError(f"{where}: `question_id` must be a whole number, found {number!r}.")
    if not isinstance(turns, list) or not turns or not all(isinstance(turn, str) and turn.strip() for turn in turns):
        raise UserError(f"{where}: `turns` must be a list of texts, found {str(turns)[:60]!r}.")
    data = {"question_id": number, "turns": turns, "category": str(row.get("category", ""))}
    return Document(str(number), data, stratum=data["category"] or None)
