"""POPE: does a thing occur in the picture? Half of the questions are about things that do not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.dataset import Rows
from harness.errors import UserError, did_you_mean
from harness.metrics.yes_no import pope_answer, yes_no_statistics
from harness.picture_tasks.data import Loaded, PictureData, read_rows
from harness.picture_tasks.pictures import FolderPictures
from harness.picture_tasks.task import PictureQuestions, name_of, text_of
from harness.task import Document, Metrics, Observations, Sample, SetMetric

CATEGORIES = ("random", "popular", "adversarial")


class POPE(PictureQuestions):
    """A document is a question with the answer yes or no, its id `adversarial-17`.

    Protocol `official` takes every answer without No, no or not in its first sentence for yes; `word` (that of
    lmms-eval) wants nothing but the word. In the long form an output without a conclusion is wrong, and no yes.
    """

    data = PictureData(
        task="pope",
        source="coco_pope_random.json, …_popular and …_adversarial of https://github.com/AoiDragon/POPE (output/coco), "
        "and the folder val2014 of https://cocodataset.org",
        hub="lmms-lab/POPE",
        split="test",
    )
    answer = "yes or no"

    @property
    def _categories(self) -> Sequence[str]:
        category = self.settings["category"]
        if category not in (*CATEGORIES, "all"):
            raise UserError(f"task pope: category is {category!r}.{did_you_mean(str(category), (*CATEGORIES, 'all'))}")
        return CATEGORIES if category == "all" else (str(category),)

    def published(self, folder: Path) -> Loaded | None:
        files = {category: folder / f"coco_pope_{category}.json" for category in self._categories}
        if not all(path.is_file() for path in files.values()):
            return None
        rows = (
            (where, {**row, "category": category, **_as_on_the_hub(row, where)})
            for category, path in files.items()
            for where, row in read_rows(path)
        )
        return rows, FolderPictures([folder / "val2014", folder.parent / "val2014", folder / "images"])

    def select(self, rows: Rows) -> Rows:
        return ((where, row) for where, row in rows if row.get("category") in self._categories)

    def document(self, row: Mapping[str, Any], where: str) -> Document:
        name, answer = f"{row['category']}-{name_of(row, 'question_id', where)}", text_of(row, "answer", where).lower()
        if answer not in ("yes", "no"):
            raise UserError(f"{where}: the answer must be yes or no, found {answer!r}.")
        picture = name_of(row, "image", where)
        data = {"question": text_of(row, "question", where), "answer": answer, "picture": picture}
        # On the hub a picture is there once for each of its questions, and `image_source` says which it is.
        return Document(name, data, cluster=str(row.get("image_source") or picture), stratum=row["category"])

    def _answer(self, sample: Sample) -> str | None:
        text = self.read(sample)
        if text is None or self.protocol == "official":
            return None if text is None else pope_answer(text)
        word = text.strip().lower()
        return word if word in ("yes", "no") else None

    def score(self, sample: Sample, observation: Mapping[str, Any]) -> Metrics:
        """`accuracy`; `no_answer`: neither yes nor no was read."""
        answer = self._answer(sample)
        return {"accuracy": answer == sample.document.data["answer"], "no_answer": answer is None}

    def aggregate(self, samples: Sequence[Sample], observations: Observations) -> dict[str, SetMetric]:
        """`precision`, `recall`, `f1` and `yes_ratio` over all questions asked."""
        return yes_no_statistics(
            [self._answer(sample) for sample in samples],
            [sample.document.data["answer"] for sample in samples],
            [str(sample.document.cluster) for sample in samples],
        )


def _as_on_the_hub(row: Mapping[str, Any], where: str) -> dict[str, str]:
    """The hub's columns of a published row whose names are others there."""
    return {"question": text_of(row, "text", where), "answer": text_of(row, "label", where)}
