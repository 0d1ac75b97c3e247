"""MME: two questions about each picture, one whose answer is yes and one whose answer is no."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import UserError, did_you_mean
from harness.metrics.clustered import clustered_mean
from harness.metrics.yes_no import mme_answer
from harness.picture_tasks.data import Loaded, PictureData
from harness.picture_tasks.pictures import FolderPictures
from harness.picture_tasks.task import PictureQuestions, name_of, text_of
from harness.spec import content_hash
from harness.task import Document, Metrics, Observations, Sample, SetMetric

PERCEPTION = (
    "existence count position color posters celebrity scene landmark artwork OCR".split()  # noqa: SIM905
)
COGNITION = "commonsense_reasoning numerical_calculation text_translation code_reasoning".split()  # noqa: SIM905
SUBTASKS = (*PERCEPTION, *COGNITION)
SUFFIX = " Please answer yes or no."


class MME(PictureQuestions):
    """A document is a question with the answer yes or no, its cluster the picture.

    A subtask's score is 100 times its accuracy plus 100 times the share of its pictures with both answers right
    (accuracy+); `perception` adds ten of them up to at most 2,000, `cognition` four to at most 800.
    """

    data = PictureData(
        task="mme",
        source="MME_Benchmark_release_version of https://github.com/BradyFU/Awesome-Multimodal-Large-Language-Models",
        hub="lmms-lab/MME",
        split="test",
    )
    answer = "yes or no"

    def published(self, folder: Path) -> Loaded | None:
        for place in (folder / "MME_Benchmark_release_version" / "MME_Benchmark", folder):
            if all((place / subtask).is_dir() for subtask in SUBTASKS):
                return self._release(place), FolderPictures([place])
        return None

    def _release(self, folder: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """A text beside each picture, or in a folder of its own, has a question, a tab and the answer in each line."""
        for subtask in SUBTASKS:
            for path in sorted((folder / subtask).glob("**/*.txt")):
                picture = _picture(folder, subtask, path)
                for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
                    question, tab, answer = line.partition("\t")
                    if not tab:
                        raise UserError(f"{path}, line {number + 1}: a question, a tab and an answer are needed.")
                    row = {"question_id": f"{subtask}/{path.stem}", "image": picture, "category": subtask}
                    yield f"{path}, line {number + 1}", {**row, "question": question, "answer": answer}

    def document(self, row: Mapping[str, Any], where: str) -> Document:
        subtask, answer = text_of(row, "category", where), text_of(row, "answer", where).strip().lower().rstrip(".")
        if subtask not in SUBTASKS:
            raise UserError(f"{where}: {subtask!r} is no subtask of MME.{did_you_mean(subtask, SUBTASKS)}")
        if answer not in ("yes", "no"):
            raise UserError(f"{where}: the answer must be yes or no, found {answer!r}.")
        picture, question = name_of(row, "question_id", where), text_of(row, "question", where).strip()
        data = {"question": question, "answer": answer, "picture": name_of(row, "image", where)}
        # The two questions of a picture have one id.
        return Document(f"{picture}-{content_hash(question)[:8]}", data, cluster=picture, stratum=subtask)

    def question(self, document: Document) -> str:
        return str(document.data["question"]).removesuffix(SUFFIX)

    def _answer(self, sample: Sample) -> str | None:
        text = self.read(sample)
        return None if text is None else mme_answer(text)

    def score(self, sample: Sample, observation: Mapping[str, Any]) -> Metrics:
        """`accuracy`; `no_answer`: neither yes nor no was read."""
        answer = self._answer(sample)
        return {"accuracy": answer == sample.document.data["answer"], "no_answer": answer is None}

    def aggregate(self, samples: Sequence[Sample], observations: Observations) -> dict[str, SetMetric]:
        """`accuracy_plus`, and the scores `perception` and `cognition` of the subtasks that were asked."""
        right: dict[tuple[str, str, int], list[bool]] = defaultdict(list)
        for sample in samples:
            document = sample.document
            answer = self._answer(sample) == document.data["answer"]
            right[str(document.stratum), str(document.cluster), sample.index].append(answer)
        # A picture of which only one question was asked (--limit) has no accuracy+.
        pairs = {key: answers for key, answers in right.items() if len(answers) == 2}
        found = {"accuracy_plus": _mean([float(all(answers)) for answers in pairs.values()])} if pairs else {}
        for name, subtasks in (("perception", PERCEPTION), ("cognition", COGNITION)):
            scores = {
                subtask: [100 * (np.mean(each) + all(each)) for key, each in pairs.items() if key[0] == subtask]
                for subtask in subtasks
            }
            asked = [_mean(values) for values in scores.values() if values]
            if asked:
                errors = [metric.stderr for metric in asked if metric.stderr is not None]
                error = float(np.sqrt(np.sum(np.square(errors)))) if len(errors) == len(asked) else None
                found[name] = SetMetric(sum(metric.value for metric in asked), error)
        return found


def _picture(folder: Path, subtask: str, text: Path) -> str:
    for place in (text.parent, folder / subtask / "images"):
        for suffix in (".jpg", ".png", ".jpeg"):
            path = place / f"{text.stem}{suffix}"
            if path.is_file():
                return str(path.relative_to(folder))
    return str((text.parent / f"{text.stem}.jpg").relative_to(folder))


def _mean(values: Sequence[float]) -> SetMetric:
    return clustered_mean(values, [1] * len(values))
