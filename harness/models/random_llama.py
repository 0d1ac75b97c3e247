"""A network of LLaDA's shape with random weights: what samplers are checked and timed on. It offers every capability.

Pre-norm RMSNorm, rotary positions, SwiGLU three times as wide, attention in both directions, no biases (Nie et al.
2025, arXiv 2502.09992, table 5). Two things are added: a class embedding, so that guidance has something to guide, and
a shift proportional to the time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from harness.models.base import Inputs, Row
from harness.models.start import Start, begun
from harness.task import Output, Request

CLASSES = 8


@dataclass(frozen=True)
class Shape:
    """Sizes of a `RandomLlama`; `vocab_size` counts the mask id, which is the last token."""

    vocab_size: int
    width: int
    depth: int
    heads: int


class RandomLlama(nn.Module):
    """Hidden states of every position given all the others; `head` turns them into logits."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.token = nn.Embedding(shape.vocab_size, shape.width)
        self.label = nn.Embedding(CLASSES, shape.width)
        self.start = Start(mask_ratio=0.5, perturbation=0.1, first=0, codes=shape.vocab_size - 1)
        self.half_head = shape.width // shape.heads // 2
        self.time = nn.Parameter(torch.randn(shape.width))
        self.blocks = nn.ModuleList(_Block(shape.width, shape.heads) for _ in range(shape.depth))
        self.norm = nn.RMSNorm(shape.width)
        self.head = nn.Linear(shape.width, shape.vocab_size, bias=False)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=2 * module.in_features**-0.5)

    def forward(self, inputs: Inputs, index: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """(B, L, width), with `index` (N,) those (N, width) of these flat positions alone; and where `inputs.outputs`
        asks for it the attention (B, depth, L, L), averaged over heads."""
        tokens, change = begun(self.start, inputs, self.token.num_embeddings - 1)
        x = change(self.token(tokens)) + self.label(inputs.condition["label"])[:, None]
        if inputs.time is not None:
            x = x + inputs.time.to(x.dtype)[:, None, None] * self.time
        bias = torch.zeros_like(inputs.valid, dtype=x.dtype).masked_fill(~inputs.valid, float("-inf"))[:, None, None]
        if inputs.attention_bias is not None:
            bias = bias + inputs.attention_bias.to(x.dtype)[:, None]
        maps, rotation = [], self._rotation(inputs.positions, x.dtype)
        for i, block in enumerate(self.blocks, 1):
            last = index if i == len(self.blocks) else None
            x, attention = block(x, rotation, bias, "attention" in inputs.outputs, last)
            if attention is not None:
                maps.append(attention.mean(dim=1))
        return self.norm(x), torch.stack(maps, dim=1) if maps else None

    def _rotation(self, positions: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Cosine and sine, each (B, 1, L, width / heads / 2), of the rotary angles."""
        half = self.half_head
        frequency = 10_000.0 ** (-torch.arange(half, dtype=torch.float64, device=positions.device) / half)
        angle = (positions[:, None, :, None] * frequency).to(dtype)
        return angle.cos(), angle.sin()


class _Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention, self.norm_mlp = nn.RMSNorm(width), nn.RMSNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        self.gate, self.up = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, 3 * width, bias=False)
        self.down = nn.Linear(3 * width, width, bias=False)

    def forward(
        self, x: Tensor, rotation: tuple[Tensor, Tensor], bias: Tensor, maps: bool, index: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """With `index` (N,) it gives (N, width) at these flat positions, and behind the attention runs there alone."""
        batch, length, width = x.shape
        q, k, v = self.qkv(self.norm_attention(x)).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        q, k = _rotated(q, rotation), _rotated(k, rotation)  # each (B, heads, L, width / heads)
        attention = None
        if maps:
            attention = torch.softmax(q @ k.mT * q.shape[-1] ** -0.5 + bias, dim=-1)
            mixed = attention @ v
        else:
            mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        mixed = mixed.transpose(1, 2).reshape(batch, length, width)
        if index is not None:
            x, mixed = x.flatten(0, 1)[index], mixed.flatten(0, 1)[index]
        x = x + self.out(mixed)
        y = self.norm_mlp(x)
        return x + self.down(F.silu(self.gate(y)) * self.up(y)), attention


def _rotated(x: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    (cos, sin), (first, second) = rotation, x.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


class RandomDenoiser:
    """A `RandomLlama` of seeded weights behind the protocol `Denoiser`. The condition is `label`, 0 = none.

    length        positions to generate, unless the request says
    prompt        tokens before them
    eos           tokens that end a text
    capabilities  what it offers; `grid` among them makes its rows images, `schedule` gives its positions rates
    bucket        rows are padded to a multiple of it
    dtype         of the network; logits are float32
    """

    def __init__(
        self,
        shape: Shape,
        length: int,
        prompt: Sequence[int] = (),
        eos: Sequence[int] = (),
        capabilities: frozenset[str] = frozenset(
            {"guidance", "positions", "attention_bias", "time", "attention", "schedule", "start"}
        ),
        bucket: int = 1,
        dtype: torch.dtype = torch.float32,
        device: str = "cpu",
    ) -> None:
        with torch.random.fork_rng(devices=()), torch.device("cpu"):
            torch.manual_seed(0)
            self.network = RandomLlama(shape).eval().requires_grad_(False).to(device, dtype)
        self.shape, self.length, self.prompt = shape, length, tuple(prompt)
        self.vocab_size, self.mask_id = shape.vocab_size, shape.vocab_size - 1
        self.eos_ids, self.capabilities, self.length_bucket = frozenset(eos), capabilities, bucket
        self.device = torch.device(device)

    def encode(self, request: Request) -> Row:
        """The prompt, and as many masks as the request asks for."""
        length = request.length or self.length
        tokens = (*self.prompt, *[self.mask_id] * length)
        editable = (*[False] * len(self.prompt), *[True] * length)
        grid = _grid(length) if "grid" in self.capabilities else None
        # Rates from 1/e to e, in no order.
        schedule = [math.cos(5.0 * i) for i in range(len(tokens))] if "schedule" in self.capabilities else None
        return Row(tokens, editable, {"label": request.condition.get("label", 0)}, grid, schedule=schedule)

    def decode(self, tokens: Sequence[int]) -> Output:
        """The tokens themselves."""
        return Output(tokens=tuple(tokens))

    def logits(self, inputs: Inputs, index: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        """(N, V) float32 logits at the flat positions `index` (N,); −inf at the mask id."""
        hidden, attention = self.network(inputs, index)
        logits = self.network.head(hidden).float()
        logits[:, self.mask_id] = float("-inf")
        return logits, {} if attention is None else {"attention": attention}

    def unconditional(self, inputs: Inputs) -> Inputs:
        """The same rows without their label."""
        return replace(inputs, condition={"label": torch.zeros_like(inputs.condition["label"])})

    def flops(self, tokens: Tensor, predicted: Tensor) -> Tensor:
        """(B,) float64: matrix products only; a multiply-add is two."""
        width, length = self.shape.width, tokens.double()
        attention = 2 * 3 * width**2 * length + 4 * width * length**2
        behind = 2 * 10 * width**2 * ((self.shape.depth - 1) * length + predicted.double())
        return self.shape.depth * attention + behind + 2 * width * self.vocab_size * predicted.double()


def _grid(length: int) -> tuple[int, int]:
    """The most nearly square grid of `length` cells."""
    height = next(height for height in range(int(length**0.5), 0, -1) if length % height == 0)
    return height, length // height
