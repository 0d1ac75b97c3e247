"""GenEval: its prompts, what a detector and CLIP see in the pictures, and its rules.

Under the protocol `mmdet` an output's text is the line that the official script wrote about the picture, and its
verdict counts.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.dataset import Dataset
from harness.errors import UserError
from harness.metrics.clip import Clip
from harness.metrics.clustered import clustered_mean
from harness.metrics.coco import CLASSES
from harness.metrics.geneval import COLOURS, LEAST_SCORE, MOST_OF_A_CLASS, TAGS, judge
from harness.metrics.geneval_colours import ColourNamer
from harness.metrics.geneval_scores import mean_over_tags
from harness.metrics.mask2former import MOST, Found, InstanceDetector
from harness.task import Document, Metrics, Observations, Request, Sample, SetMetric, Task, pixels

DATASET = Dataset(
    task="geneval",
    file="geneval/evaluation_metadata.jsonl",
    source="https://raw.githubusercontent.com/djghosh13/geneval/af4902f24d3ca90ebbb446dd9891a59e0f82725f/prompts/evaluation_metadata.jsonl",
    sha256="5c48e0813e812e3c373fa5c8ed07a8f0a483be30272b4427b0559c8048e67c13",
)
NOTHING = -1
"""In place of a class where a picture has fewer detections, of a colour that nobody asks for."""
RELATIONS = ("left of", "right of", "above", "below")


class GenEval(Task):
    """A document is a prompt with its metadata; its stratum is the tag. GenEval has four pictures of each."""

    data_file = DATASET.file
    observed_by = ("protocol", "detector", "clip")
    observed_at_once = 64

    @cached_property
    def _detector(self) -> InstanceDetector:
        return InstanceDetector(self.settings["detector"])

    @cached_property
    def _clip(self) -> Clip:
        return Clip(self.settings["clip"])

    @cached_property
    def _colours(self) -> ColourNamer:
        return ColourNamer(self._clip)

    @cached_property
    def _documents(self) -> Sequence[Document]:
        numbers = count()
        rows = DATASET.documents(
            self.data_dir, lambda row, where: self.document({"index": next(numbers), **row}, where)
        )
        turns: dict[str, int] = defaultdict(int)
        place = {}
        for document in rows:
            place[document.id] = turns[document.data["tag"]], TAGS.index(document.data["tag"])
            turns[document.data["tag"]] += 1
        return sorted(rows, key=lambda document: place[document.id])

    def check(self) -> None:
        """Raise UserError where the prompts cannot be had."""
        _ = self._documents

    def check_observers(self) -> None:
        """Raise UserError where the networks cannot be had."""
        if self.protocol == "hf_mask2former":
            self._detector.check()
            self._clip.check()

    def documents(self) -> Sequence[Document]:
        """The prompts, of which the tags take turns; ids `00000`, `00001`, … by line, as the official code has them."""
        return self._documents

    def document(self, row: Mapping[str, Any], where: str) -> Document:
        """A row of evaluation_metadata.jsonl with its `index` in the file, which is the id."""
        return _document(row, where)

    def request(self, document: Document) -> Request:
        """The prompt."""
        return Request(document.id, prompt=document.data["prompt"])

    def observe(self, samples: Sequence[Sample]) -> Observations:
        """What is in the pictures, best first: (n, 100) `classes`, `colours` and `scores`, and (n, 100, 4) `boxes`.

        Colours are there of the objects that a prompt asks a colour of. Under `mmdet` instead (n,) `verdicts`.
        """
        if self.protocol == "mmdet":
            return {"verdicts": np.array([_verdict(sample) for sample in samples], dtype=np.bool_)}
        pictures = [_picture(sample) for sample in samples]
        seen = _nothing(len(samples))
        for row, (found, picture) in enumerate(zip(self._detector.detect(pictures), pictures, strict=True)):
            first = slice(len(found.labels))
            seen["classes"][row, first], seen["scores"][row, first] = found.labels, found.scores
            seen["boxes"][row, first] = found.boxes
            seen["colours"][row, first] = self._name_colours(samples[row].document, picture, found)
        return seen

    def _name_colours(self, document: Document, picture: NDArray[np.uint8], found: Found) -> NDArray[np.int64]:
        """(n,) colours of the objects whose class has one in the prompt, as many as the rules look at."""
        colours = np.full(len(found.labels), NOTHING)
        for name in sorted({item["class"] for item in document.data["include"] if "color" in item}):
            asked = (found.labels == CLASSES.index(name)) & (found.scores > LEAST_SCORE)
            which = np.flatnonzero(asked)[:MOST_OF_A_CLASS]
            if len(which):
                colours[which] = self._colours.name(picture, name, found.boxes[which], found.masks[which])
        return colours

    def score(self, sample: Sample, observation: Mapping[str, Any]) -> Metrics:
        """Whether the picture is `correct`, which also counts for its tag."""
        if self.protocol == "mmdet":
            correct = bool(observation["verdicts"])
        else:
            correct = judge(sample.document.data, _detections(observation)).correct
        return {"correct": correct, sample.document.data["tag"]: correct}

    def aggregate(self, samples: Sequence[Sample], observations: Observations) -> dict[str, SetMetric]:
        """`geneval`, the mean of the six tags' accuracies, while each has a picture, and `prompts`."""
        rows = [{name: array[row] for name, array in observations.items()} for row in range(len(samples))]
        correct = [self.score(sample, row)["correct"] for sample, row in zip(samples, rows, strict=True)]
        any_: dict[str, bool] = defaultdict(bool)
        for sample, right in zip(samples, correct, strict=True):
            any_[sample.document.id] |= right
        metrics = {"prompts": clustered_mean(list(any_.values()), [1] * len(any_))} if any_ else {}
        mean = mean_over_tags(samples, correct)
        return metrics if mean is None else {**metrics, "geneval": mean}


