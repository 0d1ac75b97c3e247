"""A text model that sees, behind the protocol `Denoiser`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from harness.errors import UserError
from harness.models.base import Inputs, Row
from harness.models.seeing.network import SeeingNetwork
from harness.models.seeing.pictures import Pictures
from harness.models.text.codec import Codec
from harness.models.text.denoiser import TextDenoiser
from harness.models.text.network import Record
from harness.task import Request

NONE = -1
"""In place of a picture's number: the row has no picture."""


@dataclass(frozen=True)
class Prompt:
    """How a question about a picture is put.

    system  text of the system's turn, none where empty
    before  what stands before the first turn of the user, the `marker` in it
    marker  text in whose place the picture goes
    suffix  text after each turn of the user
    clipped where the text before the picture begins with the BOS token, the first token after the picture is left out
    """

    system: str
    before: str
    marker: str
    suffix: str = ""
    clipped: bool = False

    def turns(self, request: Request) -> list[tuple[str, str]]:
        """The conversation of a request, the marker in it if there is a picture."""
        turns = [
            (role, text + self.suffix if role == "user" else text)
            for role, text in request.turns or (("user", request.prompt or ""),)
        ]
        if request.image is not None and not any(self.marker in text for _, text in turns):
            first = next((i for i, (role, _) in enumerate(turns) if role == "user"), 0)
            turns[first] = (turns[first][0], self.before + turns[first][1])
        if self.system and turns[0][0] != "system":
            turns.insert(0, ("system", self.system))
        return turns


class SeeingDenoiser(TextDenoiser):
    """A `TextDenoiser` whose requests may have a picture.

    At a picture's positions the canvas has some token that is not the mask; what the network reads there are the
    features. The row's condition says which picture it is, and where it begins.
    """

    def __init__(
        self,
        network: SeeingNetwork,
        codec: Codec,
        prompt: Prompt,
        mask_id: int,
        eos_ids: frozenset[int],
        shift: bool,
        bucket: int,
        never: Sequence[int],
    ) -> None:
        super().__init__(network, codec, mask_id, eos_ids, shift, bucket, never=never)
        self.network, self.prompt = network, prompt
        self.pictures = Pictures(network.eye)
        self.filler = next(token for token in range(self.vocab_size) if token not in {mask_id, *eos_ids})

    def encode(self, request: Request) -> Row:
        """The conversation with the picture's positions in it, and as many masks as the request's length or the tokens
        of its continuation; UserError for what the model cannot serve."""
        if request.condition:
            raise UserError(f"document {request.document!r}: the model takes a prompt and a picture, and no label.")
        text, continuation = self.codec.render(self.prompt.turns(request)), request.continuation or ""
        if request.image is None:
            row = self.row(request, *self.codec.tokens(text, continuation))
            return replace(row, condition={**row.condition, "picture": NONE, "place": 0})
        head, _, tail = text.partition(self.prompt.marker)
        first, _ = self.codec.tokens(head, "")
        rest, answer = self.codec.tokens(tail, continuation)
        if self.prompt.clipped and first and first[0] == self.codec.bos_id:
            rest = rest[1:]
        eye, place = self.network.eye, len(first)
        try:
            number = self.pictures.number(request.image)
            height, width = self.pictures.size(number)
            count, grid = eye.count(height, width), eye.grid(height, width)
        except UserError as error:
            raise UserError(f"document {request.document!r}: {error}") from None
        row = self.row(request, [*first, *[self.filler] * count, *rest], answer)
        positions = None
        if grid is not None:
            after = place + max(grid)
            positions = [*range(place), *[place] * count, *range(after, after + len(row.tokens) - place - count)]
        condition = {**row.condition, "picture": number, "place": place}
        return replace(row, condition=condition, positions=positions, flops=eye.flops(height, width))

    def hidden(self, inputs: Inputs, mask: Tensor | None, index: Tensor, record: Record | None) -> Tensor:
        """(N, width) hidden states of the network, which reads the features of each row's picture."""
        embeddings = self.embeddings(inputs)
        if self.network.sections is None:
            rotation = self.network.rotation(embeddings, inputs.positions)
        else:
            rotation = self.network.turned(embeddings, self._positions(inputs))
        return self.network.run(embeddings, rotation, mask, record, index=index)

    def _positions(self, inputs: Inputs) -> Tensor:
        """(3, B, L): in time, height and width; the same for text, by row and column for the features of a picture."""
        positions = inputs.positions.repeat(3, 1, 1)
        numbers, places = inputs.condition["picture"].tolist(), inputs.condition["place"].tolist()
        for i, (number, place) in enumerate(zip(numbers, places, strict=True)):
            grid = None if number == NONE else self.pictures.grid(number)
            if grid is not None:
                by_axis = torch.cartesian_prod(torch.arange(grid[0]), torch.arange(grid[1])).to(positions)
                by_axis = by_axis[: positions.shape[2] - place]
                positions[1:, i, place : place + len(by_axis)] += by_axis.T
        return positions

    def embeddings(self, inputs: Inputs) -> Tensor:
        """(B, L, width): what the network reads."""
        x: Tensor = self.network.embed_tokens(inputs.tokens)
        numbers, places = inputs.condition["picture"].tolist(), inputs.condition["place"].tolist()
        features = self.pictures.features(number for number in numbers if number != NONE)
        for i, (number, place) in enumerate(zip(numbers, places, strict=True)):
            if number != NONE:
                seen = features[number][: x.shape[1] - place]
                x[i, place : place + len(seen)] = seen
        return x

    def unconditional(self, inputs: Inputs) -> Inputs:
        """The same rows with the prompt masked, picture included."""
        masked = super().unconditional(inputs)
        nothing = torch.full_like(inputs.condition["picture"], NONE)
        return replace(masked, condition={**masked.condition, "picture": nothing})
