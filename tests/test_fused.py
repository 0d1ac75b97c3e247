"""The fused pass: its definition against sums in float64 and the plain passes, and what is compiled against both."""

import pytest
import torch
from torch._dynamo.utils import counters

from harness import fused, tiles
from harness.prediction import Prediction

INF = float("inf")
SHAPES = [(1, 1), (3, 5), (4, 512), (5, 513), (2, 1024), (3, 5000)]
EDGES = [2**-53, 1e-300, 0.25, 0.5, 0.75, 1 - 2**-53]


def random_logits(rows, vocab, seed=0, scale=4.0):
    return scale * torch.randn(rows, vocab, generator=torch.Generator().manual_seed(seed))


def cases(vocab=5000):
    """Rows of every awkward kind."""
    logits = random_logits(10, vocab)
    logits[0, 17] = 40.0  # probability near 1
    logits[1] = -INF
    logits[1, [3, vocab - 1]] = 1.0  # a tie between tiles, and tiles of nothing
    logits[2] = 0.0
    logits[3, 512:] = -INF
    logits[4, :512] = -INF
    logits[5, 7] = 200.0  # all others underflow in float32
    logits[6] *= 30
    logits[7, 600:700] = logits[7].max() + 1
    return logits


def both(logits, temperature=1.0):
    need, heat = torch.ones(1, len(logits), dtype=torch.bool), torch.tensor([temperature])
    return (Prediction(logits, need, heat, fused=kind) for kind in (True, False))


def agree(one, other):
    """Equal arg-max, and statistics as close as float32 allows."""
    assert torch.equal(one.top1, other.top1)
    assert torch.equal(one.peak, other.peak)
    for name in ("confidence", "top2", "margin", "entropy"):
        torch.testing.assert_close(getattr(one, name), getattr(other, name), rtol=1e-5, atol=1e-6, msg=name)
    # Nearly certain positions are ordered by what is left of the probability.
    torch.testing.assert_close(one._log_total, other._log_total, rtol=2e-6, atol=1e-14)
    tokens = torch.zeros_like(one.top1)
    torch.testing.assert_close(one.logp(tokens), other.logp(tokens), rtol=1e-5, atol=1e-6)


@pytest.fixture
def defined(monkeypatch):
    """What runs is the definition itself."""
    monkeypatch.setattr(fused, "_compiled", lambda: fused.tile_sums)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("heat", [0.5, 1.0])
def test_the_definition_against_sums_in_float64(shape, heat):
    logits = random_logits(*shape)
    logits[0, : shape[1] // 2] = -INF
    count = -(-shape[1] // tiles.TILE)
    peaks, masses, slopes = fused.tile_sums(logits, torch.full((shape[0], count), heat))
    for i in range(count):
        tile = logits[:, i * tiles.TILE : (i + 1) * tiles.TILE].double()
        highest = tile.amax(dim=1)
        weights = ((tile - highest[:, None]) / heat).exp().nan_to_num(0.0)
        assert torch.equal(peaks[:, i].double(), highest)
        torch.testing.assert_close(masses[:, i], weights.sum(dim=1), rtol=1e-6, atol=0)
        torch.testing.assert_close(slopes[:, i], torch.xlogy(weights, weights).sum(dim=1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_predictions_are_those_of_the_plain_passes(defined, dtype):
    agree(*both(cases().to(dtype)))


@pytest.mark.parametrize("temperature", [0.0, 0.4, 1.0, 1e-30])
def test_draws_are_those_of_the_plain_passes(defined, temperature):
    logits, generator = cases(), torch.Generator().manual_seed(1)
    one, other = both(logits, temperature)
    drawn = torch.rand(20, 1, len(logits), dtype=torch.float64, generator=generator)
    for uniform in drawn:
        assert torch.equal(one.draw(uniform), other.draw(uniform))
    for edge in EDGES:
        tokens = one.draw(torch.full_like(drawn[0], edge))
        assert torch.isfinite(logits.gather(1, tokens.T)).all()


def test_an_impossible_first_tile_is_not_drawn(defined):
    logits = torch.zeros(1, 1200)
    logits[0, :512] = -120.0  # beyond float32 beside the others, and not in float64
    logits[0, 511] = -INF
    (prediction, _) = both(logits)
    assert prediction.draw(torch.full((1, 1), 1e-300, dtype=torch.float64)).item() == 512


def test_nan_is_seen(defined):
    logits = cases()
    logits[6, 4000] = float("nan")
    prediction, _ = both(logits)
    assert prediction.peak.isnan().tolist() == [i == 6 for i in range(len(logits))]
    assert prediction.confidence.isnan().sum() == prediction.entropy.isnan().sum() == 1


def test_what_is_made_of_a_fused_prediction_is_fused(defined):
    prediction, _ = both(random_logits(4, 600))
    made = [
        prediction.tempered(),
        prediction.filtered(top_k=3),
        prediction.without([1]),
        prediction.pick(torch.tensor([0]), 1),
    ]
    assert all(each.fused for each in made)


@pytest.mark.slow
def test_what_is_compiled_agrees_and_is_compiled_once_for_one_row_and_once_for_more():
    torch._dynamo.reset()
    counters.clear()
    logits, generator = cases(), torch.Generator().manual_seed(1)
    with torch.inference_mode():
        for dtype in (torch.float32, torch.bfloat16):
            for rows in (10, 3, 1, 7):
                agree(*both(logits[:rows].to(dtype).clone()))
        assert counters["stats"]["unique_graphs"] == 4
        for temperature in (1.0, 0.4):
            one, other = both(logits.clone(), temperature)
            for uniform in torch.rand(20, 1, len(logits), dtype=torch.float64, generator=generator):
                assert torch.equal(one.draw(uniform), other.draw(uniform))
        logits[6, 4000] = float("nan")
        prediction, _ = both(logits.clone())
        assert prediction.peak.isnan().tolist() == [i == 6 for i in range(len(logits))]
        assert prediction.entropy.isnan().sum() == 1
        assert counters["stats"]["unique_graphs"] == 4
