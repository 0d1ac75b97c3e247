"""The multimodal diffusion transformer of Meissonic (Bai et al. 2024, arXiv 2410.08261; viiika/Meissonic
`src/transformer.py`): blocks of Flux, as diffusers keeps them, between an embedding of codes and a head for them.

Tensors are named as in the release.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import log
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from harness.errors import UserError
from harness.models.start import Change

_WAVES, _EPS = 256, 1e-6
_NUMBERS = 5
"""Width and height of the picture, its upper left corner, and how well it is rated."""


@dataclass(frozen=True)
class MMDiTShape:
    """Sizes of an `MMDiT`.

    layers, single_layers  blocks with weights of their own for text and codes, and blocks with the same for both
    text, pooled           widths of the text encoder's states, and of its summary of a text
    axes                   of a head's numbers, how many are turned by 0, by the row and by the column
    codes, vocab_size      the last of the vocabulary is the mask
    halved                 blocks work on cells of 2 x 2 codes
    """

    width: int
    heads: int
    layers: int
    single_layers: int
    text: int
    pooled: int
    axes: tuple[int, ...]
    codes: int = 8192
    vocab_size: int = 8256
    halved: bool = True


def mmdit_shape(config: Mapping[str, Any]) -> MMDiTShape:
    """The sizes of the release's `config.json`; UserError for what is missing, or what the network does not have."""
    try:
        down, up = config.get("downsample", False), config.get("upsample", False)
        if bool(config.get("guidance_embeds")) or down != up:
            raise UserError("config.json: this model is built without guidance_embeds, and with as much up as down.")
        heads, size = int(config["num_attention_heads"]), int(config["attention_head_dim"])
        shape = MMDiTShape(
            width=heads * size,
            heads=heads,
            layers=int(config["num_layers"]),
            single_layers=int(config["num_single_layers"]),
            text=int(config["joint_attention_dim"]),
            pooled=int(config["pooled_projection_dim"]),
            axes=tuple(map(int, config.get("axes_dims_rope", (16, 56, 56)))),
            codes=int(config["codebook_size"]),
            vocab_size=int(config["vocab_size"]),
            halved=bool(down),
        )
    except KeyError as error:
        raise UserError(f"config.json: {error.args[0]} is missing; it is needed for Meissonic's transformer.") from None
    except (TypeError, ValueError) as error:
        raise UserError(f"config.json is not that of Meissonic's transformer: {error}.") from None
    if sum(shape.axes) != size or len(shape.axes) != 3:
        raise UserError(
            f"config.json: axes_dims_rope is {list(shape.axes)}; three numbers that add up to {size} are needed."
        )
    return shape


