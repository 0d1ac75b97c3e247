"""A diffusion transformer over patches (DiT, Peebles & Xie 2023), preconditioned as in EDM (Karras et al. 2022).

As MaskDiT (Zheng et al. 2024) it has an encoder, which can run on some of the patches alone, and a smaller decoder,
which runs at all places.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SIGMA_DATA = 0.5
"""Standard deviation that images are scaled to, as in EDM."""


@dataclass(frozen=True)
class DiTConfig:
    """Sizes of a `DiT`.

    size, patch     side of the square images, and of a patch, in pixels
    classes         class labels 0 … classes − 1; label `classes` is the null class of classifier-free guidance
    width, heads
    encoder_depth, decoder_depth  blocks
    """

    size: int
    classes: int
    patch: int = 2
    width: int = 40
    heads: int = 4
    encoder_depth: int = 3
    decoder_depth: int = 1

    @property
    def places(self) -> int:
        """Number of patches."""
        return (self.size // self.patch) ** 2

    @property
    def values(self) -> int:
        """Pixels of a patch."""
        return self.patch**2

    @property
    def null_class(self) -> int:
        return self.classes


class Block(nn.Module):
    """Attention and MLP (four times as wide, GELU), each shifted, scaled and gated by the condition (adaLN-Zero)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)
        self.own = nn.Parameter(torch.zeros(6, width))

    def forward(self, x: Tensor, modulation: Tensor) -> Tensor:
        """(B, L, width) of `x` (B, L, width) and the `modulation` (B, 6, width) that all blocks share."""
        batch, length, width = x.shape
        shift, scale, gate, shift_mlp, scale_mlp, gate_mlp = (modulation + self.own)[:, :, None].unbind(1)
        qkv = self.qkv(self.norm(x) * (1 + scale) + shift).view(batch, length, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, heads, L, width / heads)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, length, width)
        x = x + gate * self.out(mixed)
        refined: Tensor = x + gate_mlp * self.down(F.gelu(self.up(self.norm(x) * (1 + scale_mlp) + shift_mlp)))
        return refined


class Blocks(nn.Module):
    """A stack of blocks with its own place embeddings, and one modulation for all of them (as PixArt-α, which spares
    a quarter of the parameters)."""

    def __init__(self, config: DiTConfig, depth: int) -> None:
        super().__init__()
        self.place = nn.Parameter(0.5 * torch.randn(config.places, config.width))
        self.modulation = nn.Linear(config.width, 6 * config.width)
        self.blocks = nn.ModuleList(Block(config.width, config.heads) for _ in range(depth))
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(self, x: Tensor, condition: Tensor, places: Tensor | None = None) -> Tensor:
        """`x` (B, n, width) at the `places` (B, n) int64, by default all, under the `condition` (B, width)."""
        x = x + (self.place if places is None else self.place[places])
        modulation = self.modulation(F.silu(condition)).view(len(x), 6, -1)
        for block in self.blocks:
            x = block(x, modulation)
        return x


class Decoder(nn.Module):
    """Blocks over all places, and the head that predicts patches."""

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        self.body = Blocks(config, config.decoder_depth)
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, config.values)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, tokens: Tensor, condition: Tensor) -> Tensor:
        """(B, places, values): the network's raw output at each place."""
        raw: Tensor = self.head(self.norm(self.body(tokens, condition)))
        return raw


class DiT(nn.Module):
    """The denoiser D(x; σ): what `x`, an image with Gaussian noise of deviation σ, was without it."""

    frequencies: Tensor

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        self.config = config
        self.patch = nn.Linear(config.values, config.width)
        self.label = nn.Embedding(config.classes + 1, config.width)
        self.time = nn.Sequential(
            nn.Linear(config.width, config.width), nn.SiLU(), nn.Linear(config.width, config.width)
        )
        self.encoder = Blocks(config, config.encoder_depth)
        self.decoder = Decoder(config)
        self.register_buffer("frequencies", torch.exp(torch.linspace(-2, 4, config.width // 2)), persistent=False)

    def forward(self, x: Tensor, sigma: Tensor, label: Tensor) -> Tensor:
        """(B, places, values) of `x` (B, places, values), `sigma` (B,) and `label` (B,) int64."""
        condition = self.condition(sigma, label)
        return self.denoised(x, sigma, self.decoder(self.encode(x, sigma, condition), condition))

    def condition(self, sigma: Tensor, label: Tensor) -> Tensor:
        """(B, width)."""
        angles = sigma.log()[:, None] / 4 * self.frequencies
        condition: Tensor = self.time(torch.cat([angles.cos(), angles.sin()], dim=-1)) + self.label(label)
        return condition

    def encode(self, x: Tensor, sigma: Tensor, condition: Tensor, places: Tensor | None = None) -> Tensor:
        """Features (B, n, width) of the noisy patches `x` (B, n, values) at the `places` (B, n), by default all."""
        scale = (sigma**2 + SIGMA_DATA**2).rsqrt()
        features: Tensor = self.encoder(self.patch(scale[:, None, None] * x), condition, places)
        return features

    def denoised(self, x: Tensor, sigma: Tensor, raw: Tensor) -> Tensor:
        """c_skip(σ) x + c_out(σ) F, with F the decoder's `raw` output (EDM, table 1)."""
        sigma = sigma[:, None, None]
        total = sigma**2 + SIGMA_DATA**2
        return SIGMA_DATA**2 / total * x + sigma * SIGMA_DATA * total.rsqrt() * raw


def patches(images: Tensor, patch: int) -> Tensor:
    """(B, places, values) of images (B, size * size), row by row."""
    size = int(images.shape[1] ** 0.5)
    side = size // patch
    return images.view(-1, side, patch, side, patch).permute(0, 1, 3, 2, 4).reshape(len(images), side**2, patch**2)


def images(patches: Tensor, patch: int) -> Tensor:
    """The inverse of `patches`."""
    side = int(patches.shape[1] ** 0.5)
    return patches.view(-1, side, side, patch, patch).permute(0, 1, 3, 2, 4).reshape(len(patches), -1)


def forward_flops(config: DiTConfig) -> float:
    """FLOPs of one forward of one image; a multiply-add is two, matrix products only."""
    width, length = config.width, config.places
    depth = config.encoder_depth + config.decoder_depth
    block = 2 * 12 * width**2 * length + 4 * width * length**2
    return depth * block + 4 * width * config.values * length + 2 * 2 * width * 6 * width + 2 * 2 * width**2
