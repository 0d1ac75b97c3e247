"""MaskGIT in PyTorch (Besnier & Chen 2023, arXiv 2310.14400; valeoai/Halton-MaskGIT at `v1.0`): 1,024 codes of
ImageNet pictures of 256 or 512 pixels, given a class. Di[M]O (Zhu et al. 2025, arXiv 2503.15457; yuanzhi-zhu/DiMO)
distils it into a student of the same layout, which the sampler `one_step` runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import isqrt

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from harness.errors import UserError
from harness.models.image.codecs.vqgan import TAMING, VQGAN, load_vqgan, random_vqgan
from harness.models.image.files import WeightsFile, count_of, fill, find_file, randomized, size_of
from harness.models.image.published import heads_of, random_shapes, renamed, revision_of
from harness.models.image.tokens import ClassDenoiser, with_extra
from harness.models.start import Change, Start
from harness.models.text.loading import dtype_of
from harness.models.text.network import attend

_HUB = "llvictorll/Maskgit-pytorch/pretrained_maskgit"
CODEC = f"{_HUB}/VQGAN/last.ckpt"
STUDENT = "Yuanzhi/DiMO/maskgit/pytorch_model.bin"


@dataclass(frozen=True)
class MaskGITShape:
    """Sizes of a `MaskGITTransformer`; `side` is that of the grid of codes, `mlp` the width of the inner layer."""

    width: int
    depth: int
    heads: int
    mlp: int
    side: int
    codes: int = 1024
    classes: int = 1000


SIZES = {str(side * 16): MaskGITShape(768, 24, 16, 3072, side) for side in (16, 32)}
"""The sizes of `MaskGIT_ImageNet_256.pth` and `MaskGIT_ImageNet_512.pth`."""


def maskgit_pytorch(
    *,
    pretrained: str = "256",
    hub_revision: str = "",
    codec: str = CODEC,
    heads: int = 0,
    random: str = "",
    dtype: str = "float32",
    device: str = "cpu",
) -> ClassDenoiser:
    """The model: `pretrained` is the release `256` or `512`, or a file; the other arguments as of `halton_maskgit`."""
    return _model("maskgit_pytorch", pretrained, hub_revision, codec, heads, random, dtype, device)


def maskgit_dimo(
    *,
    pretrained: str = STUDENT,
    hub_revision: str = "",
    codec: str = CODEC,
    mask_ratio: float = 0.6,
    perturbation: float = 0.1,
    heads: int = 0,
    random: str = "",
    dtype: str = "float32",
    device: str = "cpu",
) -> ClassDenoiser:
    """Its one-step student.

    mask_ratio    r_init, the share of the initial tokens that are masks; as in the student's training
    perturbation  σ_init, of the embeddings of the initial tokens; likewise
    """
    for name, value in (("mask_ratio", mask_ratio), ("perturbation", perturbation)):
        if not 0 <= value <= 1:
            raise UserError(f"{name} is {value!r}; it must be between 0 and 1.")
    start = mask_ratio, perturbation
    return _model("maskgit_dimo", pretrained, hub_revision, codec, heads, random, dtype, device, start)


def _parts(*, pretrained: str, hub_revision: str, codec: str, **_: object) -> tuple[WeightsFile, WeightsFile]:
    return _file(pretrained, hub_revision), find_file(codec, argument="codec")


revision = revision_of(maskgit_pytorch, _parts)
dimo_revision = revision_of(maskgit_dimo, _parts)


def _model(
    name: str,
    pretrained: str,
    hub_revision: str,
    codec: str,
    heads: int,
    random: str,
    dtype: str,
    device: str,
    start: tuple[float, float] | None = None,
) -> ClassDenoiser:
    kind = dtype_of(dtype)
    if random:
        shape, codec_shape = random_shapes(random, SIZES, MaskGITShape, TAMING)
        with torch.device("meta"):
            network = MaskGITTransformer(shape)
        network, decoder = randomized(network, kind, device), random_vqgan(codec_shape, kind, device)
    else:
        decoder = load_vqgan(find_file(codec, argument="codec"), kind, device)
        network = _load(_file(pretrained, hub_revision), decoder, heads, kind, device)
    begin = None if start is None else Start(*start, first=0, codes=network.codes)
    return ClassDenoiser(name, network, decoder, begin)


def _file(pretrained: str, hub_revision: str) -> WeightsFile:
    if pretrained in SIZES:
        pretrained = f"{_HUB}/MaskGIT/MaskGIT_ImageNet_{pretrained}.pth"
    return find_file(pretrained, hub_revision)


def _load(file: WeightsFile, codec: VQGAN, heads: int, dtype: torch.dtype, device: str) -> MaskGITTransformer:
    tensors, where = file.tensors(device), file.path
    width = size_of(tensors, "tok_emb.weight", 1, where)
    # Codes, classes and the two masks are one vocabulary; the codec tells where the classes begin.
    shape = MaskGITShape(
        width=width,
        depth=count_of(tensors, "transformer.layers."),
        heads=heads or heads_of(width, {768: 16, 1024: 16}, where),
        mlp=size_of(tensors, "transformer.layers.0.1.fn.net.0.weight", 0, where),
        side=isqrt(size_of(tensors, "pos_emb", 1, where) - 1),
        codes=codec.codes,
        classes=size_of(tensors, "tok_emb.weight", 0, where) - codec.codes - 2,
    )
    if shape.classes < 1:
        raise UserError(
            f"pretrained: {where} has {len(tensors['tok_emb.weight'])} tokens, the codec {codec.codes} codes."
        )
    with torch.device("meta"):
        network = MaskGITTransformer(shape)
    return fill(network, tensors, where, dtype, device, partial(renamed, pairs=_NAMES))


_NAMES = (
    (r"^layers\.(\d+)\.norm_attention\.", r"transformer.layers.\1.0.norm."),
    (r"^layers\.(\d+)\.in_proj_", r"transformer.layers.\1.0.fn.mha.in_proj_"),
    (r"^layers\.(\d+)\.out_proj\.", r"transformer.layers.\1.0.fn.mha.out_proj."),
    (r"^layers\.(\d+)\.norm_mlp\.", r"transformer.layers.\1.1.norm."),
    (r"^layers\.(\d+)\.up\.", r"transformer.layers.\1.1.fn.net.0."),
    (r"^layers\.(\d+)\.down\.", r"transformer.layers.\1.1.fn.net.3."),
    (r"^first\.", "first_layer."),
    (r"^last\.", "last_layer."),
)


class MaskGITTransformer(nn.Module):
    """Hidden states of every code given all others and the class, which is one more token, the last."""

    def __init__(self, shape: MaskGITShape) -> None:
        super().__init__()
        self.shape = shape
        self.codes, self.classes, self.side = shape.codes, shape.classes, shape.side
        vocabulary, length, width = shape.codes + shape.classes + 2, shape.side**2 + 1, shape.width
        self.tok_emb = nn.Embedding(vocabulary, width)
        self.pos_emb = nn.Parameter(torch.empty(1, length, width))
        # Dropout keeps its place in the numbering of the release.
        self.first = nn.Sequential(
            *(nn.LayerNorm(width, eps=_EPS), nn.Identity(), nn.Linear(width, width), nn.GELU()),
            *(nn.LayerNorm(width, eps=_EPS), nn.Identity(), nn.Linear(width, width)),
        )
        self.layers = nn.ModuleList(_Layer(shape) for _ in range(shape.depth))
        self.last = nn.Sequential(
            *(nn.LayerNorm(width, eps=_EPS), nn.Identity(), nn.Linear(width, width), nn.GELU()),
            nn.LayerNorm(width, eps=_EPS),
        )
        self.bias = nn.Parameter(torch.empty(length, vocabulary))

    @property
    def device(self) -> torch.device:
        """Where tokens are expected."""
        return self.bias.device

    def forward(self, tokens: Tensor, places: Tensor, label: Tensor, mask: Tensor | None, change: Change) -> Tensor:
        """See `Backbone`."""
        place, length = self.pos_emb[0], tokens.shape[1]
        codes = change(self.tok_emb(tokens)) + place[places]
        given = self.tok_emb(self.codes + 1 + label)[:, None] + place[-1]
        x = self.first(torch.cat([codes, given], dim=1))
        mask = with_extra(mask, 1)
        for layer in self.layers:
            x = layer(x, mask)
        hidden: Tensor = self.last(x[:, :length])
        return hidden

    def head(self, hidden: Tensor, places: Tensor) -> Tensor:
        """See `Backbone`. The matrix is the embedding, and every place has a bias of its own."""
        return F.linear(hidden, self.tok_emb.weight[: self.codes]) + self.bias[places, : self.codes]

    def flops(self, tokens: Tensor, predicted: Tensor) -> Tensor:
        """(B,) float64 FLOPs of one forward: matrix products only, a multiply-add is two."""
        shape, width = self.shape, self.shape.width
        codes, length = tokens.double(), tokens.double() + 1
        layer = (8 * width + 4 * shape.mlp) * width * length + 4 * width * length**2
        rest = 4 * width**2 * length + 2 * width**2 * codes + 2 * width * shape.codes * predicted.double()
        return shape.depth * layer + rest


_EPS = 1e-12


class _Layer(nn.Module):
    """Attention and an inner layer, each after a norm."""

    def __init__(self, shape: MaskGITShape) -> None:
        super().__init__()
        width = shape.width
        self.heads = shape.heads
        self.norm_attention, self.norm_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.empty(3 * width))
        self.out_proj = nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, shape.mlp), nn.Linear(shape.mlp, width)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        batch, length, width = x.shape
        qkv = F.linear(self.norm_attention(x), self.in_proj_weight, self.in_proj_bias)
        q, k, v = qkv.view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        x = x + self.out_proj(attend(q, k, v, mask, (width // self.heads) ** -0.5, None).flatten(2))
        refined: Tensor = x + self.down(F.gelu(self.up(self.norm_mlp(x))))
        return refined
