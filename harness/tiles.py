"""Passes over (N, V) logits of a large vocabulary: by tiles of it, and by blocks of rows that fit into the cache.

What is found for each tile (its highest logit, its probability mass) answers most questions without another pass. The
sum of a row never depends on how many rows there are, which a plain sum over a long row on several threads does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

TILE = 512
_BLOCK = {"cpu": 2**18, "cuda": 2**28}
"""Elements of a block of rows: about what the cache of each of a CPU's threads holds, and a small part of a GPU's
memory."""


def blocks(logits: Tensor) -> Iterator[slice]:
    """Slices of the rows of `logits` (N, V)."""
    rows, vocab = logits.shape
    threads = torch.get_num_threads() if logits.device.type == "cpu" else 1
    size = max(1, threads * _BLOCK.get(logits.device.type, 2**24) // vocab)
    for start in range(0, rows, size):
        yield slice(start, start + size)


def _by_tile(reduce: Callable[[Tensor], Tensor], values: Tensor) -> Tensor:
    """(N, ⌈V / TILE⌉): `reduce` over the last axis of each tile of `values` (N, V)."""
    whole = values.shape[1] // TILE * TILE
    parts = []
    if whole:
        parts.append(reduce(values[:, :whole].reshape(len(values), whole // TILE, TILE)))
    if whole < values.shape[1]:
        parts.append(reduce(values[:, whole:])[:, None])
    return torch.cat(parts, dim=1)


def _tile(values: Tensor, which: Tensor) -> Tensor:
    """(N, TILE), or (N, V) if that is narrower: the tile `which` (N,) of each row of `values` (N, V), −inf beyond the
    last column."""
    if values.shape[1] <= TILE:
        return values
    column = which[:, None] * TILE + torch.arange(TILE, device=values.device)
    inside = column < values.shape[1]
    return values.gather(1, column.clamp(max=values.shape[1] - 1)).masked_fill(~inside, float("-inf"))


def tile_peaks(logits: Tensor) -> Tensor:
    """(N, tiles): the highest logit of each tile; NaN where any is."""
    return _by_tile(lambda tile: tile.amax(dim=-1), logits)


def peaks(logits: Tensor, of_tiles: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The highest logit (N,), its token (N,) int64, the lowest id among equals, and the second highest logit (N,)."""
    # argmax() takes the first of equals on every device, which topk does not promise.
    which = of_tiles.argmax(dim=1)
    tile = _tile(logits, which)
    place = tile.argmax(dim=1)
    rest = tile.scatter(1, place[:, None], float("-inf")).amax(dim=1)
    elsewhere = of_tiles.scatter(1, which[:, None], float("-inf")).amax(dim=1)
    return of_tiles.amax(dim=1), which * TILE + place, torch.maximum(rest, elsewhere)


def add_up(values: Tensor) -> Tensor:
    """(N,) float64: the sum over the vocabulary of a block of `values` (N, V); tiles are added up in float64."""
    return _by_tile(lambda tile: tile.sum(dim=-1), values).sum(dim=1, dtype=torch.float64)


def tile_mass(logits: Tensor, peak: Tensor, divisor: Tensor | None = None) -> Tensor:
    """(N, tiles) float64: the sum of exp((logit − peak) / divisor) over each tile; `peak` and `divisor` are (N,), no
    divisor is 1."""
    parts = [torch.empty(0, -(-logits.shape[1] // TILE), dtype=torch.float64, device=logits.device)]
    for rows in blocks(logits):
        weights = _weights(logits[rows], peak[rows], None if divisor is None else divisor[rows])
        # In float64 within the tile too: beside a token of probability near 1, a float32 sum loses the others.
        parts.append(_by_tile(lambda tile: tile.sum(dim=-1, dtype=torch.float64), weights))
    return torch.cat(parts)


def total_slope(logits: Tensor, peak: Tensor) -> Tensor:
    """(N,) float64: the sum of w log w over the vocabulary, w = exp(logit − peak); `peak` is (N,)."""
    parts = [torch.empty(0, dtype=torch.float64, device=logits.device)]
    for rows in blocks(logits):
        below = _below(logits[rows], peak[rows])
        # Where the weight is 0 its logarithm must not be −inf; both terms are at least 0.
        below.clamp_(min=-1e4)
        parts.append(add_up(below.exp().mul_(below)))
    return torch.cat(parts)


class Passes(Protocol):
    """Passes over (N, V) logits, each made when it is first asked for."""

    @property
    def peaks(self) -> Tensor:
        """See `tile_peaks`."""

    def mass(self, peak: Tensor, divisor: Tensor | None = None) -> Tensor:
        """See `tile_mass`."""

    def slope(self, peak: Tensor) -> Tensor:
        """See `total_slope`."""


class Plain:
    """`Passes` by the functions above, which are their definition."""

    def __init__(self, logits: Tensor) -> None:
        self._logits = logits

    @cached_property
    def peaks(self) -> Tensor:
        """See `Passes`, also below."""
        return tile_peaks(self._logits)

    def mass(self, peak: Tensor, divisor: Tensor | None = None) -> Tensor:
        return tile_mass(self._logits, peak, divisor)

    def slope(self, peak: Tensor) -> Tensor:
        return total_slope(self._logits, peak)


def _below(logits: Tensor, peak: Tensor) -> Tensor:
    """(N, V), at least float32: logit − peak."""
    wide = logits.to(torch.promote_types(logits.dtype, torch.float32))
    return wide - peak.to(wide.dtype)[:, None]


def _weights(logits: Tensor, peak: Tensor, divisor: Tensor | None) -> Tensor:
    """(N, V), at least float32: exp((logit − peak) / divisor)."""
    below = _below(logits, peak)
    if divisor is not None:
        below.div_(divisor.to(below.dtype)[:, None])
    return below.exp_()


def inverse_cdf(logits: Tensor, uniform: Tensor, peak: Tensor, divisor: Tensor | None, mass: Tensor) -> Tensor:
    """(N,) int64: the first token whose cumulative probability under softmax(logits / divisor) exceeds `uniform` (N,)
    float64, for `logits` (N, V), `peak` and `divisor` (N,), and `mass = tile_mass(logits, peak, divisor)`.

    The mass of tiles is accumulated in float64, and so is the tile that the token is in: the tail is drawn with its
    true probability, without a float64 copy of the vocabulary.
    """
    ends = mass.cumsum(dim=1)
    total = ends[:, -1]
    target = torch.minimum(uniform.double() * total, torch.nextafter(total, torch.zeros_like(total)))
    which = torch.searchsorted(ends, target[:, None], right=True).squeeze(1).clamp(max=ends.shape[1] - 1)
    each = torch.arange(len(logits), device=logits.device)
    before = torch.where(which > 0, ends[each, (which - 1).clamp(min=0)], 0.0)
    weights = _weights(_tile(logits, which), peak, divisor)
    offset = torch.searchsorted(weights.double().cumsum(dim=1), (target - before)[:, None], right=True).squeeze(1)
    # Rounding may leave the target past the last positive weight of the tile: step back onto it.
    last = weights.shape[1] - 1 - (weights > 0).flip(-1).int().argmax(dim=1)
    return which * TILE + torch.minimum(offset, last)
