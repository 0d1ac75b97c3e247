"""The one door of a generator to its network: runs it, applies guidance, refuses NaN, and charges."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from harness.canvas import Canvas
from harness.engine.cost import Meter
from harness.engine.proxy import ModelError
from harness.models.base import Network


class CountingDoor:
    """`count` for the rows of `requests`; `guided` mixes in the unconditional prediction, each row at its scale."""

    def __init__(self, model: Network, meter: Meter, requests: Canvas, guided: bool) -> None:
        self._model = model
        self._meter = meter
        self._requests = requests
        self._guided = guided

    def __call__(self, rows: Tensor | None = None, **inputs: Tensor) -> Tensor:
        """What the network makes of `inputs`, whose first axis is the row: those of `requests`, or as many copies of
        each as is wanted, one after the other. Its condition is that of the requests.

        Only `rows` (bool, the first axis alone), by default all, are charged; the others' output means nothing.
        """
        requests = self._requests
        count = len(next(iter(inputs.values())))
        copies = count // len(requests.tokens)
        rows = torch.ones(count, dtype=torch.bool, device=requests.tokens.device) if rows is None else rows
        condition = {name: value.repeat_interleave(copies, dim=0) for name, value in requests.condition.items()}
        output = self._forward(condition, inputs, requests.guidance.repeat_interleave(copies))
        self._refuse_nan(rows & output.isnan().flatten(1).any(dim=1), copies)
        tokens, flops = self._model.work(inputs)
        forwards = torch.full_like(tokens, 2 if self._guided else 1)
        self._meter.charge(rows, forwards, tokens, flops, copies)
        return output

    def _forward(self, condition: Mapping[str, Tensor], inputs: Mapping[str, Tensor], scale: Tensor) -> Tensor:
        if not self._guided:
            return self._model.network(condition, inputs)
        null = self._model.null(condition)
        both = self._model.network(_twice(condition, null), _twice(inputs, inputs))
        conditional, unconditional = both.chunk(2)
        scale = scale.view(-1, *[1] * (conditional.dim() - 1)).to(conditional.dtype)
        mixed = unconditional + (1 + scale) * (conditional - unconditional)
        # −inf − (−inf) is NaN: a token outside the vocabulary stays outside.
        return torch.where(conditional == float("-inf"), conditional, mixed)

    def _refuse_nan(self, bad: Tensor, copies: int) -> None:
        if bad.any():
            row = int(bad.nonzero()[0]) // copies
            document, sample = int(self._requests.document[row]), int(self._requests.sample[row])
            raise ModelError(f"the network's output is NaN at row {row}: document key {document}, sample {sample}")


def _twice(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: torch.cat([value, second[name]]) for name, value in first.items()}
