"""MAGVIT-v2's codec (Yu et al. 2023, arXiv 2310.05737) as Show-o and MMaDA use it: showlab/magvitv2, the network of
Gen-Verse/MMaDA `models/modeling_magvitv2.py`. Tensors are named as in the release.

A code is the signs of 13 numbers, the first of them its highest bit: nothing is looked up.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from harness.models.image.codecs.blocks import Attention, Down, Residual, Up, norm
from harness.models.image.files import WeightsFile, fill, randomized, size_of

WIDTH = 128
"""Channels at full resolution in the release."""
_BITS = 13
_ENCODER = ((1, 4), (2, 3), (2, 4), (4, 3), (4, 4))
_DECODER = ((1, 4), (1, 4), (2, 3), (2, 4), (4, 3))
"""From the finest resolution to the coarsest: channels as multiples of the width, and residual blocks."""
_IGNORED = ("quantize.",)
"""Constants that the release stores with the weights."""


class MagVit(nn.Module):
    """Pictures (B, 3, H, W) in −1 … 1 to codes (B, h, w) int64 and back; h and w are H and W over `factor`."""

    factor = 16
    codes = 2**_BITS

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        self.encoder, self.decoder = _Encoder(width), _Decoder(width)

    def encode(self, pictures: Tensor) -> Tensor:
        """The code at each place."""
        bits = (self.encoder(pictures) > 0).permute(0, 2, 3, 1).long()
        codes: Tensor = (bits << self._places(bits)).sum(dim=-1)
        return codes

    def decode(self, codes: Tensor) -> Tensor:
        """The pictures, before they are cut off at −1 and 1."""
        signs = 2 * (codes[..., None] >> self._places(codes) & 1) - 1
        pictures: Tensor = self.decoder(signs.permute(0, 3, 1, 2).to(self.decoder.conv_in.weight.dtype))
        return pictures

    def _places(self, like: Tensor) -> Tensor:
        return torch.arange(_BITS - 1, -1, -1, device=like.device)

    @torch.inference_mode()
    def picture(self, codes: Sequence[int], grid: tuple[int, int]) -> NDArray[np.uint8]:
        """(H, W, 3) of the codes of one picture, row by row: levels ⌊255 (x + 1) / 2⌋, as MMaDA writes them."""
        device = self.decoder.conv_in.weight.device
        decoded = self.decode(torch.tensor([codes], device=device).view(1, *grid))[0].float()
        levels = (((decoded + 1) / 2).clamp(0, 1) * 255).to(torch.uint8)
        picture: NDArray[np.uint8] = levels.permute(1, 2, 0).cpu().numpy()
        return picture

    @torch.inference_mode()
    def look(self, picture: NDArray[np.uint8]) -> list[int]:
        """The codes, row by row, of a picture (H, W, 3) whose sides are multiples of `factor`."""
        weight = self.decoder.conv_in.weight
        pixels = torch.from_numpy(picture).to(weight.device, weight.dtype).permute(2, 0, 1)
        codes: list[int] = self.encode((pixels / 255 - 0.5)[None] / 0.5).flatten().tolist()
        return codes


def load_magvit(file: WeightsFile, device: str) -> MagVit:
    """The codec of a file of the release's layout, in float32; UserError where it is none."""
    tensors = file.tensors(device)
    with torch.device("meta"):
        network = MagVit(size_of(tensors, "encoder.conv_in.weight", 0, file.path))
    return fill(network, tensors, file.path, torch.float32, device, ignored=_IGNORED)


def random_magvit(device: str) -> MagVit:
    """The codec of the released size with weights that nothing was learnt in."""
    with torch.device("meta"):
        network = MagVit()
    return randomized(network, torch.float32, device)


class _Encoder(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        widths = [width * factor for factor, _ in _ENCODER]
        self.conv_in = nn.Conv2d(3, width, 3, padding=1)
        self.down = nn.ModuleList(
            _level(before, after, blocks, downsample=Down(after) if i + 1 < len(widths) else None)
            for i, (before, after, (_, blocks)) in enumerate(zip([width, *widths], widths, _ENCODER, strict=False))
        )
        self.mid = _middle(widths[-1])
        self.norm_out = norm(widths[-1])
        self.conv_out = nn.Conv2d(widths[-1], _BITS, 3, padding=1)
        self.quant_conv = nn.Conv2d(_BITS, _BITS, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_in(x)
        level: Any
        for level in self.down:
            for block in level["block"]:
                x = block(x)
            x = level["downsample"](x) if "downsample" in level else x
        for part in self.mid.values():
            x = part(x)
        values: Tensor = self.quant_conv(self.conv_out(F.silu(self.norm_out(x))))
        return values


class _Decoder(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        widths = [width * factor for factor, _ in _DECODER]
        self.post_quant_conv = nn.Conv2d(_BITS, _BITS, 1)
        self.conv_in = nn.Conv2d(_BITS, widths[-1], 3, padding=1)
        self.mid = _middle(widths[-1])
        self.up = nn.ModuleList(
            _level(before, after, blocks, upsample=Up(after) if i > 0 else None)
            for i, (before, after, (_, blocks)) in enumerate(
                zip([*widths[1:], widths[-1]], widths, _DECODER, strict=True)
            )
        )
        self.norm_out = norm(widths[0])
        self.conv_out = nn.Conv2d(widths[0], 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_in(self.post_quant_conv(x))
        for part in self.mid.values():
            x = part(x)
        level: Any
        for level in reversed(self.up):
            for block in level["block"]:
                x = block(x)
            x = level["upsample"](x) if "upsample" in level else x
        pictures: Tensor = self.conv_out(F.silu(self.norm_out(x)))
        return pictures


def _level(before: int, after: int, blocks: int, **resample: nn.Module | None) -> nn.ModuleDict:
    """Residual blocks at one resolution, and the way to the next, where there is one."""
    block = nn.ModuleList(Residual(before if i == 0 else after, after) for i in range(blocks))
    return nn.ModuleDict({"block": block, **{name: part for name, part in resample.items() if part is not None}})


def _middle(width: int) -> nn.ModuleDict:
    return nn.ModuleDict(
        {"block_1": Residual(width, width), "attn_1": Attention(width), "block_2": Residual(width, width)}
    )
