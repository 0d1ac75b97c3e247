"""`mini`: a small multimodal masked diffusion model that writes, draws, answers about pictures and fills puzzles.

It was made by `run_eval.py train mini`; `weights/mini.md` says how good it is. What it takes:

prompt                    a picture of 64 patches
prompt, image and length  words about the picture
prompt and length         words
prompt that is a puzzle   the digits of its empty cells; lines such as `1..4`, a dot where a cell is empty

In place of a length, words that are given may be scored (a continuation).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from harness.errors import UserError
from harness.miniworld import layout, scenes
from harness.miniworld.vocabulary import EOS_ID, FIRST_CODE, NULL_ID, decode, encode
from harness.models.base import Inputs, Row
from harness.models.mini.network import MiniConfig, MiniTransformer, forward_flops
from harness.models.start import Start, begun, start_of
from harness.models.weights_file import filled, read_facts
from harness.task import Output, Request


def mini(*, weights: str = "mini", device: str = "cpu") -> MiniDenoiser:
    """The model with shipped weights, or with those of a training of one's own by path of its `.safetensors` file."""
    network = filled(weights, MiniConfig, MiniTransformer)
    return MiniDenoiser(network.to(device), start_of(read_facts(weights), FIRST_CODE, scenes.CODES))


def mini_dimo(*, weights: str = "mini_dimo", device: str = "cpu") -> MiniDenoiser:
    """The student of `mini` that was distilled into one step by Di[M]O; it makes pictures alone."""
    return mini(weights=weights, device=device)


class MiniDenoiser:
    """A `MiniTransformer` behind the protocol `Denoiser`."""

    length_bucket = 8
    eos_ids = frozenset({EOS_ID})

    def __init__(self, network: MiniTransformer, start: Start | None = None) -> None:
        self.network, self.start = network, start
        offered = {"guidance", "positions", "attention_bias", "attention", "likelihood"}
        self.capabilities = frozenset(offered if start is None else offered | {"start"})
        self.mask_id = network.config.mask_id
        self.vocab_size = network.config.vocabulary + 1
        self.device = network.head.weight.device

    def encode(self, request: Request) -> Row:
        """The request in the layout of `harness.miniworld.layout`; UserError for what the model does not know."""
        try:
            lay = _layout(request)
        except UserError as error:
            raise UserError(f"document {request.document!r}: {error}") from None
        holes = lay.tokens == layout.HOLE
        given = self.mask_id if request.continuation is None else np.array(encode(request.continuation))
        tokens = lay.filled(given)
        grid = (scenes.GRID, scenes.GRID) if holes.sum() == layout.PATCHES and request.length is None else None
        if self.start is not None and grid is None:
            raise UserError(f"document {request.document!r}: a student of 'mini' draws pictures, and nothing else.")
        return Row(tokens.tolist(), holes.tolist(), grid=grid, positions=lay.positions.tolist())

    def decode(self, tokens: Sequence[int]) -> Output:
        """A picture from codes of patches, else a text."""
        if tokens and min(tokens) >= FIRST_CODE:
            return Output(tuple(tokens), image=scenes.pixels(torch.tensor(tokens).numpy() - FIRST_CODE))
        return Output(tuple(tokens), text=decode(tokens))

    def logits(self, inputs: Inputs, index: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        """(N, V) float32 logits at the flat positions `index` (N,); −inf at the mask id and at other kinds of token."""
        maps: list[Tensor] | None = [] if "attention" in inputs.outputs else None
        with torch.inference_mode():
            logits = self.predict(self.network, inputs, maps).flatten(0, 1)
            # The head ran everywhere: in the shape of `index`, its rounding would depend on what neighbours ask for.
            wanted = pad(logits[index], (0, 1), value=float("-inf"))
        return wanted, {"attention": torch.stack(maps, dim=1)} if maps else {}

    def predict(self, network: MiniTransformer, inputs: Inputs, maps: list[Tensor] | None = None) -> Tensor:
        """(B, L, V − 1) logits everywhere, by any network of the architecture; differentiable."""
        # Padding may have position ids that the network has not; nothing attends to it.
        positions = inputs.positions.clamp(max=layout.POSITIONS - 1)
        tokens, change = begun(self.start, inputs, self.mask_id)
        features = network.hidden(tokens, positions, inputs.valid, inputs.attention_bias, maps, change)
        return network.logits(features, positions)

    def unconditional(self, inputs: Inputs) -> Inputs:
        """The same rows with the prompt withheld."""
        prompt = (inputs.positions >= layout.FIRST_PROMPT) & (inputs.positions < layout.FIRST_RESPONSE)
        return replace(inputs, tokens=inputs.tokens.masked_fill(prompt, NULL_ID))

    def flops(self, tokens: Tensor, predicted: Tensor) -> Tensor:
        """(B,) float64: FLOPs of one sequence-forward of `tokens` (B,) tokens; the head runs at all of them."""
        return forward_flops(self.network.config, tokens)


def _layout(request: Request) -> layout.Layout:
    if request.prompt is None or request.condition:
        raise UserError("the model 'mini' takes a prompt, and no other condition.")
    length = request.length if request.continuation is None else len(encode(request.continuation))
    if request.image is not None and length is None:
        raise UserError("the model 'mini' needs a length for words about an image.")
    if length is None:
        cells = layout.read_sudoku(request.prompt)
        return layout.picture(request.prompt) if cells is None else layout.sudoku(cells)
    if request.image is None:
        return layout.text(request.prompt, length)
    side, pixels = scenes.GRID * scenes.PATCH, request.image.pixels()
    if pixels.shape != (side, side, 3):
        raise UserError(f"the model 'mini' sees pictures of {side} x {side} pixels, not {pixels.shape}.")
    return layout.text(request.prompt, length, scenes.encode(pixels))
