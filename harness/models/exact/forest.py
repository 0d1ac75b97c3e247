"""Joints whose tokens form a forest: each depends on one earlier token at most (Markov chain, tree, independent)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from harness.models.exact.joint import Joint, fold_sum

_LEAST = 1e-100
"""Messages are scaled to a maximum of 1 and held above this, so that no product of two underflows."""


class ForestJoint(Joint):
    """p(x) = Π_i p_i(x_i | x_parent(i)); each noise-free table is mixed as `(1 − noise) · table + noise / V`.

    parents  the parent of each position, an earlier position, or −1 for a root
    tables   (L, V, V) float64, `tables[i, u, v] = p_i(v | parent is u)` without noise; a root has equal rows

    `pairs` are every parent and child; neighbours where nobody has a parent.
    """

    def __init__(self, parents: Sequence[int], tables: Tensor, noise: float, device: torch.device) -> None:
        self.length, self.vocab, _ = tables.shape
        self.device = device
        self.parents = tuple(parents)
        self.tables = ((1 - noise) * tables + noise / self.vocab).to(device)
        self._support = (tables > 0).to(device)
        edges = [(parent, child) for child, parent in enumerate(parents) if parent >= 0]
        self._pairs = edges or [(i, i + 1) for i in range(self.length - 1)]

    def conditionals(self, tokens: Tensor, masked: Tensor) -> Tensor:
        """Pearl's message passing: children to parents, then parents to children. Source: Pearl (1988), chapter 4.

        The batch is the last axis, and messages are plain probabilities: sums and products of positive numbers, which
        lose no precision and round alike in every batch.
        """
        value = torch.arange(self.vocab, device=self.device)[:, None]
        evidence = ((tokens.T[:, None] == value) | masked.T[:, None]).double()  # (L, V, B)

        # below[i]: what the descendants of i say of x_i. later[i]: what the siblings after i say of their parent.
        below = list(torch.ones_like(evidence))
        message: dict[int, Tensor] = {}
        later: dict[int, Tensor] = {}
        for child in reversed(range(self.length)):
            parent = self.parents[child]
            if parent >= 0:
                message[child] = fold_sum(self.tables[child].T[:, :, None] * (below[child] * evidence[child])[:, None])
                later[child] = below[parent]
                below[parent] = _rescale(below[parent] * message[child])

        # above[i]: what all others say of x_i. known[i]: the same with x_i itself and its children so far.
        above: list[Tensor] = []
        known: list[Tensor] = []
        for child in range(self.length):
            parent = self.parents[child]
            if parent >= 0:
                others = known[parent] * later[child]
                above.append(_rescale(fold_sum(self.tables[child][:, :, None] * others[:, None])))
                known[parent] = _rescale(known[parent] * message[child])
            else:
                above.append(self.tables[child, 0][:, None].expand_as(evidence[child]))
            known.append(above[child] * evidence[child])

        weight = (torch.stack(above) * torch.stack(below)).movedim(1, 0)  # (V, L, B)
        return (weight / fold_sum(weight)).log().permute(2, 1, 0)

    def log_prob(self, tokens: Tensor) -> Tensor:
        return self._given_parent(self.tables, tokens).log().sum(-1)

    def valid(self, tokens: Tensor) -> Tensor:
        return self._given_parent(self._support, tokens).all(-1)

    def entropy(self) -> float:
        """Σ_i H(x_i | x_parent), each term averaged over the parent's marginal."""
        given = torch.special.entr(self.tables).sum(-1)  # (L, V)
        marginals = self._marginals()
        parents = torch.stack([marginals[max(parent, 0)] for parent in self.parents])  # any will do for a root
        return float((parents * given).sum())

    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        tokens = torch.zeros(count, self.length, dtype=torch.int64, device=self.device)
        for child, parent in enumerate(self.parents):
            rows = self.tables[child][tokens[:, max(parent, 0)]]
            tokens[:, child] = torch.multinomial(rows, 1, generator=generator).squeeze(1)
        return tokens

    def pairs(self, tokens: Tensor) -> Tensor:
        first, second = torch.tensor(self._pairs, device=tokens.device).T
        return tokens[:, first] * self.vocab + tokens[:, second]

    def pair_probabilities(self) -> Tensor:
        marginals = self._marginals()
        joint = [
            marginals[first][:, None] * (self.tables[second] if self.parents[second] == first else marginals[second])
            for first, second in self._pairs
        ]
        return torch.stack(joint).flatten(1)

    def _given_parent(self, tables: Tensor, tokens: Tensor) -> Tensor:
        # (N, L): the entry of each position's table at its token and its parent's. A root's rows are all alike.
        parents = tokens[:, [max(parent, 0) for parent in self.parents]]
        return tables[torch.arange(self.length, device=tokens.device), parents, tokens]

    def _marginals(self) -> list[Tensor]:
        # (V,) p(x_i) for each position.
        marginals: list[Tensor] = []
        for child, parent in enumerate(self.parents):
            table = self.tables[child]
            marginals.append(marginals[parent] @ table if parent >= 0 else table[0])
        return marginals


def _rescale(message: Tensor) -> Tensor:
    return (message / message.amax(0)).clamp(min=_LEAST)
