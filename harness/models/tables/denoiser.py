"""`table`: masked diffusion of the rows of a table, with or without a learned order of its columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.functional import pad

from harness.errors import UserError
from harness.models.base import Inputs, Row
from harness.models.tables.network import TableConfig, TableTransformer, forward_flops
from harness.models.weights_file import filled
from harness.task import Output, Request


def table(*, weights: str = "table_digits", device: str = "cpu") -> TableDenoiser:
    """The model with shipped weights, or with those of a training of one's own by path of its `.safetensors` file."""
    return TableDenoiser(load_network(weights).to(device))


def load_network(weights: str) -> TableTransformer:
    """The network of weights by name or path."""
    return filled(weights, TableConfig, TableTransformer)


class TableDenoiser:
    """A `TableTransformer` behind the protocol `Denoiser`. Its rows carry the schedule, unless that is one of values,
    which no position has before it is drawn."""

    length_bucket = 1
    eos_ids: frozenset[int] = frozenset()

    def __init__(self, network: TableTransformer) -> None:
        self.network = network
        self.mask_id = network.config.mask_id
        self.vocab_size = self.mask_id + 1
        self.device = network.head.weight.device
        rates = network.log_rates().detach()
        self.schedule = tuple(rates.double().tolist()) if rates.dim() == 1 else None
        self.capabilities = frozenset({"positions"} if self.schedule is None else {"positions", "schedule"})

    def encode(self, request: Request) -> Row:
        """An empty row of the table; UserError for a prompt, a condition, or another length."""
        length = len(self.network.config.names)
        if request.prompt is not None or request.condition or request.length not in (None, length):
            raise UserError(
                f"document {request.document!r}: the model 'table' takes neither a prompt nor a condition, and this "
                f"one makes rows of {length} columns."
            )
        return Row((self.mask_id,) * length, (True,) * length, schedule=self.schedule)

    def decode(self, tokens: Sequence[int]) -> Output:
        """The tokens, and what they stand for as `column: value` lines."""
        config = self.network.config
        columns = zip(config.names, config.labels, tokens, strict=True)
        lines = [f"{name}: {labels[token]}" for name, labels, token in columns]
        return Output(tokens=tuple(tokens), text="\n".join(lines))

    def logits(self, inputs: Inputs, index: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        """(N, V + 1) float32 log-probabilities at the flat positions `index` (N,); −inf at the mask id and at what
        the column has not."""
        positions = inputs.positions.clamp(max=len(self.network.config.names) - 1)
        with torch.inference_mode():
            logp = self.network(inputs.tokens, positions, inputs.valid)
        return pad(logp.flatten(0, 1)[index], (0, 1), value=float("-inf")), {}

    def unconditional(self, inputs: Inputs) -> Inputs:
        """Always raises UserError: there is no condition to drop."""
        raise UserError("the model 'table' has no condition, so guidance must be 0.")

    def flops(self, tokens: Tensor, predicted: Tensor) -> Tensor:
        """(B,) float64: FLOPs of one sequence-forward of `tokens` (B,) columns; the head runs at all of them."""
        return forward_flops(self.network.config, tokens)