class MMDiT(nn.Module):
    """Hidden states of all codes of a picture given the others and a text; `head` turns them into logits."""

    def __init__(self, shape: MMDiTShape) -> None:
        super().__init__()
        flux, width = _flux(), shape.width
        size = width // shape.heads
        self.shape, self.rotary = shape, flux.FluxPosEmbed(theta=10_000, axes_dim=list(shape.axes))
        self.embed = nn.ModuleDict(
            {
                "embeddings": nn.Embedding(shape.vocab_size, width),
                "layer_norm": _norm(width),
                "conv": _cell(width, width),
            }
        )
        self.time_text_embed = nn.ModuleDict(
            {"timestep_embedder": _Two(_WAVES, width), "text_embedder": _Two(shape.pooled, width)}
        )
        self.cond_embed = _Two(_NUMBERS * _WAVES + shape.pooled, width, bias=False)
        self.context_embedder, self.encoder_proj_layer_norm = nn.Linear(shape.text, width), _norm(width)
        self.project_to_hidden_norm, self.project_from_hidden_norm = _norm(width), _norm(width)
        self.project_to_hidden, self.project_from_hidden = (nn.Linear(width, width, bias=False) for _ in range(2))
        blocks = flux.FluxTransformerBlock, flux.FluxSingleTransformerBlock
        self.transformer_blocks, self.single_transformer_blocks = (
            nn.ModuleList(block(width, shape.heads, size) for _ in range(count))
            for block, count in zip(blocks, (shape.layers, shape.single_layers), strict=True)
        )
        if shape.halved:
            down = nn.Conv2d(width, width, 2, stride=2, bias=False)
            up = nn.ConvTranspose2d(width, width, 2, stride=2, bias=False)
            self.down_block, self.up_block = (
                nn.ModuleDict({name: nn.ModuleDict({"norm": _norm(width), "conv": conv})})
                for name, conv in (("downsample", down), ("upsample", up))
            )
        self.mlm_layer = nn.ModuleDict(
            {"conv1": _cell(width, width), "layer_norm": _norm(width), "conv2": _cell(width, shape.codes)}
        )

    @property
    def device(self) -> torch.device:
        """Where tokens are expected."""
        return self.context_embedder.weight.device

    @property
    def dtype(self) -> torch.dtype:
        """Of the weights."""
        return self.context_embedder.weight.dtype

    def forward(
        self, tokens: Tensor, text: Tensor, pooled: Tensor, numbers: Tensor, time: Tensor, change: Change
    ) -> Tensor:
        """(B, height, width, channels) of `tokens` (B, height, width) int64, the `text` (B, n, …) and its summary
        `pooled` (B, …), the `numbers` (B, 5) of the picture and the `time` (B,); `change` is done to the embeddings."""
        x = self.embed["conv"](self.embed["layer_norm"](self.embed["embeddings"](tokens)).permute(0, 3, 1, 2))
        rows, columns = tokens.shape[1:]
        x = change(x.flatten(2).mT).mT.view(x.shape)
        x = self._resampled(x, "down")
        cells = x.shape[2:]
        condition = self._condition(pooled, numbers, time)
        context = self.encoder_proj_layer_norm(self.context_embedder(text))
        x = self.project_to_hidden(self.project_to_hidden_norm(x.flatten(2).mT))
        turns = self.rotary(_places(text.shape[1], (cells[0], cells[1]), x.device))
        for block in (*self.transformer_blocks, *self.single_transformer_blocks):
            context, x = block(hidden_states=x, encoder_hidden_states=context, temb=condition, image_rotary_emb=turns)
        x = self.project_from_hidden(self.project_from_hidden_norm(x)).mT.unflatten(2, cells)
        hidden: Tensor = self._resampled(x, "up").permute(0, 2, 3, 1)
        return hidden.view(len(tokens), rows, columns, -1)

    def head(self, hidden: Tensor) -> Tensor:
        """(N, codes) logits of hidden states (N, channels)."""
        layer: Any = self.mlm_layer
        first, last = (layer[name].weight.flatten(1) for name in ("conv1", "conv2"))
        logits: Tensor = F.linear(layer["layer_norm"](F.linear(hidden, first)), last)
        return logits

    def _condition(self, pooled: Tensor, numbers: Tensor, time: Tensor) -> Tensor:
        waves = _waves(numbers.flatten()).view(len(numbers), -1)
        given = self.cond_embed(torch.cat([pooled, waves.to(self.dtype)], dim=1))
        parts = self.time_text_embed
        # The release multiplies by 1,000 what it is given.
        condition: Tensor = parts["timestep_embedder"](_waves(1000 * time).to(self.dtype)) + parts["text_embedder"](
            given
        )
        return condition

    def _resampled(self, x: Tensor, way: str) -> Tensor:
        if not self.shape.halved:
            return x
        part: Any = self.down_block["downsample"] if way == "down" else self.up_block["upsample"]
        resampled: Tensor = part["conv"](part["norm"](x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2))
        return resampled

    def flops(self, tokens: Tensor, predicted: Tensor, words: int) -> Tensor:
        """(B,) float64 FLOPs of one forward of `tokens` (B,) codes and `words` tokens of text, with the head at
        `predicted` (B,) positions: matrix products only, a multiply-add is two."""
        shape, width, codes = self.shape, self.shape.width, tokens.double()
        cells = codes / 4 if shape.halved else codes
        both = cells + words
        layer = 24 * width**2 * both + 4 * width * both**2 + 24 * width**2
        single = 24 * width**2 * both + 4 * width * both**2 + 6 * width**2
        once = 2 * width * (_NUMBERS * _WAVES + shape.pooled + width) + 2 * width * (_WAVES + width)
        once += 2 * width * (shape.pooled + width)
        ends = 2 * width**2 * codes + 4 * width**2 * cells + 2 * width * shape.text * words
        if shape.halved:
            ends = ends + 16 * width**2 * cells
        head = 2 * width * (width + shape.codes) * predicted.double()
        return shape.layers * layer + shape.single_layers * single + once + ends + head


class _Two(nn.Module):
    """Two layers with SiLU between."""

    def __init__(self, before: int, after: int, bias: bool = True) -> None:
        super().__init__()
        self.linear_1, self.linear_2 = nn.Linear(before, after, bias=bias), nn.Linear(after, after, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.linear_2(F.silu(self.linear_1(x)))
        return y


def _norm(width: int) -> nn.RMSNorm:
    return nn.RMSNorm(width, eps=_EPS)


def _cell(before: int, after: int) -> nn.Conv2d:
    return nn.Conv2d(before, after, 1, bias=False)


def _waves(values: Tensor) -> Tensor:
    """(N, 256): cosines and sines of `values` (N,) at frequencies from 1 down to 1/10,000."""
    half = _WAVES // 2
    frequency = torch.exp(-log(10_000) * torch.arange(half, dtype=torch.float32, device=values.device) / half)
    angle = values.float()[:, None] * frequency
    return torch.cat([angle.cos(), angle.sin()], dim=-1)


def _places(words: int, grid: tuple[int, int], device: torch.device) -> Tensor:
    """(words + cells of the grid, 3) int64: 0, row and column; the text is at the origin."""
    cells = torch.cartesian_prod(torch.arange(1), *(torch.arange(side) for side in grid))
    return torch.cat([torch.zeros(words, 3, dtype=torch.int64), cells]).to(device)


def _flux() -> Any:
    try:
        from diffusers.models.transformers import transformer_flux
    except ImportError:
        raise UserError("this model needs diffusers: pip install 'mdm-harness[images]'.") from None
    return transformer_flux
