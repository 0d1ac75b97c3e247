"""Answers of the network that serve more than one row: samplers and budgets of a sweep often ask the same of it.

The first canvas of a document is the same for all of them, and so are later ones for as long as their choices coincide.
A row that is served by another's answer is charged as if it had run alone.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from hashlib import blake2b
from typing import NamedTuple

import torch
from torch import Tensor

from harness.prediction import Query

_BYTES = 2**29
"""Of answers that are kept on a CPU."""
_PART = 10
"""Of a GPU's memory, one part in so many is for answers."""


class Forwards(NamedTuple):
    """Sequence-forwards of samplers: as they were `charged` to samples, and as the network `computed` them."""

    charged: int = 0
    computed: int = 0

    def plus(self, other: Forwards) -> Forwards:
        """The sum, entry by entry."""
        return Forwards(self.charged + other.charged, self.computed + other.computed)

    def minus(self, other: Forwards) -> Forwards:
        """The difference, entry by entry."""
        return Forwards(self.charged - other.charged, self.computed - other.computed)


class Sharing:
    """The last answers by what was asked, so many as `limit` bytes hold, and a count of all forward passes.

    Shared are plain questions: of logits at the same positions, with all that the network reads the same, in a batch of
    the same shape, so that they are the same bits as those of a row that runs alone.

    useful  whether anything is looked up and kept; else it only counts
    """

    def __init__(self, device: torch.device, limit: int | None = None) -> None:
        self._limit = _limit(device) if limit is None else limit
        self.useful = True
        self._size = 0
        self._answers: OrderedDict[bytes, Tensor] = OrderedDict()
        # Counted on the device, so that counting waits for nothing.
        self._charged = torch.zeros((), dtype=torch.int64, device=device)
        self._computed = torch.zeros_like(self._charged)

    @property
    def forwards(self) -> Forwards:
        """What was charged and computed so far; waits for the device."""
        return Forwards(int(self._charged), int(self._computed))

    def __contains__(self, key: bytes) -> bool:
        return key in self._answers

    def take(self, keys: Sequence[bytes]) -> Tensor:
        """(N, V): the answers to these questions, one after the other."""
        for key in keys:
            self._answers.move_to_end(key)
        return torch.cat([self._answers[key] for key in keys])

    def keep(self, answers: Mapping[bytes, Tensor]) -> None:
        """Keep these answers, and drop those that were not used for longest where there are too many."""
        for key, logits in answers.items():
            if key not in self._answers:
                # A copy: a part of the batch's logits would keep all of them in memory.
                self._answers[key] = logits.clone()
                self._size += logits.nbytes
        while self._size > self._limit:
            self._size -= self._answers.popitem(last=False)[1].nbytes

    def count(self, forwards: Tensor, served: bool) -> None:
        """Count the sequence-forwards `forwards` (B,) of one call, which was `served` from here or ran."""
        total = forwards.sum()
        self._charged += total
        if not served:
            self._computed += total

    def begin(self, rows: Collection[int]) -> None:
        """Before jobs, each given by the number of its row: answers are of use where two begin alike."""
        self.useful = len(set(rows)) < len(rows)

    def clear(self) -> None:
        """Drop all answers; what was counted stays."""
        self._answers.clear()
        self._size = 0


def questions(query: Query, need: Tensor, facts: Sequence[bytes]) -> dict[int, tuple[bytes, int]]:
    """Of each row of the query that needs anything, what is asked and at how many positions; nothing where the query
    asks for more than logits, or gives more than tokens. `facts` are those of the canvas's rows (`RowEncoder.facts`).
    """
    given = (query.positions, query.valid, query.attention_bias, query.time, query.guidance, query.start)
    if query.outputs or any(value is not None for value in given):
        return {}
    # One copy to the host for the whole batch.
    rows = torch.cat([query.tokens, need.to(query.tokens.dtype)], dim=1).cpu().numpy()
    length = need.shape[1]
    found = {}
    for i, row in enumerate(rows):
        if count := int(row[length:].sum()):
            asked = b"%d %d " % rows.shape + facts[i // query.copies] + row.tobytes()
            found[i] = blake2b(asked, digest_size=16).digest(), count
    return found


def _limit(device: torch.device) -> int:
    if device.type != "cuda":
        return _BYTES
    return int(torch.cuda.get_device_properties(device).total_memory // _PART)
