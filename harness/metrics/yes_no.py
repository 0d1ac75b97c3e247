"""Answers of yes or no: how POPE and MME read them, and what is counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.metrics.jackknife import jackknife_error
from harness.task import SetMetric


def pope_answer(text: str) -> str:
    """`no` where the first sentence has the word No, no or not, else `yes` (AoiDragon/POPE 08d957b, `evaluate.py`).

    A sentence ends at the first full stop, commas are dropped, and words are what spaces separate: `NO`, or `no` before
    a line break, is no such word.
    """
    words = text.split(".")[0].replace(",", "").split(" ")
    return "no" if {"No", "not", "no"} & set(words) else "yes"


def mme_answer(text: str) -> str | None:
    """`yes` or `no` by the first four characters, None for neither (EvolvingLMMs-Lab/lmms-eval, `mme/utils.py`)."""
    plain = text.lower().strip().replace(".", "")
    if len(plain) == 1:
        return {"y": "yes", "n": "no"}.get(plain)
    return next((answer for answer in ("yes", "no") if answer in plain[:4]), None)


@dataclass(frozen=True)
class Confusion:
    """Numbers of answers, `yes` being the positive one: (…) float64 each, broadcast together.

    true_yes, false_yes    answered yes, rightly or not; true_no, false_no likewise
    unread_yes, unread_no  answered neither, where yes or no was true: wrong, and no yes
    """

    true_yes: NDArray[np.float64]
    false_yes: NDArray[np.float64]
    true_no: NDArray[np.float64]
    false_no: NDArray[np.float64]
    unread_yes: NDArray[np.float64]
    unread_no: NDArray[np.float64]

    def statistics(self) -> dict[str, NDArray[np.float64]]:
        """`precision`, `recall`, `f1` and `yes_ratio` (of the answers), 0 where undefined."""
        answered_yes = self.true_yes + self.false_yes
        truly_yes = self.true_yes + self.false_no + self.unread_yes
        everything = truly_yes + self.false_yes + self.true_no + self.unread_no
        return {
            "precision": _ratio(self.true_yes, answered_yes),
            "recall": _ratio(self.true_yes, truly_yes),
            "f1": _ratio(2 * self.true_yes, answered_yes + truly_yes),
            "yes_ratio": _ratio(answered_yes, everything),
        }


def yes_no_statistics(
    answers: Sequence[str | None], truths: Sequence[str], clusters: Sequence[str]
) -> dict[str, SetMetric]:
    """POPE's `precision`, `recall`, `f1` and `yes_ratio` of n answers (`yes`, `no`, or None for neither).

    Errors are the jackknife's, whole clusters (pictures) left out in turn.
    """
    cells = np.array([_cell(answer, truth) for answer, truth in zip(answers, truths, strict=True)])
    counts = np.eye(6)[cells]
    _, of = np.unique(np.asarray(clusters), return_inverse=True)
    by_cluster = np.zeros((of.max() + 1, 6))
    np.add.at(by_cluster, of, counts)
    total = counts.sum(axis=0)
    without = Confusion(*(total - by_cluster).T).statistics()
    return {
        name: SetMetric(float(value), jackknife_error(without[name]) if len(by_cluster) > 1 else None)
        for name, value in Confusion(*total).statistics().items()
    }


def _cell(answer: str | None, truth: str) -> int:
    row = {"yes": 0, "no": 2, None: 4}[answer]
    if answer is None:
        return row + (truth != "yes")
    return row + (answer != truth)


def _ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.zeros(np.broadcast(part, whole).shape), where=np.asarray(whole) != 0)
