"""Halton-MaskGIT (Besnier et al. 2025, arXiv 2503.17076; valeoai/Halton-MaskGIT `Network/transformer.py`): codes of
ImageNet pictures of 256 or 384 pixels, given a class. Tensors are named as in its release."""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from harness.models.image.codecs.vqgan import LLAMAGEN, VQGAN, load_vqgan, random_vqgan
from harness.models.image.files import WeightsFile, count_of, fill, find_file, randomized, size_of
from harness.models.image.published import heads_of, random_shapes, revision_of
from harness.models.image.tokens import ClassDenoiser, with_extra
from harness.models.start import Change
from harness.models.text.loading import dtype_of
from harness.models.text.network import attend

_EPS = 1e-5
CODEC = "FoundationVision/LlamaGen/vq_ds16_c2i.pt"


@dataclass(frozen=True)
class HaltonShape:
    """Sizes of a `HaltonTransformer`.

    side       of the grid of codes
    heads      each ⌊width / heads⌋ wide
    registers  further tokens, which stand for nothing
    """

    width: int
    depth: int
    heads: int
    side: int
    codes: int = 16384
    classes: int = 1000
    registers: int = 1

    @property
    def mlp(self) -> int:
        """Width of the gated layer: two thirds of four times the width, up to the next multiple of 256."""
        return 256 * -(-int(8 * self.width / 3) // 256)


SIZES = {
    f"{side * 16}_{name}": HaltonShape(width, depth, heads, side)
    for side in (16, 24)
    for name, width, depth, heads in (
        ("tiny", 384, 6, 6),
        ("small", 512, 12, 6),
        ("base", 768, 12, 12),
        ("large", 1024, 24, 16),
    )
}
"""The sizes of `ImageNet_256_tiny.pth` and its kin; 384_tiny and 256_large were not released."""
_HEADS = {shape.width: shape.heads for shape in SIZES.values()}


def halton_maskgit(
    *,
    pretrained: str = "256_base",
    hub_revision: str = "",
    codec: str = CODEC,
    heads: int = 0,
    random: str = "",
    dtype: str = "float32",
    device: str = "cpu",
) -> ClassDenoiser:
    """The model.

    pretrained    a release such as `256_base` or `384_large`, a file, or `owner/name/file` on the hub
    hub_revision  branch, tag or commit on the hub; empty = its default branch
    codec         the codec's file, here or on the hub
    heads         attention heads, which a file does not tell; 0 = as in the release of that width
    random        random weights instead, of a published size or of the `config.json` in a folder
    dtype         of weights and logits: float32, bfloat16, float16
    """
    kind = dtype_of(dtype)
    if random:
        shape, codec_shape = random_shapes(random, SIZES, HaltonShape, LLAMAGEN)
        with torch.device("meta"):
            network = HaltonTransformer(shape)
        return _model(randomized(network, kind, device), random_vqgan(codec_shape, kind, device))
    network = _load(_file(pretrained, hub_revision), heads, kind, device)
    return _model(network, load_vqgan(find_file(codec, argument="codec"), kind, device))


def _parts(*, pretrained: str, hub_revision: str, codec: str, **_: object) -> tuple[WeightsFile, WeightsFile]:
    return _file(pretrained, hub_revision), find_file(codec, argument="codec")


revision = revision_of(halton_maskgit, _parts)


def _file(pretrained: str, hub_revision: str) -> WeightsFile:
    if pretrained in SIZES:
        pretrained = f"llvictorll/Halton-Maskgit/ImageNet_{pretrained}.pth"
    return find_file(pretrained, hub_revision)


def _load(file: WeightsFile, heads: int, dtype: torch.dtype, device: str) -> HaltonTransformer:
    tensors, where = file.tensors(device), file.path
    width = size_of(tensors, "tok_emb.weight", 1, where)
    shape = HaltonShape(
        width=width,
        depth=count_of(tensors, "transformer.layers."),
        heads=heads or heads_of(width, _HEADS, where),
        side=isqrt(size_of(tensors, "pos_emb.weight", 0, where)),
        codes=size_of(tensors, "tok_emb.weight", 0, where) - 1,
        classes=size_of(tensors, "cls_emb.weight", 0, where) - 1,
        registers=len(tensors.get("reg_tokens.weight", ())),
    )
    with torch.device("meta"):
        network = HaltonTransformer(shape)
    # The head's matrix is the embedding's.
    return fill(network, tensors, where, dtype, device, _official, ignored=("head.weight",))


def _official(name: str) -> str:
    name = name.replace("head_bias", "head.bias").replace("last_norm.norm_", "last_norm.norm_final.")
    return f"transformer.{name}" if name.startswith("layers.") else name


def _model(network: HaltonTransformer, codec: VQGAN) -> ClassDenoiser:
    return ClassDenoiser("halton_maskgit", network, codec)


class HaltonTransformer(nn.Module):
    """Hidden states of every code given all others and the class, which shifts, scales and gates all layers."""

    def __init__(self, shape: HaltonShape) -> None:
        super().__init__()
        self.shape = shape
        self.codes, self.classes, self.side = shape.codes, shape.classes, shape.side
        self.cls_emb = nn.Embedding(shape.classes + 1, shape.width)
        self.tok_emb = nn.Embedding(shape.codes + 1, shape.width)
        self.pos_emb = nn.Embedding(shape.side**2, shape.width)
        self.layers = nn.ModuleList(_Block(shape) for _ in range(shape.depth))
        self.last_norm = _LastNorm(shape.width)
        self.head_bias = nn.Parameter(torch.empty(shape.codes + 1))
        if shape.registers:
            self.reg_tokens = nn.Embedding(shape.registers, shape.width)

    @property
    def device(self) -> torch.device:
        """Where tokens are expected."""
        return self.tok_emb.weight.device

    def forward(self, tokens: Tensor, places: Tensor, label: Tensor, mask: Tensor | None, change: Change) -> Tensor:
        """See `Backbone`."""
        condition, length = self.cls_emb(label), tokens.shape[1]
        x = change(self.tok_emb(tokens)) + self.pos_emb(places)
        if self.shape.registers:
            x = torch.cat([x, self.reg_tokens.weight.expand(len(x), -1, -1)], dim=1)
        mask = with_extra(mask, self.shape.registers)
        for layer in self.layers:
            x = layer(x, condition, mask)
        hidden: Tensor = self.last_norm(x[:, :length], condition)
        return hidden

    def head(self, hidden: Tensor, places: Tensor) -> Tensor:
        """See `Backbone`. The matrix is the embedding."""
        return F.linear(hidden, self.tok_emb.weight[:-1], self.head_bias[:-1])

    def flops(self, tokens: Tensor, predicted: Tensor) -> Tensor:
        """(B,) float64 FLOPs of one forward: matrix products only, a multiply-add is two."""
        shape, length = self.shape, tokens.double() + self.shape.registers
        inner = shape.heads * (shape.width // shape.heads)
        layer = (8 * inner + 6 * shape.mlp) * shape.width * length + 4 * inner * length**2 + 12 * shape.width**2
        return shape.depth * layer + 4 * shape.width**2 + 2 * shape.width * shape.codes * predicted.double()


class _Block(nn.Module):
    """Attention and a gated layer, each shifted, scaled and gated by the condition."""

    def __init__(self, shape: HaltonShape) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.SiLU(), nn.Linear(shape.width, 6 * shape.width))
        self.ln1, self.ln2 = (nn.RMSNorm(shape.width, eps=_EPS) for _ in range(2))
        self.attn, self.ff = _Attention(shape.width, shape.heads), _GatedLayer(shape.width, shape.mlp)

    def forward(self, x: Tensor, condition: Tensor, mask: Tensor | None) -> Tensor:
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = self.mlp(condition)[:, None].chunk(6, dim=-1)
        x = x + gate_a * self.attn(self.ln1(x) * (1 + scale_a) + shift_a, mask)
        refined: Tensor = x + gate_m * self.ff(self.ln2(x) * (1 + scale_m) + shift_m)
        return refined


class _Attention(nn.Module):
    """Queries and keys are normalised over all heads together."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.size = heads, width // heads
        inner = heads * self.size
        self.wq, self.wk, self.wv = (nn.Linear(width, inner, bias=False) for _ in range(3))
        self.wo = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        q, k, v = self.wq(x), self.wk(x), self.wv(x)
        q, k = (F.rms_norm(each, each.shape[-1:], eps=_EPS) for each in (q, k))
        q, k, v = (each.view(*each.shape[:2], self.heads, self.size).transpose(1, 2) for each in (q, k, v))
        mixed: Tensor = self.wo(attend(q, k, v, mask, self.size**-0.5, None).flatten(2))
        return mixed


class _GatedLayer(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.w1, self.w3 = (nn.Linear(width, inner, bias=False) for _ in range(2))
        self.w2 = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.w2(F.silu(self.w1(x)) * self.w3(x))
        return y


class _LastNorm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm_weight, self.norm_bias = (nn.Parameter(torch.empty(width)) for _ in range(2))
        self.mlp = nn.Sequential(nn.SiLU(), nn.Linear(width, 2 * width))

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        shift, scale = self.mlp(condition)[:, None].chunk(2, dim=-1)
        x = F.rms_norm(x, x.shape[-1:], self.norm_weight, _EPS) + self.norm_bias
        shifted: Tensor = x * (1 + scale) + shift
        return shifted
