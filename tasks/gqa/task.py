"""GQA: compositional questions about pictures, with one true answer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.errors import UserError
from harness.picture_tasks.data import Loaded, PictureData, read_json
from harness.picture_tasks.pictures import FolderPictures
from harness.picture_tasks.task import PictureQuestions, name_of, text_of
from harness.task import Document, Metrics, Sample

QUESTIONS = "testdev_balanced_questions.json"


class GQA(PictureQuestions):
    """A document is a question of testdev-balanced; its cluster is the picture.

    An answer is right if it equals the true one in lower case, without white space around it and a full stop at its
    end.
    """

    data = PictureData(
        task="gqa",
        source=f"{QUESTIONS} and the folder images of https://cs.stanford.edu/people/dorarad/gqa/download.html",
        hub="lmms-lab/GQA",
        split="testdev",
        config="testdev_balanced_instructions",
        column="imageId",
        pictures="testdev_balanced_images",
    )

    def published(self, folder: Path) -> Loaded | None:
        path = folder / QUESTIONS
        if not path.is_file():
            return None
        content = read_json(path)
        if not isinstance(content, dict) or not all(isinstance(row, dict) for row in content.values()):
            raise UserError(f"{path}: an object from question ids to questions is needed.")
        rows = (
            (f"{path}, question {name}", {**row, "id": name, "picture": f"{row.get('imageId')}.jpg"})
            for name, row in content.items()
        )
        return rows, FolderPictures([folder / "images"])

    def document(self, row: Mapping[str, Any], where: str) -> Document:
        image = name_of(row, "imageId", where)
        data = {
            "question": text_of(row, "question", where),
            "answer": text_of(row, "answer", where),
            "picture": row.get("picture", image),
        }
        return Document(name_of(row, "id", where), data, cluster=image)

    def score(self, sample: Sample, observation: Mapping[str, Any]) -> Metrics:
        """`accuracy`; `no_answer`: there was no conclusion."""
        text = self.read(sample)
        right = text is not None and _plain(text) == _plain(sample.document.data["answer"])
        return {"accuracy": right, "no_answer": text is None}


def _plain(text: str) -> str:
    return text.strip().lower().removesuffix(".").strip()
