"""A small bidirectional transformer over the columns of a table, which carries the masking schedule of its columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from harness.models.transformer import Block, TransformerConfig, initialise

METHODS = ("uniform", "order_space", "rloo", "genmd4")


@dataclass(frozen=True)
class TableConfig:
    """Sizes of a `TableTransformer`, and the table that it knows.

    names     of the columns
    labels    what the tokens of each stand for
    data, bins, split  what `load_table` makes the table from
    digest    of the table
    method    how the rates were learnt: not at all (`uniform`), those of columns (`order_space`, `rloo`), or those of
              each column's values (`genmd4`)
    """

    names: Sequence[str]
    labels: Sequence[Sequence[str]]
    data: str
    bins: int
    split: int
    digest: str
    method: str
    width: int
    depth: int
    heads: int
    dropout: float = 0.0

    @property
    def sizes(self) -> list[int]:
        """Tokens of each column."""
        return [len(labels) for labels in self.labels]

    @property
    def mask_id(self) -> int:
        return max(self.sizes)


class TableTransformer(nn.Module):
    """Log-probabilities of every column given all the others. It does not read the time.

    Each value of each column has an embedding and a row of the head of its own. A masked column has only that of its
    place.
    """

    codes: Tensor
    absent: Tensor

    def __init__(self, config: TableConfig) -> None:
        super().__init__()
        self.config = config
        sizes = torch.tensor(config.sizes)
        values, total = torch.arange(config.mask_id), int(sizes.sum())
        absent = values >= sizes[:, None]
        # (L, V): the place of each value in the embedding and the head; any for a value that the column has not.
        codes = ((sizes.cumsum(0) - sizes)[:, None] + values).masked_fill(absent, 0)
        self.register_buffer("codes", codes, persistent=False)
        self.register_buffer("absent", absent, persistent=False)
        self.value = nn.Embedding(total + 1, config.width)
        self.column = nn.Embedding(len(sizes), config.width)
        sizes_of_block = TransformerConfig(
            total, len(sizes), 0, config.width, config.depth, config.heads, config.dropout
        )
        self.blocks = nn.ModuleList(Block(sizes_of_block) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, total, bias=False)
        initialise(self, config.depth)
        rates = torch.zeros(absent.shape if config.method == "genmd4" else absent.shape[:1])
        self.schedule = nn.Parameter(rates)

    def forward(self, tokens: Tensor, positions: Tensor, valid: Tensor) -> Tensor:
        """(B, L, V) log-probabilities, −inf at what the column has not.

        tokens     (B, L) int64, `mask_id` where unknown
        positions  (B, L) int64, the column of each
        valid      (B, L) bool, False = padding, which no position attends to
        """
        masked = tokens == self.config.mask_id
        code = self.codes[positions, tokens.masked_fill(masked, 0)]
        x = self.value(code.masked_fill(masked, self.head.out_features)) + self.column(positions)
        attended = valid[:, None, None, :]
        for block in self.blocks:
            x = block(x, attended)
        logits = self.head(self.norm(x)).gather(-1, self.codes[positions])
        logp: Tensor = logits.masked_fill(self.absent[positions], float("-inf")).log_softmax(-1)
        return logp

    def log_rates(self) -> Tensor:
        """Log w of each column (L,), or of each value (L, V), where α = 1 − t^w. Their mean is 0: a common factor is a
        change of clock, which the bound does not see, and along which the rates would drift."""
        if self.config.method == "uniform":
            return torch.zeros_like(self.schedule)
        if self.config.method != "genmd4":
            return self.schedule - self.schedule.mean()
        present = self.schedule.masked_fill(self.absent, 0.0)
        mean = present.sum() / (~self.absent).sum()
        return (present - mean).masked_fill(self.absent, 0.0)


def forward_flops(config: TableConfig, tokens: Tensor) -> Tensor:
    """(B,) float64: FLOPs of one forward over `tokens` (B,) columns; a multiply-add is two, matrix products only."""
    length = tokens.double()
    block = 2 * 12 * config.width**2 * length + 4 * config.width * length**2
    return config.depth * block + 2 * config.width * sum(config.sizes) * length
