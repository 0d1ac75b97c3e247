"""The convolutional codec of VQGAN (Esser et al. 2021, arXiv 2012.09841), as CompVis/taming-transformers and LlamaGen
(Sun et al. 2024, arXiv 2406.06525; FoundationVision/LlamaGen `tokenizer/tokenizer_image/vq_model.py`) release it.

The network is the same in both; tensors are named as in LlamaGen. Its codes are normalised to length 1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from harness.models.image.codecs.blocks import Attention, Down, Residual, Up, norm
from harness.models.image.files import WeightsFile, count_of, fill, randomized, size_of

_IGNORED = ("loss.", "quantize.codebook_used")
"""In the files of a release, and only of use to its training."""


@dataclass(frozen=True)
class CodecShape:
    """Sizes of a `VQGAN`.

    codes, size  number of codes, and of values of each
    width        channels at full resolution; at each halving of the sides they are `multipliers` times as many
    blocks       residual blocks at each resolution of the encoder; the decoder has one more
    channels     of what is between the network and the codes
    unit         codes have length 1 (LlamaGen)
    """

    codes: int
    size: int
    width: int = 128
    multipliers: tuple[int, ...] = (1, 1, 2, 2, 4)
    blocks: int = 2
    channels: int = 256
    unit: bool = False


LLAMAGEN = CodecShape(codes=16384, size=8, unit=True)
"""`vq_ds16_c2i.pt`."""
TAMING = CodecShape(codes=1024, size=256)
"""`vqgan_imagenet_f16_1024`."""


class VQGAN(nn.Module):
    """Pictures (B, 3, H, W) in −1 … 1 to codes (B, h, w) int64 and back; h and w are H and W over `factor`."""

    def __init__(self, shape: CodecShape) -> None:
        super().__init__()
        self.shape = shape
        self.factor = 2 ** (len(shape.multipliers) - 1)
        self.encoder, self.decoder = _Encoder(shape), _Decoder(shape)
        self.quantize = nn.ModuleDict({"embedding": nn.Embedding(shape.codes, shape.size)})
        self.quant_conv = nn.Conv2d(shape.channels, shape.size, 1)
        self.post_quant_conv = nn.Conv2d(shape.size, shape.channels, 1)

    @property
    def codes(self) -> int:
        """How many codes there are."""
        return self.shape.codes

    def encode(self, pictures: Tensor) -> Tensor:
        """The nearest code at each place."""
        values = self.quant_conv(self.encoder(pictures)).permute(0, 2, 3, 1)
        book = self._book()
        values = F.normalize(values, dim=-1) if self.shape.unit else values
        return torch.cdist(values.flatten(0, 2), book).argmin(dim=1).view(values.shape[:3])

    def decode(self, codes: Tensor) -> Tensor:
        """The pictures, before they are cut off at −1 and 1."""
        pictures: Tensor = self.decoder(self.post_quant_conv(self._book()[codes].permute(0, 3, 1, 2)))
        return pictures

    def _book(self) -> Tensor:
        book = self.quantize["embedding"].weight
        assert isinstance(book, Tensor)
        return F.normalize(book, dim=-1) if self.shape.unit else book

    @torch.inference_mode()
    def picture(self, codes: Sequence[int], grid: tuple[int, int]) -> NDArray[np.uint8]:
        """(H, W, 3) of the codes of one picture, row by row: levels ⌊127.5 x + 128⌋, as LlamaGen and DiT write them."""
        decoded = self.decode(torch.tensor([codes], device=self._book().device).view(1, *grid))[0]
        levels = (127.5 * decoded.float() + 128).clamp(0, 255).to(torch.uint8)
        picture: NDArray[np.uint8] = levels.permute(1, 2, 0).cpu().numpy()
        return picture


def load_vqgan(file: WeightsFile, dtype: torch.dtype, device: str) -> VQGAN:
    """The codec of a file of either release; UserError where it is none."""
    tensors = file.tensors(device)
    taming = any(key.startswith("decoder.up.") for key in tensors)
    shape = _shape_of(tensors, taming, file.path)
    with torch.device("meta"):
        network = VQGAN(shape)
    levels = len(shape.multipliers)
    return fill(
        network, tensors, file.path, dtype, device, lambda name: _taming(name, levels) if taming else name, _IGNORED
    )


def random_vqgan(shape: CodecShape, dtype: torch.dtype, device: str) -> VQGAN:
    """A codec with weights that nothing was learnt in."""
    with torch.device("meta"):
        network = VQGAN(shape)
    return randomized(network, dtype, device)


def _shape_of(tensors: Mapping[str, Tensor], taming: bool, where: Any) -> CodecShape:
    level, block = ("down", "block") if taming else ("conv_blocks", "res")
    levels = count_of(tensors, f"encoder.{level}.")
    width = size_of(tensors, "encoder.conv_in.weight", 0, where)
    widths = [size_of(tensors, f"encoder.{level}.{i}.{block}.0.conv1.weight", 0, where) for i in range(levels)]
    return CodecShape(
        codes=size_of(tensors, "quantize.embedding.weight", 0, where),
        size=size_of(tensors, "quantize.embedding.weight", 1, where),
        width=width,
        multipliers=tuple(each // width for each in widths),
        blocks=count_of(tensors, f"encoder.{level}.0.{block}."),
        channels=size_of(tensors, "encoder.conv_out.weight", 0, where),
        unit=not taming,
    )


def _taming(name: str, levels: int) -> str:
    """The name in taming-transformers of a tensor: there the decoder's levels are counted from the finest."""
    name = re.sub(r"decoder\.conv_blocks\.(\d+)", lambda match: f"decoder.up.{levels - 1 - int(match[1])}", name)
    name = re.sub(r"encoder\.conv_blocks\.", "encoder.down.", name).replace(".res.", ".block.")
    for place, theirs in enumerate(("block_1", "attn_1", "block_2")):
        name = name.replace(f".mid.{place}.", f".mid.{theirs}.")
    return name


