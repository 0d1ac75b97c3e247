"""Passes by tiles and blocks against plain ones in float64, and rows that depend on themselves alone."""

import pytest
import torch

from harness import tiles

SHAPES = [(1, 1), (3, 5), (4, 512), (5, 513), (2, 4096), (3, 5000)]
INF = float("inf")


@pytest.fixture(params=SHAPES, ids=str)
def logits(request):
    return 4 * torch.randn(request.param, generator=torch.Generator().manual_seed(0))


def test_peaks_are_the_two_highest(logits):
    best, token, second = tiles.peaks(logits, tiles.tile_peaks(logits))
    ordered = logits.sort(dim=1, descending=True)
    assert torch.equal(best, ordered.values[:, 0])
    assert torch.equal(token, ordered.indices[:, 0])
    expected = ordered.values[:, 1] if logits.shape[1] > 1 else torch.full_like(best, -INF)
    assert torch.equal(second, expected)


@pytest.mark.parametrize(("equal", "first"), [([3, 4], 3), ([511, 512], 511), ([600, 1700], 600), ([1999, 40], 40)])
def test_of_equals_the_lowest_token_comes_first(equal, first):
    logits = torch.full((1, 2000), -INF)
    logits[:, equal] = 2.5
    best, token, second = tiles.peaks(logits, tiles.tile_peaks(logits))
    assert (best.item(), token.item(), second.item()) == (2.5, first, 2.5)


@pytest.mark.parametrize("divisor", [0.3, 1.0, 2.0])
def test_mass_is_the_sum_of_the_weights(logits, divisor):
    peak = logits.amax(dim=1)
    mass = tiles.tile_mass(logits, peak, torch.full_like(peak, divisor))
    weights = ((logits - peak[:, None]).double() / divisor).exp()
    torch.testing.assert_close(mass.sum(dim=1), weights.sum(dim=1), rtol=1e-5, atol=0)
    assert mass.shape == (len(logits), -(-logits.shape[1] // tiles.TILE))
    if divisor == 1:
        assert torch.equal(tiles.tile_mass(logits, peak), mass)
    torch.testing.assert_close(mass[:, 0], weights[:, : tiles.TILE].sum(dim=1), rtol=1e-5, atol=0)


@pytest.mark.parametrize("block", [1, 10_000, 2**30])
def test_rows_are_the_same_in_blocks_of_every_size(monkeypatch, block):
    logits = torch.randn(7, 40_000, generator=torch.Generator().manual_seed(1))
    peak = logits.amax(dim=1)
    alone = [tiles.tile_mass(logits[i : i + 1], peak[i : i + 1]).sum(dim=1) for i in range(7)]
    monkeypatch.setitem(tiles._BLOCK, "cpu", block)
    assert torch.equal(tiles.tile_mass(logits, peak).sum(dim=1), torch.cat(alone))


def test_an_empty_batch_has_no_rows():
    logits = torch.empty(0, 600)
    best, token, second = tiles.peaks(logits, tiles.tile_peaks(logits))
    assert (len(best), len(token), len(second)) == (0, 0, 0)
    assert tiles.tile_mass(logits, best).shape == (0, 2)
