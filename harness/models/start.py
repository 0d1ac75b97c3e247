"""Where a one-step student starts: not from masks alone, whose only randomness would be that of the last draw."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from harness.models.base import Inputs
from harness.prediction import Random

Change = Callable[[Tensor], Tensor]
"""What is done to the embeddings of the tokens, (B, L, width) to the same shape."""


@dataclass(frozen=True)
class Start:
    """The initial tokens of Di[M]O (Zhu et al. 2025, arXiv 2503.15457, section 4.3; yuanzhi-zhu/DiMO).

    mask_ratio    r: a random share of the holes, exact to a token, keeps the mask; the others get random codes
    perturbation  σ: the embedding e of each hole becomes √(1 − σ²) e + σ n with a standard normal n
    first, codes  the codes are `first` … `first + codes − 1`, all equally likely
    """

    mask_ratio: float
    perturbation: float
    first: int
    codes: int

    def begin(self, inputs: Inputs, random: Random, mask_id: int) -> tuple[Tensor, Change]:
        """Initial tokens (B, L), in place of the masks, and the change of the embeddings."""
        holes = (inputs.tokens == mask_id) & inputs.valid
        order = random("start masks", 1).squeeze(-1).masked_fill(~holes, 2.0)
        masks = (self.mask_ratio * holes.sum(dim=1, keepdim=True)).round()
        masked = order.argsort(dim=1).argsort(dim=1) < masks
        codes = self.first + (random("start codes", 1).squeeze(-1) * self.codes).long()

        def change(embeddings: Tensor) -> Tensor:
            if self.perturbation == 0:
                return embeddings
            normal = torch.special.ndtri(random("start noise", embeddings.shape[-1])).to(embeddings.dtype)
            mixed = (1 - self.perturbation**2) ** 0.5 * embeddings + self.perturbation * normal
            return torch.where(holes[..., None], mixed, embeddings)

        return torch.where(holes & ~masked, codes, inputs.tokens), change


def start_of(facts: Mapping[str, Any], first: int, codes: int) -> Start | None:
    """The start that the file of a student's weights notes; None for weights of another kind."""
    if "mask_ratio" not in facts:
        return None
    return Start(facts["mask_ratio"], facts["perturbation"], first, codes)


def begun(start: Start | None, inputs: Inputs, mask_id: int) -> tuple[Tensor, Change]:
    """What the network reads: the tokens of `inputs` unchanged, or what it starts from where `inputs` ask for it."""
    if inputs.start is None:
        return inputs.tokens, unchanged
    assert start is not None, "the proxy refuses what is no capability"
    return start.begin(inputs, inputs.start, mask_id)


def unchanged(embeddings: Tensor) -> Tensor:
    """The embeddings as they are."""
    return embeddings
