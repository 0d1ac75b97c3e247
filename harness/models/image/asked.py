"""Picture to text with a language model whose vocabulary goes on with the codes of pictures, behind `Denoiser`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from harness.errors import UserError
from harness.models.base import Inputs, Row
from harness.models.image.prompted import Layout, PictureCodec
from harness.models.text.codec import Codec
from harness.models.text.denoiser import TextDenoiser
from harness.models.text.network import Record, TextNetwork
from harness.picture import Picture
from harness.task import Request

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

KEPT = 8192
"""Pictures whose codes are kept: 128 MB of Lumina-DiMOO's largest."""
NONE = -1
"""In place of a position: nothing stands behind the answer."""


class Asker(Protocol):
    """How a family puts a question about a picture.

    chat        questions are turns in the tokenizer's chat template
    ends        tokens that end an answer
    after       the token behind the answer, None where nothing stands there
    resolution  the side in pixels of the square that a picture becomes, or of one as large as it
    step        what `resolution` must be a multiple of
    """

    chat: bool
    ends: frozenset[int]
    after: int | None
    resolution: int
    step: int

    def fit(self, picture: Image.Image, resolution: int) -> Image.Image:
        """The picture scaled and cropped, as the codec takes it."""

    def around(
        self, codec: Codec, turns: Sequence[tuple[str, str]], continuation: str
    ) -> tuple[list[int], list[int], list[int]]:
        """The ids before the picture's codes, those between them and the answer, and those of the continuation."""


class Words:
    """The network as a model of words: the head ends before the codes of pictures. What is read may be codes too."""

    length: int | None = None

    def __init__(self, network: TextNetwork, vocab_size: int) -> None:
        self.network, self.vocab_size, self.offers = network, vocab_size, network.offers

    @property
    def device(self) -> torch.device:
        """As the network."""
        return self.network.device

    def __call__(
        self, tokens: Tensor, positions: Tensor, mask: Tensor | None, index: Tensor, record: Record | None = None
    ) -> Tensor:
        """(N, width) hidden states."""
        hidden: Tensor = self.network(tokens, positions, mask, index, record)
        return hidden

    def compile(self, **how: Any) -> None:
        """As the network."""
        self.network.compile(**how)

    def head(self, hidden: Tensor, /) -> Tensor:
        """(N, `vocab_size`) logits of hidden states (N, width)."""
        return F.linear(hidden, self.network.head.weight[: self.vocab_size])

    def parameters(self) -> Iterator[Tensor]:
        """As the network."""
        return self.network.parameters()

    def flops(self, tokens: Tensor, predicted: Tensor) -> Tensor:
        """(B,) float64: those of the network with the head over the words alone."""
        head = 2 * self.network.shape.width * self.vocab_size * predicted.double()
        return self.network.trunk_flops(tokens, predicted) + head


class AskedDenoiser(TextDenoiser):
    """A `TextDenoiser` whose requests are about a picture.

    Tokens of a canvas are ids of the language model. Codes stand among those of the prompt, and are never written.
    """

    def __init__(
        self,
        name: str,
        network: TextNetwork,
        pictures: PictureCodec | None,
        codec: Codec,
        asker: Asker,
        layout: Layout,
        resolution: int,
        bucket: int,
    ) -> None:
        super().__init__(Words(network, layout.first_code), codec, layout.mask, asker.ends, bucket=bucket)
        self.name, self.pictures, self.asker, self.layout, self.resolution = name, pictures, asker, layout, resolution
        self._codes: dict[Picture, NDArray[np.int32]] = {}

    def encode(self, request: Request) -> Row:
        """The picture's codes, the question, and as many masks as the request's length or the tokens of its
        continuation; UserError for a request without a picture."""
        where = f"document {request.document!r}"
        if request.image is None or request.condition:
            raise UserError(f"{where}: the model {self.name!r} answers questions about a picture, and takes no label.")
        turns = request.turns or (("user", request.prompt or ""),)
        try:
            before, between, answer = self.asker.around(self.codec, turns, request.continuation or "")
        except UserError as error:
            raise UserError(f"{where}: the model {self.name!r} {error}") from None
        row = self.row(request, [*before, *self.look(request.image), *between], answer)
        condition = {**row.condition, "after": NONE}
        if self.asker.after is None:
            return replace(row, condition=condition)
        condition["after"] = len(row.tokens)
        tokens, editable = (*row.tokens, self.asker.after), (*row.editable, False)
        return replace(row, tokens=tokens, editable=editable, condition=condition)

    def look(self, picture: Picture) -> list[int]:
        """The ids of a picture: its codes row by row, and what ends each row."""
        from PIL import Image

        if picture not in self._codes:
            fitted = np.array(self.asker.fit(Image.fromarray(picture.pixels()), self.resolution))
            if len(self._codes) >= KEPT:
                self._codes.pop(next(iter(self._codes)))
            self._codes[picture] = np.array(self._ids(fitted), np.int32)
        ids: list[int] = self._codes[picture].tolist()
        return ids

    def _ids(self, fitted: NDArray[np.uint8]) -> list[int]:
        first, factor = self.layout.first_code, 16 if self.pictures is None else self.pictures.factor
        rows, columns = fitted.shape[0] // factor, fitted.shape[1] // factor
        codes = [0] * (rows * columns) if self.pictures is None else self.pictures.look(fitted)
        end = [] if self.layout.newline is None else [self.layout.newline]
        lines = [[*codes[start : start + columns]] for start in range(0, rows * columns, columns)]
        return [token for line in lines for token in (*(first + code for code in line), *end)]

    def unconditional(self, inputs: Inputs) -> Inputs:
        """The same rows with all masked that is not the answer."""
        masked = super().unconditional(inputs)
        place = torch.arange(inputs.tokens.shape[1], device=self.device)
        after = place == inputs.condition["after"][:, None]
        return replace(masked, tokens=masked.tokens.masked_fill(after, self.mask_id))
