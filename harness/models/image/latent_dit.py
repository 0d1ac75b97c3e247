"""DiT (Peebles & Xie 2023, arXiv 2212.09748; facebookresearch/DiT `models.py`): continuous diffusion of an
autoencoder's latents, given a class. What MC-DiT and its baselines are at inference, and run by `heun` and `ddim`.

The network predicts the noise of a variance-preserving process of 1,000 steps. The generators ask for the picture
behind noise of deviation σ, which is x − σ ε(x / √(1 + σ²), t) at the t whose noise is as strong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import isqrt, log

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from harness.errors import UserError
from harness.models.base import Row
from harness.models.image.codecs.find import WeightsFolder, codec_file
from harness.models.image.codecs.kl import KLCodec, KLShape, load_kl, random_kl
from harness.models.image.files import WeightsFile, count_of, fill, find_file, randomized, size_of
from harness.models.image.published import heads_of, label_of, random_shapes, renamed, revision_of
from harness.models.text.checkpoint import find_checkpoint
from harness.models.text.loading import dtype_of
from harness.models.text.network import attend
from harness.task import Output, Request

_FREQUENCIES, _EPS = 256, 1e-6
_RELEASE = "https://dl.fbaipublicfiles.com/DiT/models/DiT-XL-2-256x256.pt"


@dataclass(frozen=True)
class DiTShape:
    """Sizes of a `LatentDiT`: `side` and `channels` are those of the latents, `patch` is the side of a token."""

    width: int
    depth: int
    heads: int
    side: int
    patch: int = 2
    channels: int = 4
    classes: int = 1000


SIZES = {
    f"{side * 8}_{name}": DiTShape(width, depth, heads, side)
    for side in (32, 64)
    for name, width, depth, heads in (
        ("s2", 384, 12, 6),
        ("b2", 768, 12, 12),
        ("l2", 1024, 24, 16),
        ("xl2", 1152, 28, 16),
    )
}
_HEADS = {shape.width: shape.heads for shape in SIZES.values()}


def dit(
    *,
    pretrained: str = "",
    hub_revision: str = "",
    vae: str = "stabilityai/sd-vae-ft-ema",
    heads: int = 0,
    random: str = "",
    dtype: str = "float32",
    device: str = "cpu",
) -> DiTModel:
    """The model.

    pretrained    a file such as `DiT-XL-2-256x256.pt`, or `owner/name/file` on the hub
    hub_revision  branch, tag or commit on the hub; empty = its default branch
    vae           the autoencoder, a folder in diffusers' layout or a name on the hub
    heads         attention heads, which a file does not tell; 0 = as in the DiT of that width
    random        random weights instead, of a size such as `256_xl2` or of the `config.json` in a folder
    dtype         of the network's weights: float32, bfloat16, float16; the autoencoder's are float32
    """
    kind = dtype_of(dtype)
    if random:
        shape, kl_shape = random_shapes(random, SIZES, DiTShape, KLShape(), "vae")
        with torch.device("meta"):
            network = LatentDiT(shape)
        return DiTModel(randomized(network, kind, device), random_kl(kl_shape, device))
    network = _load(_file(pretrained, hub_revision), heads, kind, device)
    return DiTModel(network, load_kl(codec_file(find_checkpoint(vae), argument="vae"), device))


def _parts(*, pretrained: str, hub_revision: str, vae: str, **_: object) -> tuple[WeightsFile, WeightsFolder]:
    return _file(pretrained, hub_revision), WeightsFolder(find_checkpoint(vae))


revision = revision_of(dit, _parts)


def _file(pretrained: str, hub_revision: str) -> WeightsFile:
    if not pretrained:
        raise UserError(f"model 'dit' needs pretrained, the file of its weights; get it from {_RELEASE}")
    return find_file(pretrained, hub_revision)


def _load(file: WeightsFile, heads: int, dtype: torch.dtype, device: str) -> LatentDiT:
    tensors, where = file.tensors(device), file.path
    width, patch = (size_of(tensors, "x_embedder.proj.weight", axis, where) for axis in (0, 3))
    shape = DiTShape(
        width=width,
        depth=count_of(tensors, "blocks."),
        heads=heads or heads_of(width, _HEADS, where),
        side=patch * isqrt(size_of(tensors, "pos_embed", 1, where)),
        patch=patch,
        channels=size_of(tensors, "x_embedder.proj.weight", 1, where),
        classes=size_of(tensors, "y_embedder.embedding_table.weight", 0, where) - 1,
    )
    with torch.device("meta"):
        network = LatentDiT(shape)
    return fill(network, tensors, where, dtype, device, partial(renamed, pairs=_NAMES))


_NAMES = (
    (r"^last_modulation\.", "final_layer.adaLN_modulation.1."),
    (r"^last\.", "final_layer.linear."),
    (r"^patches\.", "x_embedder.proj."),
    (r"^time\.", "t_embedder.mlp."),
    (r"^label\.", "y_embedder.embedding_table."),
    (r"^place$", "pos_embed"),
    (r"\.modulation\.", ".adaLN_modulation.1."),
    (r"\.qkv\.", ".attn.qkv."),
    (r"\.out\.", ".attn.proj."),
    (r"\.up\.", ".mlp.fc1."),
    (r"\.down\.", ".mlp.fc2."),
)


class DiTModel:
    """A `LatentDiT` behind the protocol `Network`; the condition is `label` (B,)."""

    vocab_size = mask_id = 0
    eos_ids: frozenset[int] = frozenset()
    capabilities = frozenset({"denoises_pixels", "guidance"})
    length_bucket = 1

    def __init__(self, transformer: LatentDiT, codec: KLCodec) -> None:
        shape = transformer.shape
        if codec.channels != shape.channels:
            raise UserError(
                f"vae: its latents have {codec.channels} channels, and the network's {shape.channels}. Use the "
                "autoencoder that it was trained with."
            )
        self.transformer, self.codec, self.shape = transformer, codec, shape
        self.device = transformer.place.device
        beta = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64, device=self.device)
        kept = (1 - beta).cumprod(dim=0)
        self._levels = ((1 - kept) / kept).sqrt().log()

    def encode(self, request: Request) -> Row:
        """A picture of the class `label` to make; UserError for another condition, a prompt or another length."""
        size = self.shape.channels * self.shape.side**2
        label = label_of(request, "dit", size, "numbers", self.shape.classes)
        return Row((0,) * size, (True,) * size, {"label": label})

    def decode(self, values: Sequence[float]) -> Output:
        """The picture that the autoencoder makes of the latents."""
        return Output(image=self.codec.picture(values, self.shape.side))

    @torch.inference_mode()
    def network(self, condition: Mapping[str, Tensor], inputs: Mapping[str, Tensor]) -> Tensor:
        """(B, values) float32: the latents `x` (B, values) without their noise of deviation `sigma` (B,)."""
        shape, sigma = self.shape, inputs["sigma"].double()
        x = inputs["x"].double()
        scaled = (x / (1 + sigma[:, None] ** 2).sqrt()).view(-1, shape.channels, shape.side, shape.side)
        noise = self.transformer(scaled.to(self.transformer.place.dtype), self.time(sigma), condition["label"].long())
        clean: Tensor = x - sigma[:, None] * noise.flatten(1).double()
        return clean.float()

    def time(self, sigma: Tensor) -> Tensor:
        """(B,) float32: the step, between whole ones too, whose noise is `sigma`; the nearest beyond either end."""
        level = sigma.double().log()
        after = torch.searchsorted(self._levels, level).clamp(1, len(self._levels) - 1)
        low, high = self._levels[after - 1], self._levels[after]
        return (after - 1 + ((level - low) / (high - low)).clamp(0, 1)).float()

    def null(self, condition: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The label that says nothing."""
        return {"label": torch.full_like(condition["label"], self.shape.classes)}

    def work(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The patches, and the FLOPs of a forward over them."""
        tokens = torch.full_like(inputs["sigma"], (self.shape.side // self.shape.patch) ** 2, dtype=torch.int64)
        return tokens, torch.full_like(inputs["sigma"], forward_flops(self.shape), dtype=torch.float64)


class LatentDiT(nn.Module):
    """The noise in a picture of latents."""

    def __init__(self, shape: DiTShape) -> None:
        super().__init__()
        width, values = shape.width, shape.patch**2 * shape.channels
        self.shape = shape
        self.patches = nn.Conv2d(shape.channels, width, shape.patch, stride=shape.patch)
        self.time = nn.Sequential(nn.Linear(_FREQUENCIES, width), nn.SiLU(), nn.Linear(width, width))
        self.label = nn.Embedding(shape.classes + 1, width)
        self.place = nn.Parameter(torch.empty(1, (shape.side // shape.patch) ** 2, width))
        self.blocks = nn.ModuleList(_Block(width, shape.heads) for _ in range(shape.depth))
        self.last_modulation = nn.Linear(width, 2 * width)
        # The noise, and what the release learns of the variance of its steps.
        self.last = nn.Linear(width, 2 * values)

    def forward(self, x: Tensor, time: Tensor, label: Tensor) -> Tensor:
        """(B, channels, side, side) of `x` of that shape, `time` (B,) of 0 … 999 and `label` (B,) int64."""
        shape = self.shape
        y = self.patches(x).flatten(2).mT + self.place
        condition = F.silu(self.time(_waves(time).to(x.dtype)) + self.label(label))
        for block in self.blocks:
            y = block(y, condition)
        shift, scale = self.last_modulation(condition)[:, None].chunk(2, dim=-1)
        y = self.last(F.layer_norm(y, y.shape[-1:], eps=_EPS) * (1 + scale) + shift)
        cells, patch = shape.side // shape.patch, shape.patch
        y = y.view(-1, cells, cells, patch, patch, 2 * shape.channels)[..., : shape.channels]
        noise: Tensor = y.permute(0, 5, 1, 3, 2, 4).reshape(x.shape)
        return noise


class _Block(nn.Module):
    """Attention and MLP, each shifted, scaled and gated by the condition."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.modulation = nn.Linear(width, 6 * width)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = self.modulation(condition)[:, None].chunk(6, dim=-1)
        batch, length, width = x.shape
        y = F.layer_norm(x, (width,), eps=_EPS) * (1 + scale_a) + shift_a
        q, k, v = self.qkv(y).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        x = x + gate_a * self.out(attend(q, k, v, None, (width // self.heads) ** -0.5, None).flatten(2))
        y = F.layer_norm(x, (width,), eps=_EPS) * (1 + scale_m) + shift_m
        refined: Tensor = x + gate_m * self.down(F.gelu(self.up(y), approximate="tanh"))
        return refined


def _waves(time: Tensor) -> Tensor:
    """(B, 256): cosines and sines of the time at frequencies from 1 to 1/10,000."""
    half = _FREQUENCIES // 2
    frequency = torch.exp(-log(10_000) * torch.arange(half, dtype=torch.float32, device=time.device) / half)
    angle = time[:, None] * frequency
    return torch.cat([angle.cos(), angle.sin()], dim=-1)


def forward_flops(shape: DiTShape) -> float:
    """FLOPs of one forward of one picture: matrix products only, a multiply-add is two."""
    width, length, values = shape.width, (shape.side // shape.patch) ** 2, shape.patch**2 * shape.channels
    block = 24 * width**2 * length + 4 * width * length**2 + 12 * width**2
    ends = 6 * width * values * length + 2 * width * (_FREQUENCIES + width) + 4 * width**2
    return shape.depth * block + ends
