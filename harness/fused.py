"""One pass over (N, V) logits of a large vocabulary, compiled, in place of the several of `harness/tiles.py`.

Inductor makes one loop of `tile_sums` (on CUDA one Triton kernel): each logit is read once, and nothing of the size of
the vocabulary is written. It rounds otherwise than the plain passes do, so that now and then a draw falls on a
neighbour: it is for models that were asked to be compiled, whose cells say so.
"""

from __future__ import annotations

from functools import cache, cached_property
from typing import Any

import torch
from torch import Tensor

from harness.tiles import TILE

_FAINT = -80.0
"""Tiles whose highest weight has a lower logarithm count nothing: `inverse_cdf` finds no float32 weight in them."""


def tile_sums(logits: Tensor, divisor: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of each tile of `logits` (N, V), at the temperatures `divisor` (N, tiles), three of (N, tiles): the highest
    logit, and in float64 the sum of the weights w = exp(b), b = (logit − highest) / divisor, and that of w b.

    Where all of a tile are −inf the sums are 0; where one is NaN all three are. This is the definition: what runs is
    compiled from it.
    """
    whole = logits.shape[1] // TILE * TILE
    parts = [logits[:, :whole].view(-1, whole // TILE, TILE)] if whole else []
    parts += [logits[:, None, whole:]] if whole < logits.shape[1] else []
    found, start = [], 0
    for part in parts:
        found.append(_of_tile(part, divisor[:, start : start + part.shape[1]]))
        start += part.shape[1]
    peaks, masses, slopes = (torch.cat(each, dim=1) for each in zip(*found, strict=True))
    return peaks, masses, slopes


def _of_tile(tile: Tensor, divisor: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The three of tiles (N, k, TILE or fewer)."""
    tile_peak = tile.amax(dim=-1)
    wide = tile.to(torch.promote_types(tile.dtype, torch.float32))
    peak = torch.where(tile_peak == float("-inf"), 0.0, tile_peak).to(wide.dtype)
    below = (wide - peak[:, :, None]) / divisor[:, :, None]
    weight = below.exp()
    # In float64 within the tile too: beside a token of probability near 1, a float32 sum loses the others.
    mass = weight.sum(dim=-1, dtype=torch.float64)
    # Where the weight is 0 its logarithm must not be −inf.
    return tile_peak, mass, (weight * below.clamp(min=-1e4)).sum(dim=-1, dtype=torch.float64)


class Fused:
    """`harness.tiles.Passes` by one compiled pass for each temperature that is asked for."""

    def __init__(self, logits: Tensor) -> None:
        self._logits = logits

    @cached_property
    def _sums(self) -> tuple[Tensor, Tensor, Tensor]:
        return self._at(torch.ones(len(self._logits), device=self._logits.device))

    @property
    def peaks(self) -> Tensor:
        """See `Passes`, also below."""
        return self._sums[0]

    def mass(self, peak: Tensor, divisor: Tensor | None = None) -> Tensor:
        peaks, mass, _ = self._sums if divisor is None else self._at(divisor)
        return mass * _scale(_gap(peaks, peak) if divisor is None else _gap(peaks, peak) / divisor.double()[:, None])

    def slope(self, peak: Tensor) -> Tensor:
        peaks, mass, slope = self._sums
        gap = _gap(peaks, peak)
        return ((slope + gap * mass) * _scale(gap)).sum(dim=1)

    def _at(self, divisor: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The sums at temperatures (N,)."""
        with torch.inference_mode():
            wide = divisor.to(torch.promote_types(self._logits.dtype, torch.float32))[:, None]
            # One for each tile: with one for each row, Inductor makes several loops, which take three times as long.
            each = wide.expand(-1, -(-self._logits.shape[1] // TILE)).contiguous()
            # How many positions are masked changes with every step.
            torch._dynamo.maybe_mark_dynamic(self._logits, 0)
            torch._dynamo.maybe_mark_dynamic(each, 0)
            sums: tuple[Tensor, Tensor, Tensor] = _compiled()(self._logits, each)
            return sums


def _gap(peaks: Tensor, peak: Tensor) -> Tensor:
    """(N, tiles) float64: by how much the highest logits `peaks` of tiles exceed the row's, `peak` (N,)."""
    return (peaks.double() - peak.double()[:, None]).clamp(min=-1e4)


def _scale(gap: Tensor) -> Tensor:
    return gap.exp().masked_fill(gap < _FAINT, 0.0)


@cache
def _compiled() -> Any:
    return torch.compile(tile_sums, fullgraph=True, dynamic=False)
