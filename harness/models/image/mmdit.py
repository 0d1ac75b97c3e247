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
from harness.models.image.cells import Cells
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

    @property
    def side(self) -> int:
        """Of a cell, in codes."""
        return 2 if self.halved else 1


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
        for each in (*self.transformer_blocks, *self.single_transformer_blocks):
            each.attn.set_processor(_attend_in_turns)
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
        self, tokens: Tensor, cells: Cells, text: Tensor, pooled: Tensor, numbers: Tensor, time: Tensor, change: Change
    ) -> Tensor:
        """(B, N, channels) of `tokens` (B, N) int64 in their `cells`, the `text` (B, n, …) and its summary `pooled`
        (B, …), the `numbers` (B, 5) of the picture and the `time` (B,); `change` is done to the embeddings."""
        x = change(_one(self.embed["conv"], self.embed["layer_norm"](self.embed["embeddings"](tokens))))
        x = self._down(_pick(x, cells.members))
        condition = self._condition(pooled, numbers, time)
        context = self.encoder_proj_layer_norm(self.context_embedder(text))
        x = self.project_to_hidden(self.project_to_hidden_norm(x))
        turns, words = self._turns(text.shape[1], cells.places), text.shape[1]
        mask = {"attention_mask": None if cells.bias is None else _with_words(cells.bias, words).to(x.dtype)}
        for block in (*self.transformer_blocks, *self.single_transformer_blocks):
            context, x = block(
                hidden_states=x,
                encoder_hidden_states=context,
                temb=condition,
                image_rotary_emb=turns,
                joint_attention_kwargs=mask,
            )
        x = self._up(self.project_from_hidden(self.project_from_hidden_norm(x)))
        return _pick(x, cells.homes)

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

    def _turns(self, words: int, places: Tensor) -> tuple[Tensor, Tensor]:
        """(…, words + C, 1, size) cosines and sines; the text is at the origin, a cell at 0, its row and column."""
        ids = F.pad(places, (1, 0, words, 0))
        turns = self.rotary(ids.flatten(0, 1))
        cosine, sine = (turn.view(*ids.shape[:2], 1, -1) for turn in turns)
        return cosine, sine

    def _down(self, x: Tensor) -> Tensor:
        """(B, C, width) of the codes (B, C, m, width) of cells."""
        if not self.shape.halved:
            return x.flatten(2)
        part: Any = self.down_block["downsample"]
        return F.linear(part["norm"](x).flatten(2), part["conv"].weight.permute(0, 2, 3, 1).flatten(1))

    def _up(self, x: Tensor) -> Tensor:
        """(B, C * m, width) of cells (B, C, width)."""
        if not self.shape.halved:
            return x
        part: Any = self.up_block["upsample"]
        return F.linear(part["norm"](x), part["conv"].weight.permute(2, 3, 1, 0).flatten(0, 2)).view(
            len(x), -1, x.shape[2]
        )

    def flops(self, tokens: Tensor, predicted: Tensor, words: int, size: int) -> Tensor:
        """(B,) float64 FLOPs of one forward of `tokens` (B,), of which `size` are the picture, and `words` tokens of
        text, with the head at `predicted` (B,) positions: matrix products only, a multiply-add is two."""
        shape, width, codes = self.shape, self.shape.width, tokens.double()
        cells = size / shape.side**2 + codes - size
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


def _one(convolution: Any, x: Tensor) -> Tensor:
    """A convolution with a kernel of 1 x 1, of (…, width)."""
    return F.linear(x, convolution.weight.flatten(1))


def _pick(x: Tensor, index: Tensor) -> Tensor:
    """(B, …, width) of `x` (B, N, width) at `index` (B or 1, …)."""
    rows = torch.arange(len(x), device=x.device).view(-1, *[1] * (index.dim() - 1))
    return x[rows, index]


def _with_words(bias: Tensor, words: int) -> Tensor:
    """(B, 1, words + C, words + C) of the `bias` (B, C, C) of cells. All see the text, and the text sees what the first
    cell sees: so it carries nothing to it that it could not see itself."""
    rows = torch.cat([bias[:, :1].expand(-1, words, -1), bias], dim=1)
    return F.pad(rows, (words, 0))[:, None]


def _attend_in_turns(
    attn: Any,
    hidden_states: Tensor,
    encoder_hidden_states: Tensor | None = None,
    attention_mask: Tensor | None = None,
    image_rotary_emb: tuple[Tensor, Tensor] | None = None,
) -> Tensor | tuple[Tensor, Tensor]:
    """The attention of Flux' blocks, under the names that diffusers calls it with, where each row may have places and a
    mask of its own."""
    assert image_rotary_emb is not None
    x = [part(hidden_states).unflatten(-1, (attn.heads, -1)) for part in (attn.to_q, attn.to_k, attn.to_v)]
    x[:2] = attn.norm_q(x[0]), attn.norm_k(x[1])
    words = 0
    if encoder_hidden_states is not None:
        words = encoder_hidden_states.shape[1]
        parts = attn.add_q_proj, attn.add_k_proj, attn.add_v_proj
        said = [part(encoder_hidden_states).unflatten(-1, (attn.heads, -1)) for part in parts]
        said[:2] = attn.norm_added_q(said[0]), attn.norm_added_k(said[1])
        x = [torch.cat(pair, dim=1) for pair in zip(said, x, strict=True)]
    q, k = (_turned(each, *image_rotary_emb) for each in x[:2])
    q, k, v = (each.transpose(1, 2) for each in (q, k, x[2]))
    mixed = F.scaled_dot_product_attention(q, k, v, attention_mask).transpose(1, 2).flatten(2)
    if encoder_hidden_states is None:
        return mixed
    return attn.to_out[0](mixed[:, words:]), attn.to_add_out(mixed[:, :words])


def _turned(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """`x` (B, L, heads, size) with each pair of neighbouring numbers turned."""
    first, second = x.float().view(*x.shape[:-1], -1, 2).unbind(-1)
    across = torch.stack([-second, first], dim=-1).flatten(-2)
    return (x.float() * cosine + across * sine).to(x.dtype)


def _flux() -> Any:
    try:
        from diffusers.models.transformers import transformer_flux
    except ImportError:
        raise UserError("this model needs diffusers: pip install 'mdm-harness[images]'.") from None
    return transformer_flux