def _nothing(number: int) -> dict[str, NDArray[Any]]:
    return {
        "classes": np.full((number, MOST), NOTHING, dtype=np.int8),
        "colours": np.full((number, MOST), NOTHING, dtype=np.int8),
        "scores": np.zeros((number, MOST), dtype=np.float32),
        "boxes": np.zeros((number, MOST, 4), dtype=np.float32),
    }


def _detections(observation: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """One row of what `observe` returned, as GenEval's rules read it: of equal scores the later comes first there."""
    by_class: dict[str, list[dict[str, Any]]] = defaultdict(list)
    rows = zip(*(observation[name].tolist() for name in ("classes", "colours", "scores", "boxes")), strict=True)
    for label, colour, score, box in rows:
        if label != NOTHING:
            named = None if colour == NOTHING else COLOURS[colour]
            by_class[CLASSES[label]].insert(0, {"box": box, "score": score, "color": named})
    return by_class


def _picture(sample: Sample) -> NDArray[np.uint8]:
    if sample.output.image is None and sample.output.text is not None:
        raise UserError(
            f"task geneval: document {sample.document.id!r} has no picture but a text. Results of the official script "
            "that were imported without their pictures are scored with --protocol mmdet; else use a model that draws."
        )
    return pixels(sample.output)


def _verdict(sample: Sample) -> bool:
    try:
        correct = json.loads(sample.output.text or "")["correct"]
    except (ValueError, KeyError, TypeError):
        correct = None
    if not isinstance(correct, bool):
        raise UserError(
            f"task geneval, protocol mmdet: document {sample.document.id!r}, sample {sample.index} has no verdict of "
            "the official script. Import its results (`import --format geneval`), or score by hf_mask2former."
        )
    return correct


def _document(row: Mapping[str, Any], where: str) -> Document:
    tag, prompt, include, exclude = (row.get(key) for key in ("tag", "prompt", "include", "exclude"))
    if tag not in TAGS:
        raise UserError(f"{where}: `tag` must be one of {', '.join(TAGS)}, found {tag!r}.")
    if not isinstance(prompt, str) or not prompt.strip():
        raise UserError(f"{where}: `prompt` must be a text, found {prompt!r}.")
    if not isinstance(include, list) or not include:
        raise UserError(f"{where}: `include` must be a list of things, found {include!r}.")
    if exclude is not None and not isinstance(exclude, list):
        raise UserError(f"{where}: `exclude` must be a list of things, found {exclude!r}.")
    for place, thing in enumerate([*include, *(exclude or ())]):
        _check_thing(thing, f"{where}, thing {place + 1}", place)
    index = row.get("index")
    if type(index) is not int or index < 0:
        raise UserError(f"{where}: `index` must be the number of the prompt, from 0, found {index!r}.")
    return Document(f"{index:05d}", dict(row), stratum=tag)


def _check_thing(thing: Any, where: str, place: int) -> None:
    if not isinstance(thing, dict) or thing.get("class") not in CLASSES or type(thing.get("count")) is not int:
        raise UserError(f"{where}: needs a `class` of COCO and a `count`, found {str(thing)[:80]}.")
    if "color" in thing and thing["color"] not in COLOURS:
        raise UserError(f"{where}: `color` must be one of {', '.join(COLOURS)}, found {thing['color']!r}.")
    relation = thing.get("position", [RELATIONS[0], 0])
    right = isinstance(relation, list) and len(relation) == 2 and relation[0] in RELATIONS
    if not right or type(relation[1]) is not int or ("position" in thing and not 0 <= relation[1] < place):
        raise UserError(
            f"{where}: `position` must be one of {', '.join(RELATIONS)} and the place of a thing before, "
            f"found {relation!r}."
        )
