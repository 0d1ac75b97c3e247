"""Repetition and entropy of texts, by hand."""

import math

import pytest

from harness.metrics.text import repetition, unigram_entropy


def test_repetition():
    assert repetition("a a a a", 1) == 0.75
    assert repetition("The cat the Cat", 2) == pytest.approx(1 / 3)
    assert repetition("one two", 3) == 0


def test_unigram_entropy():
    assert unigram_entropy([1, 2, 3, 4]) == pytest.approx(math.log(4))
    assert unigram_entropy([7, 7, 7]) == 0
    assert unigram_entropy(["a", "a", "b", "b"]) == pytest.approx(math.log(2))
    assert unigram_entropy([]) == 0
