"""Predictions and inverse-CDF draws against numpy, scipy and torch.distributions."""

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.special import log_softmax
from torch.distributions import Categorical, kl_divergence

from harness import tiles
from harness.metrics.exact import chi_square
from harness.prediction import Prediction

VOCABULARIES = [2, 17, 513, 126_464]
INF = float("inf")
EDGES = [2**-53, 1e-300, 0.5, 1 - 2**-53]


def random_logits(rows, vocab, seed=0, dtype=torch.float32):
    return 3 * torch.randn(rows, vocab, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def inverse_cdf(logits, uniform):
    """Draws from softmax(logits)."""
    peak = logits.amax(dim=-1)
    return tiles.inverse_cdf(logits, uniform, peak, None, tiles.tile_mass(logits, peak))


def full(logits, temperature=1.0):
    """A prediction at every position of one row."""
    need = torch.ones(1, len(logits), dtype=torch.bool)
    return Prediction(logits, need, torch.tensor([temperature]))


@pytest.mark.parametrize("vocab", VOCABULARIES)
def test_inverse_cdf_is_that_of_numpy(vocab):
    rows = 8 if vocab > 1000 else 500
    logits = random_logits(rows, vocab, dtype=torch.float64)
    uniform = torch.rand(rows, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    cumulative = np.cumsum(np.exp(log_softmax(logits.numpy(), axis=-1)), axis=-1)
    expected = [
        np.searchsorted(row, u * row[-1], side="right") for row, u in zip(cumulative, uniform.tolist(), strict=True)
    ]
    assert inverse_cdf(logits, uniform).tolist() == expected


@pytest.mark.parametrize("vocab", [2, 17, 513])
def test_draws_have_the_right_frequencies(vocab):
    logits = random_logits(1, vocab)
    count = 100_000
    uniform = torch.rand(count, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    drawn = inverse_cdf(logits.expand(count, vocab), uniform)
    assert chi_square(drawn, logits[0].double().softmax(-1)) > 1e-3


@pytest.mark.parametrize("vocab", VOCABULARIES)
@pytest.mark.parametrize("allowed", ["first", "last", "middle", "sparse"])
def test_tokens_of_probability_zero_are_never_drawn(vocab, allowed):
    positions = {"first": [0], "last": [vocab - 1], "middle": [vocab // 2], "sparse": [vocab // 3, vocab - 1]}[allowed]
    logits = torch.full((1, vocab), -INF)
    logits[0, positions] = torch.arange(len(positions)).float()
    uniform = torch.cat([torch.tensor(EDGES, dtype=torch.float64), torch.rand(20, dtype=torch.float64)])
    drawn = inverse_cdf(logits.expand(len(uniform), vocab), uniform)
    assert set(drawn.tolist()) <= set(positions)
    assert drawn[0] == positions[0]
    assert drawn[3] == positions[-1]


def test_a_draw_is_the_first_token_whose_cumulative_probability_exceeds_the_uniform():
    # Equal probabilities of a power of two: every boundary is exact, those between tiles of the vocabulary too.
    tokens = torch.arange(1, 2048)
    drawn = inverse_cdf(torch.zeros(1, 2048).expand(2047, 2048), tokens.double() / 2048)
    assert torch.equal(drawn, tokens)


@pytest.mark.parametrize("edge", EDGES)
def test_edges_with_rounding_stay_on_positive_weights(edge):
    # Float32 weights of very different size, zeros at the end of each tile and of the vocabulary.
    logits = random_logits(200, 1500, seed=3) * 8
    logits[:, 400:512] = -INF
    logits[:, 1024:] = -INF
    drawn = inverse_cdf(logits, torch.full((200,), edge, dtype=torch.float64))
    assert torch.isfinite(logits.gather(1, drawn[:, None])).all()


def test_the_tail_is_drawn_with_its_true_probability():
    # 2^17 tail tokens of 1e-9 each: a float32 running sum near 1 would lose them, or gain.
    vocab = 2**17 + 1
    logits = torch.full((1, vocab), float(np.log(1e-9)))
    logits[0, 0] = 0.0
    share = (vocab - 1) * 1e-9 / (1 + (vocab - 1) * 1e-9)
    uniform = torch.tensor([1 - share - 1e-7, 1 - share / 2], dtype=torch.float64)
    first, second = inverse_cdf(logits.expand(2, vocab), uniform).tolist()
    assert first == 0
    assert second == pytest.approx(vocab / 2, rel=0.01)


def test_zero_temperature_is_the_argmax_and_the_lowest_id_among_equals():
    logits = torch.tensor([[0.0, 2.0, 2.0, -INF], [5.0, 5.0, 5.0, 5.0], [-INF, -INF, 0.0, -1.0]])
    for u in EDGES:
        uniform = torch.full((1, 3), u, dtype=torch.float64)
        assert full(logits, 0.0).draw(uniform).tolist() == [[1, 0, 2]]
    assert full(logits).top1.tolist() == [[1, 0, 2]]


@pytest.mark.parametrize("temperature", [0.3, 1.0, 2.5])
def test_draws_follow_the_temperature(temperature):
    logits = random_logits(1, 5).expand(50_000, 5)
    uniform = torch.rand(1, 50_000, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    counts = torch.bincount(full(logits, temperature).draw(uniform)[0], minlength=5)
    expected = (logits[0].double() / temperature).softmax(-1) * 50_000
    assert stats.chisquare(counts.numpy(), expected.numpy(), sum_check=False).pvalue > 1e-3


@pytest.mark.parametrize("temperature", [1e-38, 1e-300, 1e-6])
def test_tiny_temperatures_do_not_overflow(temperature):
    logits = torch.tensor([[0.0, -1.0, -INF], [-3.0, -3.5, -2.0]])
    assert full(logits, temperature).draw(torch.full((1, 2), 0.999, dtype=torch.float64)).tolist() == [[0, 2]]


def test_rows_have_temperatures_of_their_own():
    logits = torch.tensor([[0.0, 0.1]]).expand(4, 2)
    prediction = Prediction(logits, torch.ones(2, 2, dtype=torch.bool), torch.tensor([0.0, 1.0]))
    assert prediction.draw(torch.full((2, 2), 1e-9, dtype=torch.float64)).tolist() == [[1, 1], [0, 0]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_statistics_against_scipy(dtype):
    logits = random_logits(40, 30, dtype=torch.float64).to(dtype)
    logits[:, 7] = -INF
    prediction = full(logits)
    logp = log_softmax(logits.double().numpy(), axis=-1)
    p = np.sort(np.exp(logp), axis=-1)
    tokens = torch.randint(30, (1, 40), generator=torch.Generator().manual_seed(5))
    expected = {
        "confidence": p[:, -1],
        "top2": p[:, -2],
        "margin": p[:, -1] - p[:, -2],
        "entropy": stats.entropy(p, axis=-1),
    }
    for name, right in expected.items():
        value = getattr(prediction, name)
        assert value.dtype == torch.float32
        np.testing.assert_allclose(value[0].numpy(), right, rtol=1e-5, atol=1e-6, err_msg=name)
    np.testing.assert_allclose(
        prediction.logp(tokens)[0].numpy(), logp[range(40), tokens[0].numpy()], rtol=1e-5, atol=1e-6
    )


def test_ties_have_no_margin_and_certainty_no_entropy():
    prediction = full(torch.tensor([[1.0, 1.0, 0.0], [0.0, -INF, -INF]]))
    assert prediction.margin.tolist() == [[0.0, 1.0]]
    assert prediction.top2[0, 1] == 0
    assert prediction.entropy[0, 1] == 0


def test_kl_against_torch_distributions_with_impossible_tokens():
    one, other = random_logits(50, 12, seed=6), random_logits(50, 12, seed=7)
    one[:, 3] = other[:, 3] = -INF
    one[:, 5] = -INF  # possible in `other` only: costs nothing
    expected = kl_divergence(
        Categorical(logits=one.double().clamp(min=-1e9)), Categorical(logits=other.double().clamp(min=-1e9))
    )
    torch.testing.assert_close(full(other).kl_from(full(one))[0].double(), expected, rtol=1e-4, atol=1e-6)
    other[:, 0] = -INF  # possible in `one` only
    assert full(other).kl_from(full(one))[0].tolist() == [INF] * 50
    assert full(one).kl_from(full(one))[0].tolist() == [0.0] * 50


def test_quantities_lie_where_they_were_asked_for():
    need = torch.tensor([[True, False, True], [False, False, False], [False, True, False]])
    logits = random_logits(3, 4)
    prediction = Prediction(logits, need, torch.ones(3))
    torch.testing.assert_close(prediction.confidence[need], logits.softmax(-1).amax(-1))
    assert prediction.entropy[~need].tolist() == [0.0] * 6
    where = torch.tensor([[False, False, True], [False, False, False], [False, True, False]])
    torch.testing.assert_close(prediction.full(where), logits.log_softmax(-1)[1:])
    tokens = torch.tensor([[3, 99, 1], [99, 99, 99], [99, 0, 99]])  # 99 is read nowhere
    expected = logits.log_softmax(-1)[[0, 1, 2], [3, 1, 0]]
    torch.testing.assert_close(prediction.logp(tokens)[need], expected)

    # A base that covers more: the rows are matched by position.
    base_logits = random_logits(9, 4, seed=1)
    base = Prediction(base_logits, torch.ones(3, 3, dtype=torch.bool), torch.ones(3))
    expected = kl_divergence(Categorical(logits=base_logits[[0, 2, 7]]), Categorical(logits=logits))
    torch.testing.assert_close(prediction.kl_from(base)[need], expected, rtol=1e-4, atol=1e-6)


def test_a_prediction_of_nothing():
    nothing = Prediction(torch.empty(0, 600), torch.zeros(2, 3, dtype=torch.bool), torch.ones(2))
    assert nothing.draw(torch.full((2, 3), 0.5, dtype=torch.float64)).tolist() == [[0] * 3] * 2
    assert nothing.confidence.tolist() == nothing.entropy.tolist() == [[0.0] * 3] * 2
    assert nothing.kl_from(nothing).tolist() == [[0.0] * 3] * 2
