"""What samplers that read attention maps share."""

from __future__ import annotations

import torch
from torch import Tensor


def last_layers(attention: Tensor, share: float) -> Tensor:
    """(B, L, L): `attention` (B, layers, L, L) averaged over the last `share` of the layers, rounded up, one at
    least."""
    depth = attention.shape[1]
    return attention[:, min(int(depth * (1 - share)), depth - 1) :].mean(dim=1)


def independent_set(conflict: Tensor, rank: Tensor, where: Tensor) -> Tensor:
    """(B, L) bool: the positions of `where` taken greedily by `rank` (B, L), lowest first, where position i is left out
    if `conflict[b, i, j]` for a j taken before it.

    What the walk through the ranks would give, in rounds: each takes all positions that nothing undecided of a lower
    rank can still exclude, of which there is always one.
    """
    blocks = conflict & (rank[:, None] < rank[:, :, None])
    taken, open_ = torch.zeros_like(where), where
    while open_.any():
        open_ = open_ & ~(blocks & taken[:, None]).any(dim=2)
        free = open_ & ~(blocks & open_[:, None]).any(dim=2)
        taken, open_ = taken | free, open_ & ~free
    return taken
