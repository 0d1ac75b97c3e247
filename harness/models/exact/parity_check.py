"""A joint whose tokens are uniform one by one and bound, group by group, by a parity check."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from harness.models.exact.joint import Joint


class ParityJoint(Joint):
    """Consecutive groups of `group` tokens, independent of each other, each uniform over sum ≡ 0 (mod V) but for noise.

    With η = 1 − (1 − noise)^group, a group is (1 − η) · uniform{sum ≡ 0} + η · uniform. So any `group − 1` tokens of a
    group are independent and uniform, and the check c = sum mod V is 0 with probability 1 − η + η / V.
    """

    def __init__(self, vocab: int, length: int, group: int, noise: float, device: torch.device) -> None:
        self.vocab, self.length, self.group, self.device = vocab, length, group, device
        eta = 1 - (1 - noise) ** group
        self.check = torch.full((vocab,), eta / vocab, dtype=torch.float64, device=device)
        self.check[0] += 1 - eta

    def conditionals(self, tokens: Tensor, masked: Tensor) -> Tensor:
        """Uniform, unless all other tokens of the group are visible: then the check decides."""
        tokens, masked = self._groups(tokens.where(~masked, 0)), self._groups(masked)  # (B, G, g)
        others = tokens.sum(-1, keepdim=True) - tokens
        decided = masked.sum(-1, keepdim=True) == masked.int()
        check = (others[..., None] + torch.arange(self.vocab, device=self.device)) % self.vocab  # (B, G, g, V)
        logp = torch.where(decided[..., None], self.check.log()[check], -math.log(self.vocab))
        return logp.flatten(1, 2)

    def log_prob(self, tokens: Tensor) -> Tensor:
        return self.check.log()[self._checks(tokens)].sum(-1) - self._free * math.log(self.vocab)

    def valid(self, tokens: Tensor) -> Tensor:
        return (self._checks(tokens) == 0).all(-1)

    def entropy(self) -> float:
        """That of the checks, and log V for each of the other `group − 1` tokens."""
        groups = self.length // self.group
        return groups * float(torch.special.entr(self.check).sum()) + self._free * math.log(self.vocab)

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        groups = self.length // self.group
        shape = (count, groups, self.group)
        tokens = torch.randint(self.vocab, shape, generator=generator, device=self.device)
        check = torch.multinomial(self.check, count * groups, replacement=True, generator=generator)
        tokens[..., -1] = (check.view(count, groups) - tokens[..., :-1].sum(-1)) % self.vocab
        return tokens.flatten(1)

    def pairs(self, tokens: Tensor) -> Tensor:
        """Each token beside the check of its group."""
        checks = self._checks(tokens).repeat_interleave(self.group, dim=1)
        return tokens * self.vocab + checks

    def pair_probabilities(self) -> Tensor:
        return (self.check / self.vocab).repeat(self.length, self.vocab)

    @property
    def _free(self) -> int:
        # Tokens that the checks leave free.
        return self.length - self.length // self.group

    def _groups(self, values: Tensor) -> Tensor:
        return values.reshape(len(values), -1, self.group)

    def _checks(self, tokens: Tensor) -> Tensor:
        # (N, G) the sum of each group, mod V.
        return self._groups(tokens).sum(-1) % self.vocab