class _Encoder(nn.Module):
    def __init__(self, shape: CodecShape) -> None:
        super().__init__()
        widths = [shape.width * each for each in shape.multipliers]
        last = len(widths) - 1
        self.conv_in = nn.Conv2d(3, shape.width, 3, padding=1)
        self.conv_blocks = nn.ModuleList(
            _Level(before, after, shape.blocks, attention=i == last, resample=None if i == last else Down)
            for i, (before, after) in enumerate(zip([shape.width, *widths], widths, strict=False))
        )
        self.mid = _middle(widths[-1])
        self.norm_out = norm(widths[-1])
        self.conv_out = nn.Conv2d(widths[-1], shape.channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_in(x)
        for part in (*self.conv_blocks, *self.mid):
            x = part(x)
        values: Tensor = self.conv_out(F.silu(self.norm_out(x)))
        return values


class _Decoder(nn.Module):
    def __init__(self, shape: CodecShape) -> None:
        super().__init__()
        widths = [shape.width * each for each in reversed(shape.multipliers)]
        last = len(widths) - 1
        self.conv_in = nn.Conv2d(shape.channels, widths[0], 3, padding=1)
        self.mid = _middle(widths[0])
        self.conv_blocks = nn.ModuleList(
            _Level(before, after, shape.blocks + 1, attention=i == 0, resample=None if i == last else Up)
            for i, (before, after) in enumerate(zip([widths[0], *widths], widths, strict=False))
        )
        self.norm_out = norm(widths[-1])
        self.conv_out = nn.Conv2d(widths[-1], 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_in(x)
        for part in (*self.mid, *self.conv_blocks):
            x = part(x)
        pictures: Tensor = self.conv_out(F.silu(self.norm_out(x)))
        return pictures


class _Level(nn.Module):
    """Residual blocks at one resolution, with attention after each at the coarsest, and the way to the next."""

    def __init__(self, before: int, after: int, blocks: int, attention: bool, resample: type[nn.Module] | None) -> None:
        super().__init__()
        self.res = nn.ModuleList(Residual(before if i == 0 else after, after) for i in range(blocks))
        self.attn = nn.ModuleList(Attention(after) for _ in range(blocks if attention else 0))
        self.downsample = resample(after) if resample is Down else None
        self.upsample = resample(after) if resample is Up else None

    def forward(self, x: Tensor) -> Tensor:
        for i, block in enumerate(self.res):
            x = block(x)
            if len(self.attn):
                x = self.attn[i](x)
        for resample in (self.downsample, self.upsample):
            if resample is not None:
                x = resample(x)
        return x


def _middle(width: int) -> nn.ModuleList:
    return nn.ModuleList([Residual(width, width), Attention(width), Residual(width, width)])
