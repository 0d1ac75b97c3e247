"""A bidirectional language model behind the protocol `Denoiser`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import torch
from torch import Tensor

from harness.errors import UserError
from harness.models.base import Inputs, Row
from harness.models.text.codec import Codec
from harness.models.text.network import Record
from harness.task import Output, Request


class Backbone(Protocol):
    """A network over tokens: hidden states of some positions, and the head that makes logits of them.

    offers names its capabilities beside guidance and likelihood, which need nothing of a network.
    """

    vocab_size: int
    offers: frozenset[str]

    @property
    def length(self) -> int | None:
        """Longest row, None where nothing limits it."""

    @property
    def device(self) -> torch.device:
        """Where tokens are expected."""

    def __call__(
        self, tokens: Tensor, positions: Tensor, mask: Tensor | None, index: Tensor, record: Record | None = None
    ) -> Tensor:
        """(N, width) hidden states; see `TextNetwork.forward`."""

    def head(self, hidden: Tensor, /) -> Tensor:
        """(N, V) logits of hidden states (N, width)."""

    def flops(self, tokens: Tensor, predicted: Tensor) -> Tensor | None:
        """(B,) float64; see `Denoiser.flops`."""


class TextDenoiser:
    """A network that fills in masked tokens.

    eos_ids  tokens that end a text
    shift    the logits for a position are computed at the one before it, those of the first at itself (Dream)
    bucket   rows are padded to a multiple of it; with 1 only rows of the same length share a batch, and attention
             needs no mask
    size     tokens to generate where the request does not say; None = it must
    never    tokens that the model must not write, beside the mask
    """

    def __init__(
        self,
        transformer: Backbone,
        codec: Codec,
        mask_id: int,
        eos_ids: frozenset[int],
        shift: bool = False,
        bucket: int = 32,
        size: int | None = None,
        never: Sequence[int] = (),
    ) -> None:
        self.transformer, self.codec = transformer, codec
        self.mask_id, self.eos_ids = mask_id, eos_ids
        self.shift, self.length_bucket, self.size = shift, bucket, size
        self.vocab_size, self.device = transformer.vocab_size, transformer.device
        # On the device: to bring it there is to wait for what the device has to do.
        self.never = torch.tensor(sorted({mask_id, *never}), device=self.device)
        # Where logits are shifted, a position is known by its neighbour; a query that moves positions takes it away.
        self.capabilities = transformer.offers - ({"positions"} if shift else set()) | {"guidance", "likelihood"}

    def encode(self, request: Request) -> Row:
        """The prompt's tokens, and as many masks as the request's length or the tokens of its continuation; UserError
        for what the model cannot serve."""
        if request.image is not None or request.condition:
            raise UserError(f"document {request.document!r}: a language model takes a prompt, no picture and no label.")
        return self.row(request, *self.codec.encode(request))

    def row(self, request: Request, prompt: Sequence[int], answer: Sequence[int]) -> Row:
        """The row of the prompt's tokens, and of those of the continuation or as many masks as the request asks for."""
        where = f"document {request.document!r}"
        length = self.size if request.length is None else request.length
        if length is None and request.continuation is None:
            raise UserError(f"{where}: a language model needs the number of tokens to generate.")
        if request.continuation is None:
            answer = [self.mask_id] * (length or 0)
        longest = self.transformer.length
        if longest is not None and len(prompt) + len(answer) > longest:
            raise UserError(
                f"{where}: the prompt's {len(prompt)} tokens and the answer's {len(answer)} are more than the {longest}"
                " that the model takes. Ask for fewer."
            )
        editable = (*[False] * len(prompt), *[True] * len(answer))
        return Row((*prompt, *answer), editable, {"prompt": len(prompt)})

    def decode(self, tokens: Sequence[int]) -> Output:
        """The text of the tokens."""
        return Output(tuple(tokens), text=self.codec.decode(tokens))

    @torch.inference_mode()
    def logits(self, inputs: Inputs, index: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        """(N, V) logits in the network's dtype at the flat positions `index` (N,); −inf at the mask and at `never`."""
        maps: list[Tensor] = []
        record = maps.append if "attention" in inputs.outputs else None
        # The head at every position would cost more than all that a sampler does; see docs/add_a_model.md.
        told = self._told(index, inputs.tokens.shape[1])
        logits = self._predicted(self.hidden(inputs, self._mask(inputs), told, record))
        return logits, {"attention": torch.stack([each.to(self.device) for each in maps], dim=1)} if maps else {}

    def _told(self, index: Tensor, length: int) -> Tensor:
        """(N,): the flat positions whose hidden states tell what is at `index` (N,), in rows of `length`."""
        return torch.where(index % length == 0, index, index - 1) if self.shift else index

    def _predicted(self, hidden: Tensor) -> Tensor:
        """(N, V): see `logits`, from hidden states (N, width)."""
        logits = self.transformer.head(hidden).to(self.device)
        return logits.index_fill_(1, self.never, float("-inf"))

    def hidden(self, inputs: Inputs, mask: Tensor | None, index: Tensor, record: Record | None) -> Tensor:
        """(N, width) hidden states of the network at the flat positions `index` (N,)."""
        return self.transformer(inputs.tokens, inputs.positions, mask, index, record)

    def _mask(self, inputs: Inputs) -> Tensor | None:
        """What each position may attend to: every position that is not padding, with the query's bias."""
        if inputs.attention_bias is not None:
            padding = torch.zeros_like(inputs.valid, dtype=torch.float32).masked_fill(~inputs.valid, float("-inf"))
            return padding[:, None, None] + inputs.attention_bias.float()[:, None]
        # Kernels with a mask round differently from those without: which it is must not depend on the neighbours.
        if self.length_bucket == 1 and bool(inputs.valid.all()):
            return None
        return inputs.valid[:, None, None]

    def unconditional(self, inputs: Inputs) -> Inputs:
        """The same rows with the prompt masked."""
        place = torch.arange(inputs.tokens.shape[1], device=self.device)
        prompt = place < inputs.condition["prompt"][:, None]
        return replace(inputs, tokens=inputs.tokens.masked_fill(prompt, self.mask_id))

    def flops(self, tokens: Tensor, predicted: Tensor) -> Tensor | None:
        """(B,) float64: those of the network."""
        return self.transformer.flops(tokens, predicted)
