"""Cells of neighbouring codes, in which some networks work, and what stands beside the picture.

A token beside the picture (the shadow of WINO) has a cell of its own: that of its position id, with the token in the
place of the code there. So it is the cell as it would be if that one code were another.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Cells:
    """C cells of m codes each, of N tokens; the first axis is the row, or 1 where all rows are alike.

    members  (…, C, m) int64: the tokens in a cell, row by row
    places   (…, C, 2) int64: row and column of a cell
    homes    (…, N) int64: where a token is among the C * m members
    bias     (B, C, C) added to the scores of attention; None = every cell sees all
    """

    members: Tensor
    places: Tensor
    homes: Tensor
    bias: Tensor | None = None


def cells_of(grid: tuple[int, int], side: int, device: torch.device) -> Cells:
    """The cells of `side` x `side` codes of a picture of `grid` codes."""
    rows, columns = grid[0] // side, grid[1] // side
    tokens = torch.arange(grid[0] * grid[1], device=device).view(rows, side, columns, side)
    members = tokens.permute(0, 2, 1, 3).reshape(rows * columns, side**2)
    places = torch.cartesian_prod(torch.arange(rows, device=device), torch.arange(columns, device=device))
    return Cells(members[None], places[None], members.flatten().argsort()[None])


def beside(cells: Cells, positions: Tensor, bias: Tensor | None, valid: Tensor) -> Cells:
    """With the tokens behind the N of the picture: `positions` (B, N + S) int64, `bias` (B, N + S, N + S) of tokens,
    and which are `valid` (B, N + S).

    A cell sees another where all that is read of it, the codes of the picture or the one token, may see all the tokens
    that are in the other: so nothing that is hidden from a token reaches it by way of its neighbours.
    """
    size, (rows, length) = cells.homes.shape[1], positions.shape
    count, width = cells.members.shape[1:]
    homes = cells.homes[0, positions[:, size:]]
    own = torch.arange(size, length, device=positions.device).expand_as(homes)
    members = cells.members[0, homes // width].scatter(2, (homes % width)[..., None], own[..., None])
    members = torch.cat([cells.members.expand(rows, -1, -1), members], dim=1)
    places = torch.cat([cells.places.expand(rows, -1, -1), cells.places[0, homes // width]], dim=1)
    homes = torch.cat([cells.homes.expand(rows, -1), (own - size + count) * width + homes % width], dim=1)
    seen = torch.zeros(rows, 1, length, device=valid.device).masked_fill(~valid[:, None], float("-inf"))
    seen = seen.expand(-1, length, -1) if bias is None else seen + bias.float()
    reading = torch.cat([_least(seen, cells.members.expand(rows, -1, -1), 1), seen[:, size:]], dim=1)
    return Cells(members, places, homes, _least(reading, members, 2))


def _least(bias: Tensor, members: Tensor, axis: int) -> Tensor:
    """The `bias` with cells in the place of tokens along `axis`, the least of their members'."""
    index = members[:, :, None] if axis == 1 else members[:, None]
    shape = [-1, -1, bias.shape[2]] if axis == 1 else [-1, bias.shape[1], -1]
    least = None
    for member in range(members.shape[2]):
        found = bias.gather(axis, index[..., member].expand(shape))
        least = found if least is None else torch.minimum(least, found)
    assert least is not None
    return least
