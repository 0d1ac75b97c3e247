"""Finding wrong tokens by a score: against counts of pairs and orders, ties included."""

import itertools

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from harness.metrics.detection import auroc, average_precision, harm_rate


def _rows(seed: int = 0):
    draws = np.random.default_rng(seed)
    confidence = draws.integers(0, 4, size=(20, 7)) / 4  # many ties
    wrong = draws.random((20, 7)).argsort(axis=1) < draws.integers(1, 7, size=(20, 1))
    return confidence, wrong


def test_auroc_and_average_precision_are_those_of_scikit_learn():
    confidence, wrong = _rows()
    expected = [
        (roc_auc_score(flags, -row), average_precision_score(flags, -row))
        for row, flags in zip(confidence, wrong, strict=True)
    ]
    assert auroc(confidence, wrong) == pytest.approx([first for first, _ in expected])
    assert average_precision(confidence, wrong) == pytest.approx([second for _, second in expected])


def test_harm_rate_is_the_mean_over_all_orders_of_tied_tokens():
    confidence, wrong = _rows()
    values = harm_rate(confidence, wrong)
    for row, flags, value in list(zip(confidence, wrong, values, strict=True))[:6]:
        count = flags.sum()
        sorted_ways = [
            order
            for order in itertools.permutations(range(7))
            if all(row[a] <= row[b] for a, b in itertools.pairwise(order))
        ]
        assert value == pytest.approx(np.mean([1 - flags[list(order[:count])].mean() for order in sorted_ways]))


def test_a_score_that_says_nothing_and_one_that_says_all():
    wrong = np.array([[True, False, False, False]])
    for flat, metric, chance, best in [
        (0.3, auroc, 0.5, 1),
        (0.3, average_precision, 0.25, 1),
        (0.3, harm_rate, 0.75, 0),
    ]:
        assert metric(np.full((1, 4), flat), wrong) == pytest.approx(chance)
        assert metric(np.where(wrong, 0.1, 0.9), wrong) == pytest.approx(best)


def test_a_row_without_both_kinds_is_refused():
    with pytest.raises(ValueError, match="a wrong token and a right one"):
        auroc(np.zeros((2, 3)), np.array([[True, False, False], [False, False, False]]))
