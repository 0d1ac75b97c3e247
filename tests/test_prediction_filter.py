"""Filtering a prediction, against a plain sort of the vocabulary."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from harness.prediction import Prediction

NEED = torch.tensor([[True, False, True], [True, True, True]])


def prediction(logits: Tensor, temperature: tuple[float, float] = (1.0, 1.0)) -> Prediction:
    return Prediction(logits, NEED, torch.tensor(temperature))


def sorted_reference(row: Tensor, top_p: float, top_k: int) -> list[bool]:
    """One position by a full sort, in plain Python."""
    probability = torch.softmax(row.double(), dim=-1).tolist()
    order = sorted(range(len(probability)), key=lambda token: (-probability[token], token))
    kept, mass = [], 0.0
    for place, token in enumerate(order):
        if place > 0 and ((top_p < 1 and mass >= top_p) or (top_k and place >= top_k)):
            break
        kept.append(token)
        mass += probability[token]
    return [token in kept for token in range(len(probability))]


@pytest.mark.parametrize("vocab", [1, 2, 5, 3000])
@pytest.mark.parametrize("scale", [0.1, 3.0, 30.0])
def test_keeps_what_a_full_sort_keeps(vocab: int, scale: float) -> None:
    generator = torch.Generator().manual_seed(vocab)
    for top_p, top_k in [(0.0, 0), (0.3, 0), (0.9, 0), (0.999, 0), (1.0, 0), (1.0, 1), (1.0, 3), (0.8, 2), (0.8, 1500)]:
        logits = torch.randn(5, vocab, generator=generator) * scale
        kept = prediction(logits).filtered(top_p, top_k).logits > float("-inf")
        assert kept.tolist() == [sorted_reference(row, top_p, top_k) for row in logits]


def test_equals_count_in_the_order_of_their_ids() -> None:
    logits = torch.tensor([0.0, 1.0, 1.0, 0.0, 1.0]).repeat(5, 1)
    top_two = prediction(logits).filtered(top_k=2).logits > float("-inf")
    assert top_two.tolist() == [[False, True, True, False, False]] * 5
    uniform = torch.zeros(5, 8)
    half = prediction(uniform).filtered(0.5).logits > float("-inf")
    assert half.tolist() == [[True] * 4 + [False] * 4] * 5


def test_values_may_differ_between_rows() -> None:
    logits = torch.randn(5, 50, generator=torch.Generator().manual_seed(0))
    top_p, top_k = torch.tensor([[1.0], [0.4]]), torch.tensor([[3], [0]])
    kept = prediction(logits).filtered(top_p, top_k).logits > float("-inf")
    expected = [sorted_reference(row, 1.0, 3) for row in logits[:2]]
    expected += [sorted_reference(row, 0.4, 0) for row in logits[2:]]
    assert kept.tolist() == expected


def test_impossible_tokens_stay_impossible_and_probabilities_add_up() -> None:
    logits = torch.randn(5, 20)
    logits[:, 4:] = float("-inf")
    filtered = prediction(logits).filtered(0.9999999)
    assert torch.equal(filtered.logits, logits)
    probability = prediction(logits).filtered(0.5).full(NEED).exp()
    torch.testing.assert_close(probability.sum(-1), torch.ones(5))


def test_tempered_confidence_is_that_of_the_draw() -> None:
    logits = torch.randn(5, 11, generator=torch.Generator().manual_seed(1))
    hot = prediction(logits, (0.5, 0.0)).tempered()
    expected = torch.softmax(torch.cat([logits[:2] / 0.5, logits[2:]]), dim=-1)
    torch.testing.assert_close(hot.full(NEED).exp(), expected)
    assert hot.temperature.tolist() == [1.0, 0.0]
    uniform = torch.rand(2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    assert torch.equal(hot.draw(uniform), prediction(logits, (0.5, 0.0)).draw(uniform))


def test_without_leaves_no_position_without_a_token() -> None:
    logits = torch.zeros(5, 3)
    logits[1, :2] = float("-inf")
    left = prediction(logits).without((2,)).logits
    assert left[0].tolist() == [0.0, 0.0, float("-inf")]
    assert left[1].tolist() == logits[1].tolist()
    where = torch.tensor([[True, True, False], [False, False, True]])
    changed = (prediction(logits).without((0,), where).logits != logits).any(dim=-1)
    assert changed.tolist() == [True, False, False, False, True]
