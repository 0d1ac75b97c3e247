"""Countdown: an expression that uses each of some numbers once and comes to a target.

The tasks `countdown`, whose problems are generated, and `countdown_d1` with those of d1 (Zhao et al. 2025, arXiv
2504.12216; dllm-reasoning/d1, `eval/countdown.py`), whose instructions both have.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from typing import Any

from harness.dataset import Dataset
from harness.errors import UserError
from harness.metrics.answers import d1_expression, last_answer
from harness.metrics.arithmetic import d1_value, plain_expression, value
from harness.task import Document, Metrics, Request, Sample, Task

DATASET = Dataset(
    task="countdown_d1",
    file="countdown_d1/problems.jsonl",
    source="https://github.com/dllm-reasoning/d1/blob/main/dataset/countdown_cd3_test.jsonl",
)
PROMPT = r"""Using only the provided numbers, create an arithmetic expression that evaluates to exactly the provided target number. You may use the operations +, -, *, and / as needed, but each number must be used exactly once. Think step-by-step. After reasoning, provide only your final expression inside \boxed{} tags without including an equals sign or the target number. For example: \boxed{a + b * c}Respond in the following format:
<reasoning>
Your reasoning here
</reasoning>
<answer>
\boxed{...}
</answer>

"""  # noqa: E501


class Countdown(Task):
    """A document is some numbers and a target that an expression over them has.

    `correct`: the last box (else the last `<answer>`, else the last line) is an expression with each number once that
    comes to the target exactly. `valid`: it is an expression with each number once.
    """

    @cached_property
    def _documents(self) -> Sequence[Document]:
        rng = random.Random(f"countdown {self.settings['seed']}")
        found: dict[str, Document] = {}
        while len(found) < self.settings["count"]:
            numbers = [rng.randint(1, self.settings["largest"]) for _ in range(self.settings["numbers"])]
            target = _reach(rng, numbers)
            if target is not None and target not in numbers:
                document = _document(numbers, target)
                found.setdefault(document.id, document)
        return list(found.values())

    def check(self) -> None:
        """Raise UserError for settings that no problems have."""
        limits = {"count": (1, 10_000), "numbers": (2, 6), "largest": (10, 1000), "seed": (0, 2**32)}
        for name, (low, high) in limits.items():
            if name in self.settings and not low <= self.settings[name] <= high:
                raise UserError(
                    f"task {self.file.name!r}: {name} is {self.settings[name]}; it must be from {low} to {high}."
                )
        _ = self._documents

    def documents(self) -> Sequence[Document]:
        """The problems."""
        return self._documents

    def request(self, document: Document) -> Request:
        """d1's instructions, then the numbers and the target."""
        numbers, target = document.data["numbers"], document.data["target"]
        prompt = f"{PROMPT}Numbers: {numbers}\nTarget: {target}"
        return Request(document.id, prompt=prompt, length=self.settings["max_tokens"])

    def score(self, sample: Sample, observation: Mapping[str, Any]) -> Metrics:
        """`correct` and `valid`."""
        if sample.output.text is None:
            raise UserError(f"task {self.file.name!r} scores text, and the model's output has none; use a text model.")
        numbers, target = sample.document.data["numbers"], sample.document.data["target"]
        if self.protocol == "d1":
            expression = d1_expression(sample.output.text)
            found: float | Fraction | None = d1_value(expression)
            right = found is not None and abs(found - target) < 1e-5
        else:
            expression = plain_expression(last_answer(sample.output.text))
            found = value(expression)
            right = found == target
        once = sorted(map(int, re.findall(r"\d+", expression))) == sorted(numbers)
        return {"correct": once and right, "valid": once and found is not None}


class CountdownD1(Countdown):
    """d1's 256 problems with three numbers."""

    data_file = DATASET.file

    @cached_property
    def _documents(self) -> Sequence[Document]:
        return DATASET.documents(self.data_dir, self.document)

    def document(self, row: Mapping[str, Any], where: str) -> Document:
        """A row is d1's, {"input": "30,100,93", "output": "23"}, or has a document's `numbers` and `target`."""
        numbers, target = row.get("numbers", row.get("input")), row.get("target", row.get("output"))
        if isinstance(numbers, str):
            numbers = [int(number) for number in re.findall(r"\d+", numbers)]
        if not isinstance(numbers, list) or len(numbers) < 2 or not all(type(number) is int for number in numbers):
            raise UserError(f"{where}: `input` must be numbers such as '30,100,93', found {row.get('input')!r}.")
        if not re.fullmatch(r"-?\d{1,9}", str(target)):
            raise UserError(f"{where}: `output` must be a whole number, found {target!r}.")
        return _document(numbers, int(target))


def _document(numbers: list[int], target: int) -> Document:
    return Document("-".join(map(str, numbers)) + f"={target}", {"numbers": numbers, "target": target})


def _reach(rng: random.Random, numbers: Sequence[int]) -> int | None:
    """What random operations on the numbers come to, each used once; None unless it is a whole number from 1 to 999."""
    values = [Fraction(number) for number in numbers]
    while len(values) > 1:
        one, other = (values.pop(rng.randrange(len(values))) for _ in range(2))
        results = [one + other, one - other, one * other, *([one / other] if other else [])]
        values.append(rng.choice(results))
    whole = values[0].denominator == 1 and 1 <= values[0] <= 999
    return int(values[0]) if whole else None
