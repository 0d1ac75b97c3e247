"""The random model with a twist: impossible tokens, NaN for some rows, or no difference that guidance could make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from harness.models.base import Inputs
from harness.models.random_llama import CLASSES, RandomDenoiser


class Windowed(RandomDenoiser):
    """Every third token is impossible, another third at each position; at each fifth position all but one are."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        place = torch.arange(len(self.prompt) + self.length)[:, None]
        token = torch.arange(self.vocab_size)
        single = (place % 5 == 0) & (token != place % self.mask_id)
        self.impossible = torch.where(place % 5 == 0, single, (place + token) % 3 == 0)
        self.impossible[:, self.mask_id] = True

    def logits(self, inputs: Inputs, index: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        """As the parent's, −inf at `impossible` (L, V)."""
        logits, extra = super().logits(inputs, index)
        place = inputs.positions.flatten()[index]
        return logits.masked_fill(self.impossible[place], float("-inf")), extra


class Poisoned(RandomDenoiser):
    """NaN for rows of the label `POISON`."""

    POISON = CLASSES - 1

    def logits(self, inputs: Inputs, index: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        """As the parent's, NaN for poisoned rows."""
        logits, extra = super().logits(inputs, index)
        poisoned = inputs.condition["label"] == self.POISON
        return logits.masked_fill(poisoned[index // inputs.tokens.shape[1], None], torch.nan), extra


class Unguidable(RandomDenoiser):
    """Conditional and unconditional predictions are the same."""

    def unconditional(self, inputs: Inputs) -> Inputs:
        """The same inputs."""
        return inputs
