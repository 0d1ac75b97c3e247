"""What a sample cost, counted by the harness and nobody else."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Cost:
    """Cost of one sample, as if it had run alone. None = unknown, never zero.

    depth           dependent model calls (conditional and unconditional forwards of one call are parallel)
    nfe             sequence-forwards made; guidance counts 2 a call
    nfe_nominal     sequence-forwards that the published algorithm makes, without exact skips
    token_forwards  tokens fed to the network over all forwards, prompt included, padding not
    flops           analytic FLOPs of these forwards
    output_tokens   generated tokens, none after the first EOS
    """

    depth: int
    nfe: int
    nfe_nominal: int | None
    token_forwards: int
    flops: float | None
    output_tokens: int

    def as_dict(self) -> dict[str, int | float | None]:
        return asdict(self)


class Meter:
    """Running counts of a batch: every tensor is (B,), one entry a slot."""

    def __init__(self, slots: int, device: torch.device) -> None:
        self.depth = torch.zeros(slots, dtype=torch.int64, device=device)
        self.nfe = torch.zeros_like(self.depth)
        self.token_forwards = torch.zeros_like(self.depth)
        self.flops = torch.zeros(slots, dtype=torch.float64, device=device)

    def charge(self, rows: Tensor, forwards: Tensor, tokens: Tensor, flops: Tensor | None, copies: int = 1) -> None:
        """Charge one call to its canvas rows. Each argument is (B * copies,), `copies` query rows for a canvas row:
        `rows` bool those that were served, `forwards` sequence-forwards of each, of `tokens` tokens and `flops`."""
        forwards = torch.where(rows, forwards, 0)

        def fold(values: Tensor) -> Tensor:
            return values.view(-1, copies).sum(dim=1)

        self.depth += rows.view(-1, copies).any(dim=1)
        self.nfe += fold(forwards)
        self.token_forwards += fold(forwards * tokens)
        if flops is None:
            self.flops.fill_(torch.nan)
        else:
            self.flops += fold(forwards * flops)

    def reset(self, rows: Tensor) -> None:
        """Start the `rows` (B,) bool from zero."""
        for counts in (self.depth, self.nfe, self.token_forwards, self.flops):
            counts.masked_fill_(rows, 0)
