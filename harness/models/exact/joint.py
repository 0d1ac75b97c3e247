"""What a known joint distribution over token sequences can tell exactly."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

ENUMERABLE = 2**16
"""The most states that `Joint.enumerate` will list."""


class Joint(ABC):
    """A distribution over sequences of `length` tokens in [0, `vocab`), with every quantity computed exactly.

    All probabilities are positive: whatever has been committed, every conditional is defined.
    """

    vocab: int
    length: int
    device: torch.device

    @property
    def space(self) -> int:
        """Number of sequences, `vocab ** length`."""
        return int(self.vocab**self.length)

    @abstractmethod
    def conditionals(self, tokens: Tensor, masked: Tensor) -> Tensor:
        """(B, L, V) float64 log p(x_i | visible tokens other than i), for `tokens` (B, L) int64, `masked` (B, L) bool.

        A visible position gets its leave-one-out conditional: its own token is not part of the evidence. Tokens at
        masked positions are not read. A row of the result depends, bit for bit, on that row alone.
        """

    @abstractmethod
    def log_prob(self, tokens: Tensor) -> Tensor:
        """(N,) float64, nats: log-probability of complete sequences (N, L)."""

    @abstractmethod
    def entropy(self) -> float:
        """Entropy of the joint in nats."""

    @abstractmethod
    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """(count, L) int64: independent exact samples."""

    @abstractmethod
    def valid(self, tokens: Tensor) -> Tensor:
        """(N,) bool: whether sequences (N, L) are possible under the noise-free joint."""

    @abstractmethod
    def pairs(self, tokens: Tensor) -> Tensor:
        """(N, F) int64 in [0, V²): the values of the F pairs of variables that carry the joint's structure."""

    @abstractmethod
    def pair_probabilities(self) -> Tensor:
        """(F, V²) float64: the exact distribution of each of `pairs`."""

    def index(self, tokens: Tensor) -> Tensor:
        """(N,) int64: the place of sequences (N, L) in `enumerate`."""
        place = self.vocab ** torch.arange(self.length - 1, -1, -1, device=tokens.device)
        return (tokens * place).sum(-1)

    def enumerate(self) -> tuple[Tensor, Tensor]:
        """All sequences (space, L) int64 in lexicographic order, and their probabilities (space,) float64.

        Raises ValueError where the space has more than `ENUMERABLE` sequences.
        """
        if self.space > ENUMERABLE:
            raise ValueError(f"{self.vocab}**{self.length} sequences are too many to enumerate (limit {ENUMERABLE})")
        values = torch.arange(self.vocab, device=self.device)
        states = torch.cartesian_prod(*[values] * self.length).view(-1, self.length)
        return states, self.log_prob(states).exp()


def fold_sum(values: Tensor) -> Tensor:
    """Sum over the first axis by folding it in half: elementwise adds only.

    A reduction kernel may choose its order of summation by the shape of the whole batch; this order never changes.
    """
    while (size := values.shape[0]) > 1:
        half = size // 2
        folded = values[:half] + values[half : 2 * half]
        values = torch.cat([folded, values[2 * half :]]) if size % 2 else folded
    return values[0]
