"""Fast-dLLM's caches (Wu et al. 2025, arXiv 2505.22618; NVlabs/Fast-dLLM): keys and values of earlier calls."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from harness.models.base import Inputs
from harness.models.text.network import TextNetwork


class Work(NamedTuple):
    """What a call computed.

    hidden  (B, L, width)  hidden states, zero where they were not computed
    tokens  (B,) int64     positions computed, in the mean over the layers, rounded up
    flops   (B,) float64   FLOPs of the layers
    """

    hidden: Tensor
    tokens: Tensor
    flops: Tensor


class Store:
    """Vectors of the positions of a batch: (B, L, …), made when the first are kept, zero until then."""

    def __init__(self, rows: int, length: int) -> None:
        self._rows, self._length = rows, length
        self._all: Tensor | None = None

    def keep(self, rows: Tensor, places: Tensor, vectors: Tensor) -> None:
        """Remember `vectors` (R, Q, …) of `rows` (R,) at `places` (R, Q)."""
        if self._all is None:
            self._all = vectors.new_zeros(self._rows, self._length, *vectors.shape[2:])
        self._all[rows[:, None], places] = vectors

    def of(self, rows: Tensor) -> Tensor:
        """(R, L, …): all of the `rows` (R,)."""
        assert self._all is not None
        return self._all[rows]


class KeyValues:
    """Keys, as they are rotated, and values of each layer."""

    def __init__(self, network: TextNetwork, rows: int, length: int) -> None:
        self.keys, self.values = ([Store(rows, length) for _ in network.layers] for _ in range(2))

    def update(self, layer: int, rows: Tensor, places: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """All keys and values (R, heads, L, size) of `rows`, after those (R, heads, Q, size) at `places` are kept."""
        keys, values = self.keys[layer], self.values[layer]
        keys.keep(rows, places, key.transpose(1, 2).to(value.dtype))
        values.keep(rows, places, value.transpose(1, 2))
        return keys.of(rows).transpose(1, 2), values.of(rows).transpose(1, 2)


class BlockMemory:
    """At the first call of a block all positions are computed; at the others only the block's own (`dual`), or all from
    its first on, which then attend to the keys and values that the rest had at the first call.

    With `before`, the position before the block is computed as well while it has to predict the block's first.
    """

    def __init__(self, network: TextNetwork, rows: int, length: int, dual: bool, before: bool) -> None:
        self._network, self._dual, self._before = network, dual, before
        self._pairs = KeyValues(network, rows, length)
        self._first = torch.full((rows,), -1, device=network.device)

    def forget(self, rows: Tensor) -> None:
        """See `Memory.forget`."""
        self._first = self._first.masked_fill(rows, -1)

    def run(self, inputs: Inputs, mask: Tensor | None, need: Tensor, block: Tensor) -> Work:
        """Hidden states of the block at least, of the rows with anything in `need` (B, L) bool."""
        rows = need.any(dim=1)
        place = torch.arange(block.shape[1], device=block.device)
        first = block.to(torch.int8).argmax(dim=1)
        new = rows & (first != self._first)
        self._first = torch.where(rows, first, self._first)
        own = block if self._dual else place >= first[:, None]
        if self._before:
            asked = need.gather(1, first[:, None])
            own = own | (asked & (place == first[:, None] - 1))
        own = own & inputs.valid & rows[:, None]
        hidden = self._network.head.weight.new_zeros(*block.shape, self._network.shape.width)
        computed = torch.where(new[:, None], inputs.valid, own)
        for part in (new, rows & ~new):
            if (index := part.nonzero().squeeze(1)).numel():
                places = places_of(computed[index])
                hidden[index[:, None], places] = self._states(inputs, mask, index, places)
        tokens, keys = computed.sum(dim=1), inputs.valid.sum(dim=1)
        return Work(hidden, tokens, self._network.shape.layers * self._network.layer_flops(tokens, keys))

    def _states(self, inputs: Inputs, mask: Tensor | None, rows: Tensor, places: Tensor) -> Tensor:
        """(R, Q, width): hidden states of `rows` (R,) at `places` (R, Q)."""

        def recall(layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
            return self._pairs.update(layer, rows, places, key, value)

        x = self._network.embed_tokens(inputs.tokens[rows].gather(1, places))
        rotation = self._network.rotation(x, inputs.positions[rows].gather(1, places))
        return self._network.run(x, rotation, None if mask is None else mask[rows], recall=recall)


def places_of(where: Tensor) -> Tensor:
    """(R, Q) int64: the positions of `where` (R, L) bool in ascending order; a row with fewer than Q repeats its first,
    so that what is computed twice is the same."""
    count = where.sum(dim=1, keepdim=True)
    order = (~where).to(torch.int8).argsort(dim=1, stable=True)[:, : int(count.max())]
    return torch.where(torch.arange(order.shape[1], device=order.device) < count, order, order[:, :1])


def take(vectors: Tensor, places: Tensor) -> Tensor:
    """(R, Q, width): `vectors` (R, L, width) at `places` (R, Q)."""
    return vectors.gather(1, places[:, :, None].expand(-1, -1, vectors.shape[2]))
