"""VQAv2: open questions about pictures of COCO, each answered by ten annotators."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.errors import UserError
from harness.metrics.vqa import accuracy
from harness.picture_tasks.data import Loaded, PictureData, read_json
from harness.picture_tasks.pictures import FolderPictures
from harness.picture_tasks.task import PictureQuestions, name_of, text_of
from harness.task import Document, Metrics, Sample

QUESTIONS = "v2_OpenEnded_mscoco_val2014_questions.json"
ANNOTATIONS = "v2_mscoco_val2014_annotations.json"


class VQAv2(PictureQuestions):
    """A document is a question of the validation split with its annotators' answers; its cluster is the picture."""

    data = PictureData(
        task="vqav2",
        source=f"{QUESTIONS} and {ANNOTATIONS} of https://visualqa.org/download.html, and the folder val2014 of "
        "https://cocodataset.org",
        hub="lmms-lab/VQAv2",
        split="validation",
    )

    def published(self, folder: Path) -> Loaded | None:
        questions, annotations = folder / QUESTIONS, folder / ANNOTATIONS
        if not questions.is_file() or not annotations.is_file():
            return None
        answers = {row["question_id"]: row.get("answers") for row in _list(annotations, "annotations")}
        rows = (
            (
                f"{questions}, question {number}",
                {**row, "answers": answers.get(row["question_id"]), "image": _file(row)},
            )
            for number, row in enumerate(_list(questions, "questions"))
        )
        return rows, FolderPictures([folder / "val2014", folder.parent / "val2014"])

    def document(self, row: Mapping[str, Any], where: str) -> Document:
        answers = row.get("answers")
        if not isinstance(answers, list) or not answers or not all(isinstance(one, dict) for one in answers):
            raise UserError(f"{where}: `answers` must be a list of annotators' answers, found {str(answers)[:60]!r}.")
        data = {
            "question": text_of(row, "question", where),
            "answers": [str(one.get("answer")) for one in answers],
            "picture": name_of(row, "image", where),
        }
        return Document(name_of(row, "question_id", where), data, cluster=name_of(row, "image_id", where))

    def score(self, sample: Sample, observation: Mapping[str, Any]) -> Metrics:
        """`accuracy` of the official evaluation; `no_answer`: there was no conclusion."""
        text = self.read(sample)
        right = 0.0 if text is None else accuracy(text, sample.document.data["answers"])
        return {"accuracy": right, "no_answer": text is None}


def _list(path: Path, key: str) -> list[dict[str, Any]]:
    content = read_json(path)
    rows = content.get(key) if isinstance(content, dict) else None
    if not isinstance(rows, list) or not all(isinstance(row, dict) and "question_id" in row for row in rows):
        raise UserError(f"{path}: a list `{key}` of objects with a `question_id` is needed.")
    return rows


def _file(row: Mapping[str, Any]) -> str:
    number = row.get("image_id")
    return f"COCO_val2014_{number:012d}.jpg" if isinstance(number, int) else ""
