"""Text to image with a language model whose vocabulary goes on with the codes of pictures, behind `Denoiser`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from harness.errors import UserError
from harness.models.base import Inputs, Row
from harness.models.text.network import TextNetwork
from harness.task import Output, Request


class PictureCodec(Protocol):
    """Pictures to grids of codes and back; the sides of a picture are `factor` times those of its grid."""

    codes: int
    factor: int

    def picture(self, codes: Sequence[int], grid: tuple[int, int]) -> NDArray[np.uint8]:
        """(H, W, 3) of the codes of one picture, row by row."""

    def look(self, picture: NDArray[np.uint8]) -> list[int]:
        """The codes, row by row, of a picture (H, W, 3)."""


class Prompter(Protocol):
    """What stands before and after the codes, as ids of the language model."""

    def prompt(self, text: str) -> list[int]:
        """What asks for a picture of `text`."""

    def nothing(self) -> list[int]:
        """What asks for any picture: it takes the place of the prompt for guidance."""


@dataclass(frozen=True)
class Layout:
    """How a picture lies among the ids of a language model.

    mask        what stands where a code is to be made
    first_code  the id of code 0
    before      what stands between the prompt and the picture
    after       what stands behind the picture
    newline     what ends each row of codes; None = nothing does
    """

    mask: int
    first_code: int
    before: tuple[int, ...]
    after: tuple[int, ...]
    newline: int | None = None


class PromptedDenoiser:
    """A picture of `grid` codes from a prompt.

    The tokens of a canvas are the codes, then the mask, then the ids of the language model, so that logits reach over
    the codes and the mask alone: only the rows of the head that belong to codes are ever multiplied.

    Without the prompt, a row has `Prompter.nothing` right before its picture, and nobody attends to what is left of the
    prompt's places. Positions are relative in this network, so that this is the row that the releases make.
    """

    eos_ids: frozenset[int] = frozenset()

    def __init__(
        self,
        name: str,
        transformer: TextNetwork,
        codec: PictureCodec | None,
        prompter: Prompter,
        layout: Layout,
        codes: int,
        grid: tuple[int, int],
        bucket: int = 32,
    ) -> None:
        self.name, self.transformer, self.codec, self.prompter = name, transformer, codec, prompter
        self.layout, self.codes, self.grid, self.length_bucket = layout, codes, grid, bucket
        self.mask_id, self.vocab_size = codes, codes + 1
        self.device = transformer.device
        self.capabilities = transformer.offers | {"guidance"}
        self._nothing = self._canvas(torch.tensor(prompter.nothing(), device=self.device))

    def encode(self, request: Request) -> Row:
        """The prompt and an empty picture; UserError for a request that is no prompt alone."""
        where = f"document {request.document!r}"
        size = self.grid[0] * self.grid[1]
        if request.prompt is None or request.image is not None or request.condition or request.continuation is not None:
            raise UserError(f"{where}: the model {self.name!r} takes a prompt alone, and makes a picture of it.")
        if request.length not in (None, size):
            raise UserError(f"{where}: the model {self.name!r} makes {size} tokens, not {request.length}.")
        prompt = self.prompter.prompt(request.prompt)
        if len(prompt) < len(self._nothing):
            raise UserError(f"{where}: the prompt {request.prompt!r} is empty; the model {self.name!r} needs one.")
        layout, mask = self.layout, self.layout.mask
        line = [mask] * self.grid[1] + ([] if layout.newline is None else [layout.newline])
        picture = line * self.grid[0]
        ids = [*prompt, *layout.before, *picture, *layout.after]
        first = len(prompt) + len(layout.before)
        editable = [first <= place < first + len(picture) and each == mask for place, each in enumerate(ids)]
        return Row(self._canvas(torch.tensor(ids)).tolist(), editable, {"prompt": len(prompt)}, self.grid)

    def decode(self, tokens: Sequence[int]) -> Output:
        """The codes, row by row, and the picture that the codec makes of them."""
        assert self.codec is not None, "a model on the device meta makes no pictures"
        return Output(tuple(tokens), image=self.codec.picture(tokens, self.grid))

    @torch.inference_mode()
    def logits(self, inputs: Inputs, index: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        """(N, codes + 1) logits in the network's dtype at the flat positions `index` (N,); −inf at the mask id."""
        maps: list[Tensor] = []
        record = maps.append if "attention" in inputs.outputs else None
        hidden = self.transformer(self._ids(inputs.tokens), inputs.positions, self._mask(inputs), index, record)
        first = self.layout.first_code
        logits = F.linear(hidden, self.transformer.head.weight[first : first + self.codes])
        return F.pad(logits, (0, 1), value=float("-inf")), {"attention": torch.stack(maps, dim=1)} if maps else {}

    def _mask(self, inputs: Inputs) -> Tensor:
        """What each position may attend to: every position that is not padding, with the query's bias."""
        if inputs.attention_bias is None:
            return inputs.valid[:, None, None]
        padding = torch.zeros_like(inputs.valid, dtype=torch.float32).masked_fill(~inputs.valid, float("-inf"))
        return padding[:, None, None] + inputs.attention_bias.float()[:, None]

    def unconditional(self, inputs: Inputs) -> Inputs:
        """The same rows asking for any picture."""
        place, size = torch.arange(inputs.tokens.shape[1], device=self.device), len(self._nothing)
        turn = place - inputs.condition["prompt"][:, None] + size
        said = self._nothing[turn.clamp(0, size - 1)]
        tokens = torch.where((turn >= 0) & (turn < size), said, inputs.tokens)
        return replace(inputs, tokens=tokens, valid=inputs.valid & (turn >= 0))

    def flops(self, tokens: Tensor, predicted: Tensor) -> Tensor:
        """(B,) float64: those of the transformer with the head over the codes alone. The codec runs once a picture, and
        is not counted."""
        head = 2 * self.transformer.shape.width * self.codes * predicted.double()
        return self.transformer.trunk_flops(tokens, predicted) + head

    def _canvas(self, ids: Tensor) -> Tensor:
        """Ids of the language model as tokens of a canvas."""
        code = ids - self.layout.first_code
        tokens = torch.where((code >= 0) & (code < self.codes), code, ids + self.codes + 1)
        return tokens.masked_fill(ids == self.layout.mask, self.mask_id)

    def _ids(self, tokens: Tensor) -> Tensor:
        """Tokens of a canvas as ids of the language model."""
        ids = torch.where(tokens < self.codes, tokens + self.layout.first_code, tokens - self.codes - 1)
        return ids.masked_fill(tokens == self.mask_id, self.layout.mask)
