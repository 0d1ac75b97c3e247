"""A bidirectional transformer over tokens, with an optional class label, and the count of its FLOPs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from harness.models.start import Change, unchanged


@dataclass(frozen=True)
class TransformerConfig:
    """Sizes of a `Transformer`.

    vocab_size  tokens it predicts, 0 … vocab_size − 1; it reads one more, the mask id `vocab_size`
    length      number of position ids
    classes     class labels 0 … classes − 1; label `classes` is the null class of classifier-free guidance
    width, depth, heads
    dropout     on both residual branches while training
    """

    vocab_size: int
    length: int
    classes: int
    width: int
    depth: int
    heads: int
    dropout: float = 0.0

    @property
    def mask_id(self) -> int:
        return self.vocab_size

    @property
    def null_class(self) -> int:
        return self.classes


class Block(nn.Module):
    """Pre-norm attention and MLP (four times as wide, GELU), without biases."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width = config.width
        self.heads = config.heads
        self.norm_attention = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.norm_mlp = nn.LayerNorm(width)
        self.up = nn.Linear(width, 4 * width, bias=False)
        self.down = nn.Linear(4 * width, width, bias=False)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self,
        x: Tensor,
        attended: Tensor,
        maps: list[Tensor] | None = None,
        rotation: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """`attended` (B, 1, 1 or L, L) is a bool mask or a bias; `maps` receives the attention (B, L, L) of all heads
        averaged; `rotation` is the cosine and sine of the angles (B, 1, L, n) by which the first n pairs of components
        of queries and keys are turned."""
        batch, length, width = x.shape
        q, k, v = (
            self.qkv(self.norm_attention(x))
            .view(batch, length, 3, self.heads, width // self.heads)
            .permute(2, 0, 3, 1, 4)
        )  # each (B, heads, L, width / heads)
        if rotation is not None:
            q, k = _turn(q, *rotation), _turn(k, *rotation)
        mixed = _attend(q, k, v, attended)
        if maps is not None:
            # Beside the fused kernel, so that asking for the maps changes no logit.
            maps.append(_attention(q, k, attended).mean(dim=1))
        x = x + self.dropout(self.out(mixed.transpose(1, 2).reshape(batch, length, width)))
        refined: Tensor = x + self.dropout(self.down(F.gelu(self.up(self.norm_mlp(x)))))
        return refined


class Transformer(nn.Module):
    """Logits of every position given all the others; the class embedding is added at each position."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.token = nn.Embedding(config.vocab_size + 1, config.width)
        self.position = nn.Embedding(config.length, config.width)
        self.label = nn.Embedding(config.classes + 1, config.width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, config.vocab_size, bias=False)
        initialise(self, config.depth)

    def forward(
        self,
        tokens: Tensor,
        positions: Tensor,
        label: Tensor,
        valid: Tensor,
        attention_bias: Tensor | None = None,
        maps: list[Tensor] | None = None,
        change: Change = unchanged,
    ) -> Tensor:
        """(B, L, vocab_size) logits.

        tokens     (B, L) int64, `mask_id` where unknown
        positions  (B, L) int64, below `length`
        label      (B,) int64, `null_class` = unconditional
        valid      (B, L) bool, False = padding, which no position attends to
        attention_bias  (B, L, L), added to the attention scores of every layer
        maps       receives each layer's attention (B, L, L), averaged over heads
        change     of the tokens' embeddings (B, L, width)
        """
        x = change(self.token(tokens)) + self.position(positions) + self.label(label)[:, None]
        # The mask is passed even when all is valid: another kernel would round a row by what its neighbours are.
        attended = valid[:, None, None, :]
        if attention_bias is not None:
            attended = attention_bias[:, None].to(x.dtype) + as_bias(attended)
        for block in self.blocks:
            x = block(x, attended, maps)
        logits: Tensor = self.head(self.norm(x))
        return logits


def initialise(network: nn.Module, depth: int) -> None:
    """Products of unit scale, residual branches of `depth` blocks that add up to unit scale, and, where there is a
    `head`, a uniform first prediction."""
    for module in network.modules():
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=0.5)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=module.in_features**-0.5)
    for block in network.modules():
        for branch in (block.out, block.down) if isinstance(block, Block) else ():
            nn.init.normal_(branch.weight, std=(2 * depth * branch.in_features) ** -0.5)
    nn.init.zeros_(network.head.weight)  # type: ignore[arg-type, union-attr]


def _attend(q: Tensor, k: Tensor, v: Tensor, attended: Tensor) -> Tensor:
    if q.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
        # The fused kernel's bfloat16 is six times slower there, backwards, than matrix products.
        return _attention(q, k, attended) @ v
    return F.scaled_dot_product_attention(q, k, v, attn_mask=attended)


def _attention(q: Tensor, k: Tensor, attended: Tensor) -> Tensor:
    bias = attended if attended.is_floating_point() else as_bias(attended)
    weights: Tensor = (q @ k.mT / q.shape[-1] ** 0.5 + bias).softmax(dim=-1)
    return weights


def _turn(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Rotary embedding (RoFormer, Su et al. 2021) of the first 2n components: i and n + i are a point in a plane."""
    pairs = cosine.shape[-1]
    first, second, rest = x[..., :pairs], x[..., pairs : 2 * pairs], x[..., 2 * pairs :]
    return torch.cat([first * cosine - second * sine, first * sine + second * cosine, rest], dim=-1)


def as_bias(attended: Tensor) -> Tensor:
    """0 where `attended` is True, −inf elsewhere."""
    return torch.zeros(attended.shape, device=attended.device).masked_fill(~attended, float("-inf"))


def forward_flops(config: TransformerConfig, tokens: Tensor) -> Tensor:
    """(B,) float64: FLOPs of one forward over `tokens` (B,) tokens; a multiply-add is two, matrix products only."""
    length = tokens.double()
    block = 2 * 12 * config.width**2 * length + 4 * config.width * length**2
    return config.depth * block + 2 * config.width * config.vocab_size * length
