"""The diffusion transformer of MDLM (Sahoo et al. 2024, arXiv 2406.07524; kuleshov-group/mdlm `models/dit.py`)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from harness.models.text.network import Record, attend

_FREQUENCIES = 256
"""Width of the embedding of time, which is that of time 0 in all released models."""


@dataclass(frozen=True)
class DiTShape:
    """Sizes of a `DiT`; `condition` is the width of what the layers are modulated by."""

    vocab_size: int
    width: int
    layers: int
    heads: int
    condition: int
    length: int


class DiT(nn.Module):
    """Hidden states of every position given all others; `head` turns them into logits. Time is always 0."""

    offers = frozenset({"positions", "attention_bias", "attention"})

    def __init__(self, shape: DiTShape) -> None:
        super().__init__()
        self.shape = shape
        self.vocab_size, self.length = shape.vocab_size, shape.length
        self.embed_tokens = nn.Embedding(shape.vocab_size, shape.width)
        self.time = nn.Sequential(
            nn.Linear(_FREQUENCIES, shape.condition), nn.SiLU(), nn.Linear(shape.condition, shape.condition)
        )
        self.layers = nn.ModuleList(_Layer(shape) for _ in range(shape.layers))
        self.norm = nn.LayerNorm(shape.width, bias=False)
        self.modulation = nn.Linear(shape.condition, 2 * shape.width)
        self.out = nn.Linear(shape.width, shape.vocab_size)

    @property
    def device(self) -> torch.device:
        """Where tokens are expected."""
        return self.embed_tokens.weight.device

    def settle(self, device: str) -> None:
        """There is nothing beside the weights."""

    def forward(
        self, tokens: Tensor, positions: Tensor, mask: Tensor | None, index: Tensor, record: Record | None = None
    ) -> Tensor:
        """(N, width); as in `TextNetwork.forward`."""
        x, condition = self.embed_tokens(tokens), self._condition()
        size = self.shape.width // self.shape.heads
        frequency = 1.0 / 10_000.0 ** (torch.arange(0, size, 2, device=self.device).float() / size)
        angle = positions[:, None, :, None].float() * frequency
        rotation = angle.cos(), angle.sin()  # each (B, 1, L, size / 2)
        for layer in self.layers[:-1]:
            x = layer(x, condition, rotation, mask, record)
        hidden: Tensor = self.layers[-1](x, condition, rotation, mask, record, index)
        return hidden

    def head(self, hidden: Tensor) -> Tensor:
        """(N, V) logits of hidden states (N, width)."""
        shift, scale = self.modulation(self._condition()).chunk(2, dim=-1)
        logits: Tensor = self.out(self.norm(hidden) * (1 + scale) + shift)
        return logits

    def _condition(self) -> Tensor:
        """(1, condition): the cosines and sines of time 0 are ones and zeros."""
        weight = self.modulation.weight
        zero = torch.cat([weight.new_ones(1, _FREQUENCIES // 2), weight.new_zeros(1, _FREQUENCIES // 2)], dim=-1)
        condition: Tensor = F.silu(self.time(zero))
        return condition

    def flops(self, tokens: Tensor, predicted: Tensor) -> Tensor:
        """(B,) float64; see `TextNetwork.flops`. What depends on the time alone is made once a forward, and once more
        for the head."""
        shape, length = self.shape, tokens.double()
        attention = 6 * shape.width**2 * length + 4 * shape.width * length**2
        behind = 18 * shape.width**2 * ((shape.layers - 1) * length + predicted.double())
        modulation = 12 * shape.condition * shape.width
        time = 2 * shape.condition * (_FREQUENCIES + shape.condition)
        once = 2 * time + 4 * shape.condition * shape.width
        head = 2 * shape.width * shape.vocab_size * predicted.double()
        return shape.layers * (attention + modulation) + behind + once + head


class _Layer(nn.Module):
    """Attention and MLP, each shifted, scaled and gated by the condition; with `index` (N,) it gives (N, width) at
    these flat positions, and behind the attention runs there alone."""

    def __init__(self, shape: DiTShape) -> None:
        super().__init__()
        width = shape.width
        self.heads = shape.heads
        self.norm_attention, self.norm_mlp = nn.LayerNorm(width, bias=False), nn.LayerNorm(width, bias=False)
        self.qkv, self.mix = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Linear(4 * width, width))
        self.modulation = nn.Linear(shape.condition, 6 * width)

    def forward(
        self,
        x: Tensor,
        condition: Tensor,
        rotation: tuple[Tensor, Tensor],
        mask: Tensor | None,
        record: Record | None,
        index: Tensor | None = None,
    ) -> Tensor:
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = self.modulation(condition).chunk(6, dim=-1)
        batch, length, width = x.shape
        y = self.norm_attention(x) * (1 + scale_a) + shift_a
        q, k, v = self.qkv(y).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        size = width // self.heads
        mixed = attend(_rotated(q, rotation), _rotated(k, rotation), v, mask, size**-0.5, record)
        mixed = mixed.reshape(batch, length, width)
        if index is not None:
            x, mixed = x.flatten(0, 1)[index], mixed.flatten(0, 1)[index]
        x = x + gate_a * self.mix(mixed)
        y = self.norm_mlp(x) * (1 + scale_m) + shift_m
        return torch.addcmul(x, gate_m, self.mlp(y))


def _rotated(x: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    (cos, sin), (first, second) = rotation, x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)
