"""MMBench: multiple choice about pictures, each question also asked with its options rotated."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from harness.dataset import Rows
from harness.errors import UserError
from harness.metrics.choices import mmbench_choice
from harness.metrics.clustered import clustered_mean
from harness.picture_tasks.data import Loaded, PictureData
from harness.picture_tasks.pictures import InlinePictures
from harness.picture_tasks.task import PictureQuestions, name_of, text_of
from harness.task import Document, Metrics, Observations, Sample, SetMetric

FILES = ("MMBench_DEV_EN.tsv", "mmbench_dev_20230712.tsv")
ROTATED = 1_000_000
"""The official files number the rotations of question 7 as 1000007, 2000007, …"""
REFERENCE = 64
"""A text this short in place of a picture is the number of the question that has it."""


class MMBench(PictureQuestions):
    """A document is a question of the English development split; with `circular`, one for each rotation of its options.

    Its cluster is the question. `circular` is the share of questions with all rotations right, as published. Where
    no option can be inferred from the text, the published numbers ask a language model; here the answer is wrong.
    """

    data = PictureData(
        task="mmbench",
        source="https://opencompass.openxlab.space/utils/benchmarks/MMBench/MMBench_DEV_EN.tsv",
        hub="lmms-lab/MMBench",
        split="dev",
        config="en",
    )
    instruction = "\nAnswer with the option's letter from the given choices directly."
    answer = "the letter of the right option"

    def published(self, folder: Path) -> Loaded | None:
        path = next((folder / name for name in FILES if (folder / name).is_file()), None)
        if path is None:
            return None
        import pandas as pd

        try:
            table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
        except (ValueError, UnicodeDecodeError) as error:
            raise UserError(f"{path}: cannot be read as a table ({error}). Get it anew.") from error
        missing = {"index", "question", "answer", "image"} - set(table.columns)
        if missing:
            raise UserError(f"{path} has no column {sorted(missing)[0]!r}, but {', '.join(table.columns)}.")
        images = dict(zip(table["index"], table["image"], strict=True))
        encoded = {name: images.get(image, "") if len(image) <= REFERENCE else image for name, image in images.items()}
        rows = (
            (f"{path}, row {number}", {**row, "image": row["index"]})
            for number, row in enumerate(table.to_dict("records"), start=1)
        )
        return rows, InlinePictures({name: image for name, image in encoded.items() if image}, str(path))

    def select(self, rows: Rows) -> Rows:
        for where, row in rows:
            if int(name_of(row, "index", where)) >= ROTATED:
                continue
            yield where, row
            if self.settings["circular"]:
                yield from ((where, rotated) for rotated in _rotations(row))

    def document(self, row: Mapping[str, Any], where: str) -> Document:
        options, answer = _options(row), text_of(row, "answer", where)
        if answer not in options:
            raise UserError(
                f"{where}: the answer must be one of {', '.join(options) or 'no options'}, found {answer!r}."
            )
        hint = row.get("hint")
        data = {
            "question": text_of(row, "question", where),
            "hint": hint if isinstance(hint, str) and hint not in ("", "nan") else None,
            "options": options,
            "answer": answer,
            "picture": name_of(row, "image", where),
        }
        name = name_of(row, "index", where)
        stratum = row.get("category")
        return Document(name, data, cluster=str(int(name) % ROTATED), stratum=str(stratum) if stratum else None)

    def question(self, document: Document) -> str:
        hint = document.data["hint"]
        lines = [f"{letter}. {option}" for letter, option in document.data["options"].items()]
        return "\n".join([*([hint] if hint else []), document.data["question"], *lines])

    def _choice(self, sample: Sample) -> str | None:
        text = self.read(sample)
        return None if text is None else mmbench_choice(text, sample.document.data["options"])

    def score(self, sample: Sample, observation: Mapping[str, Any]) -> Metrics:
        """`accuracy`; `unread`: no option can be inferred."""
        letter = self._choice(sample)
        return {"accuracy": letter == sample.document.data["answer"], "unread": letter is None}

    def aggregate(self, samples: Sequence[Sample], observations: Observations) -> dict[str, SetMetric]:
        """`circular`, where rotations were asked."""
        if not self.settings["circular"]:
            return {}
        right: dict[tuple[str, int], list[bool]] = defaultdict(list)
        for sample in samples:
            answer = self._choice(sample) == sample.document.data["answer"]
            right[str(sample.document.cluster), sample.index].append(answer)
        return {"circular": clustered_mean([float(all(each)) for each in right.values()], [1] * len(right))}


def _options(row: Mapping[str, Any]) -> dict[str, str]:
    given = {letter: row.get(letter) for letter in ascii_uppercase}
    return {letter: text for letter, text in given.items() if isinstance(text, str) and text not in ("", "nan")}


def _rotations(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The question with its options moved by one place, two places, and so on."""
    options = _options(row)
    letters, texts = list(options), list(options.values())
    rotated = []
    for shift in range(1, len(letters)):
        moved = dict(zip(letters, texts[shift:] + texts[:shift], strict=True))
        place = letters.index(row["answer"]) if row.get("answer") in letters else 0
        answer = letters[(place - shift) % len(letters)]
        rotated.append({**row, **moved, "answer": answer, "index": str(int(row["index"]) + shift * ROTATED)})
    return rotated
