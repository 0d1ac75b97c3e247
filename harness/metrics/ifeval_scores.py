"""The four accuracies of IFEval: over prompts and over instructions, strict and loose.

Of a response, `prompt_*` is whether it follows all instructions of its document, `instruction_*` the verdict on each.
Over a set, `prompt_*` is the mean over documents, `instruction_*` the mean over all instructions of all documents.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from harness.errors import UserError
from harness.metrics.clustered import clustered_mean
from harness.metrics.ifeval import Instruction, judge
from harness.task import Document, Metrics, Sample, SetMetric


def instructions_of(document: Document) -> list[Instruction]:
    """The instructions of a document that holds IFEval's `instruction_id_list` and `kwargs`."""
    pairs = zip(document.data["instruction_id_list"], document.data["kwargs"], strict=True)
    return [Instruction(name, arguments) for name, arguments in pairs]


class ResponseScores:
    """Scores of responses to the documents of `task`, whose ids `instructions` maps to what is asked.

    Each text is judged once, so that `aggregate` sees the verdicts that `score` gave, also where a protocol is random.
    """

    def __init__(self, task: str, instructions: Mapping[str, Sequence[Instruction]], protocol: str) -> None:
        self._task = task
        self._instructions = instructions
        self._protocol = protocol
        self._scores: dict[tuple[str, bytes], Metrics] = {}

    def score(self, sample: Sample) -> Metrics:
        """The verdicts on one response; UserError if it has no text."""
        text = sample.output.text
        if text is None:
            raise UserError(f"task {self._task} scores text, and the model's output has none; use a text model.")
        key = (sample.document.id, hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest())
        if key not in self._scores:
            verdicts = judge(self._instructions[sample.document.id], text, self._protocol)
            strict, loose = [each.strict for each in verdicts], [each.loose for each in verdicts]
            self._scores[key] = {
                "prompt_strict": all(strict),
                "prompt_loose": all(loose),
                "instruction_strict": strict,
                "instruction_loose": loose,
            }
        return self._scores[key]

    def aggregate(self, samples: Sequence[Sample]) -> dict[str, SetMetric]:
        """`instruction_strict` and `instruction_loose` of the whole set, documents being the independent draws."""
        return {key: self._over_instructions(samples, key) for key in ("instruction_strict", "instruction_loose")}

    def _over_instructions(self, samples: Sequence[Sample], key: str) -> SetMetric:
        by_document: dict[str, list[bool]] = defaultdict(list)
        for sample in samples:
            by_document[sample.document.id] += self.score(sample)[key]
        verdicts = by_document.values()
        mean = clustered_mean([sum(each) for each in verdicts], [len(each) for each in verdicts])
        weight = len(samples) / sum(map(len, verdicts))
        found = [self.score(sample)[key] for sample in samples]
        return replace(mean, parts=[mean.value + weight * (sum(each) - len(each) * mean.value) for each in found])
