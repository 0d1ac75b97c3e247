"""COCO captions: describe the picture in a sentence. Long form only: a caption has no short answer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import UserError
from harness.metrics.cider import check_tokeniser, cider
from harness.picture_tasks.data import Loaded, PictureData, read_json
from harness.picture_tasks.pictures import FolderPictures
from harness.picture_tasks.task import PictureQuestions, name_of
from harness.task import Document, Metrics, Observations, Request, Sample, SetMetric

ANNOTATIONS = "captions_val2017.json"


class COCOCaption(PictureQuestions):
    """A document is a picture of the validation split of 2017 with its annotators' captions."""

    data = PictureData(
        task="coco_caption",
        source=f"annotations/{ANNOTATIONS} and the folder val2017 of https://cocodataset.org",
        hub="lmms-lab/COCO-Caption2017",
        split="val",
    )

    def published(self, folder: Path) -> Loaded | None:
        path = next(
            (one for one in (folder / "annotations" / ANNOTATIONS, folder / ANNOTATIONS) if one.is_file()), None
        )
        if path is None:
            return None
        content = read_json(path)
        captions = defaultdict(list)
        try:
            files = {row["id"]: row["file_name"] for row in content["images"]}
            for row in content["annotations"]:
                captions[row["image_id"]].append(row["caption"])
        except (KeyError, TypeError) as error:
            raise UserError(f"{path}: `images` and `annotations` as of COCO are needed ({error!r}).") from error
        rows = (
            (f"{path}, picture {name}", {"question_id": file, "image": file, "answer": captions[name]})
            for name, file in files.items()
        )
        return rows, FolderPictures([folder / "val2017", folder.parent / "val2017"])

    def check(self) -> None:
        check_tokeniser(self.protocol)
        super().check()

    def document(self, row: Mapping[str, Any], where: str) -> Document:
        captions = row.get("answer")
        if not isinstance(captions, list) or not captions or not all(isinstance(one, str) for one in captions):
            raise UserError(f"{where}: the captions must be a list of texts, found {str(captions)[:60]!r}.")
        name = Path(name_of(row, "question_id", where)).stem
        return Document(name, {"captions": captions, "picture": name_of(row, "image", where)})

    def request(self, document: Document) -> Request:
        prompt = "Provide a one-sentence caption for the provided image."
        return Request(document.id, prompt=prompt, image=self.picture(document), length=self.settings["max_tokens"])

    def score(self, sample: Sample, observation: Mapping[str, Any]) -> Metrics:
        """`words` of the caption."""
        return {"words": len((sample.output.text or "").split())}

    def aggregate(self, samples: Sequence[Sample], observations: Observations) -> dict[str, SetMetric]:
        """`cider` over the pictures; of several captions of one picture each counts."""
        captions = {f"{sample.document.id}/{sample.index}": sample.output.text or "" for sample in samples}
        references = {f"{sample.document.id}/{sample.index}": sample.document.data["captions"] for sample in samples}
        return {"cider": cider(captions, references, self.protocol)}
