"""A masked diffusion model of the codes of an image, given its class, behind the protocol `Denoiser`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import pad

from harness.errors import UserError
from harness.models.base import Inputs, Row
from harness.models.image.codecs.vqgan import VQGAN
from harness.models.image.published import label_of
from harness.models.start import Change, Start, begun
from harness.task import Output, Request


class Backbone(Protocol):
    """Hidden states of the codes of a square image of `side` x `side`, and the logits that they stand for."""

    codes: int
    classes: int
    side: int

    @property
    def device(self) -> torch.device:
        """Where tokens are expected."""

    def __call__(self, tokens: Tensor, places: Tensor, label: Tensor, mask: Tensor | None, change: Change) -> Tensor:
        """(B, L, width): `tokens` and `places` (B, L) int64, where the code `codes` is the mask; `label` (B,) int64,
        where the label `classes` says nothing; `mask` as of `attention_mask`; `change` is done to the embeddings."""

    def head(self, hidden: Tensor, places: Tensor, /) -> Tensor:
        """(N, codes) logits of hidden states (N, width) at the `places` (N,)."""

    def flops(self, tokens: Tensor, predicted: Tensor) -> Tensor:
        """(B,) float64; see `Denoiser.flops`."""


class ClassDenoiser:
    """The condition is `label` (B,). Tokens are the codec's codes, and the mask, which comes after them."""

    length_bucket = 1
    eos_ids: frozenset[int] = frozenset()

    def __init__(self, name: str, backbone: Backbone, codec: VQGAN, start: Start | None = None) -> None:
        if codec.codes != backbone.codes:
            raise UserError(
                f"model {name!r}: the codec has {codec.codes} codes, and the transformer knows {backbone.codes}. Use "
                "the codec that it was trained with."
            )
        self.name, self.backbone, self.codec, self.start = name, backbone, codec, start
        offered = {"guidance", "positions", "attention_bias"}
        self.capabilities = frozenset(offered if start is None else offered | {"start"})
        self.mask_id, self.vocab_size = backbone.codes, backbone.codes + 1
        self.grid = backbone.side, backbone.side
        self.device = backbone.device

    def encode(self, request: Request) -> Row:
        """An empty image of the class `label`; UserError for another condition, a prompt or another length."""
        size = self.grid[0] * self.grid[1]
        label = label_of(request, self.name, size, "tokens", self.backbone.classes)
        return Row((self.mask_id,) * size, (True,) * size, {"label": label}, self.grid)

    def decode(self, tokens: Sequence[int]) -> Output:
        """The codes, row by row, and the picture that the codec makes of them."""
        return Output(tokens=tuple(tokens), image=self.codec.picture(tokens, self.grid))

    @torch.inference_mode()
    def logits(self, inputs: Inputs, index: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        """(N, codes + 1) logits in the network's dtype at the flat positions `index` (N,); −inf at the mask id."""
        # Padding may have position ids that the network has not; nothing attends to it.
        places = inputs.positions.clamp(max=self.grid[0] * self.grid[1] - 1)
        tokens, change = begun(self.start, inputs, self.mask_id)
        label = inputs.condition["label"].long()
        hidden = self.backbone(tokens, places, label, attention_mask(inputs), change)
        # Of 16,384 codes the head at every place would cost a fifth of the forward; see docs/add_a_model.md.
        logits = self.backbone.head(hidden.flatten(0, 1)[index], places.flatten()[index])
        return pad(logits, (0, 1), value=float("-inf")), {}

    def unconditional(self, inputs: Inputs) -> Inputs:
        """The same rows with the label that says nothing."""
        label = torch.full_like(inputs.condition["label"], self.backbone.classes)
        return replace(inputs, condition={**inputs.condition, "label": label})

    def flops(self, tokens: Tensor, predicted: Tensor) -> Tensor:
        """(B,) float64: those of the transformer. The codec runs once an image, and is not counted."""
        return self.backbone.flops(tokens, predicted)


def attention_mask(inputs: Inputs) -> Tensor | None:
    """What each position may attend to, (B, 1, 1 or L, L): bool, or a float added to the scores; None = all."""
    if inputs.attention_bias is not None:
        padding = torch.zeros_like(inputs.valid, dtype=torch.float32).masked_fill(~inputs.valid, float("-inf"))
        return padding[:, None, None] + inputs.attention_bias.float()[:, None]
    return None if bool(inputs.valid.all()) else inputs.valid[:, None, None]


def with_extra(mask: Tensor | None, count: int) -> Tensor | None:
    """The mask with `count` more tokens at the end, which are no positions of the canvas. All see them, and they see
    what the first position sees: so they carry nothing to it that it could not see itself."""
    if mask is None or count == 0:
        return mask
    mask = pad(mask, (0, count), value=1.0 if mask.dtype == torch.bool else 0.0)
    if mask.shape[2] == 1:
        return mask
    return torch.cat([mask, mask[:, :, :1].expand(-1, -1, count, -1)], dim=2)
