"""Meissonic (Bai et al. 2024, arXiv 2410.08261; viiika/Meissonic `src/pipeline.py`): codes of a picture given a text,
by an MM-DiT that reads CLIP's states; and Di[M]O's one-step student of the same layout (Zhu et al. 2025, arXiv
2503.15457; yuanzhi-zhu/DiMO).

A folder has `transformer`, `vqvae`, `text_encoder` and `tokenizer`, in diffusers' layout.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import pi
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from harness.errors import UserError, did_you_mean
from harness.models.base import Inputs, Row
from harness.models.image.cells import beside, cells_of
from harness.models.image.clip_text import LENGTH, TextEncoder, load_text_encoder, random_text_encoder
from harness.models.image.codecs.find import WeightsFolder
from harness.models.image.codecs.vq import VQCodec, load_vq, random_vq
from harness.models.image.files import WeightsFile, fill, randomized
from harness.models.image.mmdit import MMDiT, mmdit_shape
from harness.models.image.published import revision_of
from harness.models.start import Start, begun
from harness.models.text.checkpoint import Checkpoint, download, find_checkpoint
from harness.models.text.loading import dtype_of
from harness.task import Output, Request

RELEASE = "MeissonFlow/Meissonic"
STUDENT = "Yuanzhi/DiMO/meissonic/transformer"
_RATING = 6.0
"""How well the picture is to be rated, the release's default."""
_RANDOM: Mapping[str, Mapping[str, Any]] = {
    "1b": {
        **{"num_layers": 14, "num_single_layers": 28, "attention_head_dim": 128, "num_attention_heads": 8},
        **{"joint_attention_dim": 1024, "pooled_projection_dim": 1024, "axes_dims_rope": [16, 56, 56]},
        **{"codebook_size": 8192, "vocab_size": 8256, "downsample": True, "upsample": True},
    }
}
_PARTS = ("transformer", "text_encoder", "tokenizer", "vqvae")
_NAMES = ("diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.bin")


def meissonic(
    *,
    pretrained: str = RELEASE,
    hub_revision: str = "",
    transformer: str = "",
    text_encoder: str = "",
    random: str = "",
    height: int = 1024,
    width: int = 1024,
    negative: str = "",
    timesteps: int = 64,
    dtype: str = "float32",
    device: str = "cpu",
) -> MeissonicDenoiser:
    """The model.

    pretrained    a folder in diffusers' layout, or a name on the hub
    hub_revision  branch, tag or commit of `pretrained` on the hub; empty = its default branch
    transformer   a folder, here or on the hub (`owner/name/folder`), in place of the one in `pretrained`
    text_encoder  likewise; the release's scripts take laion/CLIP-ViT-H-14-laion2B-s32B-b79K
    random        random weights instead: `1b` for the published size, or a folder with the `config.json` of a
                  transformer. The codec is then of the released size, and words are bytes
    height, width of the pictures, in pixels
    negative      what guidance leads away from
    timesteps     the network is told a step of so many, as by the release: the one at which a cosine schedule has the
                  share of masks that the canvas has
    dtype         of the transformer and the text encoder; the codec's is float32
    """
    parts = _load(pretrained, hub_revision, transformer, text_encoder, random, dtype, device)
    return MeissonicDenoiser("meissonic", *parts, (height, width), negative, timesteps)


def meissonic_dimo(
    *,
    pretrained: str = RELEASE,
    hub_revision: str = "",
    transformer: str = STUDENT,
    text_encoder: str = "",
    random: str = "",
    height: int = 1024,
    width: int = 1024,
    negative: str = "",
    timesteps: int = 64,
    mask_ratio: float = 0.5,
    perturbation: float = 0.3,
    dtype: str = "float32",
    device: str = "cpu",
) -> MeissonicDenoiser:
    """Its one-step student; `mask_ratio` and `perturbation` as of `maskgit_dimo`."""
    for name, value in (("mask_ratio", mask_ratio), ("perturbation", perturbation)):
        if not 0 <= value <= 1:
            raise UserError(f"{name} is {value!r}; it must be between 0 and 1.")
    parts = _load(pretrained, hub_revision, transformer, text_encoder, random, dtype, device)
    start = Start(mask_ratio, perturbation, first=0, codes=parts[0].shape.codes)
    return MeissonicDenoiser("meissonic_dimo", *parts, (height, width), negative, timesteps, start)


def _named(
    *, pretrained: str, hub_revision: str, transformer: str, text_encoder: str, **_: object
) -> Sequence[WeightsFile | WeightsFolder]:
    """What names the weights of transformer, text encoder, tokenizer and codec."""
    places = _places(pretrained, hub_revision, transformer, text_encoder)
    mmdit_shape(places[0].config)
    folders = [WeightsFolder(place) for place in places if place.folder.name != "tokenizer" or place.hub is None]
    # A pickle is no part of a folder's fingerprint.
    files = [_weights(place) for place in (places[0], places[3]) if place.hub is None]
    parts: list[WeightsFile | WeightsFolder] = [*folders, *files]
    return list({part.revision: part for part in parts}.values())


revision = revision_of(meissonic, _named)
dimo_revision = revision_of(meissonic_dimo, _named)


def _load(
    pretrained: str, hub_revision: str, transformer: str, text_encoder: str, random: str, dtype: str, device: str
) -> tuple[MMDiT, TextEncoder, VQCodec]:
    kind = dtype_of(dtype)
    if random:
        network = randomized(_empty(_random(random)), kind, device)
        shape = network.shape
        return network, random_text_encoder(shape.text, shape.pooled, kind, device), random_vq(device)
    body, encoder, words, codec = _places(pretrained, hub_revision, transformer, text_encoder)
    file = _weights(body)
    network = fill(_empty(body.config), file.tensors(device), file.path, kind, device)
    return network, load_text_encoder(encoder, words, kind, device), load_vq(_weights(codec), device)


def _empty(config: Mapping[str, Any]) -> MMDiT:
    with torch.device("meta"):
        return MMDiT(mmdit_shape(config))


def _random(random: str) -> Mapping[str, Any]:
    if random in _RANDOM:
        return _RANDOM[random]
    if not Path(random).expanduser().is_dir():
        raise UserError(f"random: {random!r} is neither a size nor a folder.{did_you_mean(random, _RANDOM)}")
    return Checkpoint(Path(random).expanduser()).config


def _places(pretrained: str, hub_revision: str, transformer: str, text_encoder: str) -> list[Checkpoint]:
    """The folders of transformer, text encoder, tokenizer and codec."""
    whole = find_checkpoint(pretrained, hub_revision)
    places = [Checkpoint(whole.folder / part, whole.hub) for part in _PARTS]
    for index, given in enumerate((transformer, text_encoder)):
        if given:
            places[index] = _folder(given)
    for part, place in zip(_PARTS, places, strict=True):
        if not place.folder.is_dir():
            raise UserError(f"pretrained: {place.folder} is not there, which should hold the {part}.")
    return places


def _folder(name: str) -> Checkpoint:
    """A folder here, or one on the hub as `owner/name/folder`."""
    if Path(name).expanduser().is_dir():
        return find_checkpoint(name)
    owner, repository, *inner = [*name.split("/"), ""]
    found = find_checkpoint(f"{owner}/{repository}")
    return Checkpoint(found.folder.joinpath(*inner), found.hub)


def _weights(place: Checkpoint) -> WeightsFile:
    if place.hub is not None:
        download(*place.hub, tuple(f"*{place.folder.name}/{name}" for name in _NAMES))
    for name in _NAMES:
        if (place.folder / name).is_file():
            return WeightsFile(place.folder / name)
    raise UserError(f"pretrained: {place.folder} has no weights: neither of {', '.join(_NAMES)} is there.")


class MeissonicDenoiser:
    """The condition is `text` (B, 77, …) and `pooled` (B, …), CLIP's of the prompt. Tokens are the codec's codes, and
    the mask, which comes after them."""

    length_bucket = 1
    eos_ids: frozenset[int] = frozenset()

    def __init__(
        self,
        name: str,
        transformer: MMDiT,
        encoder: TextEncoder,
        codec: VQCodec,
        size: tuple[int, int],
        negative: str,
        timesteps: int,
        start: Start | None = None,
    ) -> None:
        shape = transformer.shape
        unit = codec.factor * shape.side
        if any(side < unit or side % unit for side in size):
            raise UserError(f"model {name!r}: pictures of {size[0]} x {size[1]}; sides must be multiples of {unit}.")
        if codec.codes != shape.codes or (encoder.width, encoder.pooled) != (shape.text, shape.pooled):
            raise UserError(
                f"model {name!r}: the codec has {codec.codes} codes and the text encoder is {encoder.width} and "
                f"{encoder.pooled} wide; the transformer is made for {shape.codes}, {shape.text} and {shape.pooled}."
            )
        if timesteps < 1:
            raise UserError(f"timesteps is {timesteps}; it must be at least 1.")
        self.name, self.transformer, self.encoder, self.codec = name, transformer, encoder, codec
        self.start, self.timesteps = start, timesteps
        offered = {"guidance", "positions", "attention_bias"}
        self.capabilities = frozenset(offered if start is None else offered | {"start"})
        self.mask_id, self.vocab_size = shape.codes, shape.codes + 1
        self.grid = size[0] // codec.factor, size[1] // codec.factor
        self.device = transformer.device
        self._cells = cells_of(self.grid, shape.side, self.device)
        self._numbers = torch.tensor([[size[1], size[0], 0, 0, _RATING]], dtype=torch.float32, device=self.device)
        self._nothing = encoder(negative)

    def encode(self, request: Request) -> Row:
        """An empty picture of the prompt; UserError for a label, a picture or another length."""
        where, size = f"document {request.document!r}", self.grid[0] * self.grid[1]
        if request.prompt is None or request.image is not None or request.condition:
            raise UserError(f"{where}: the model {self.name!r} takes a prompt, and no picture or label.")
        if request.length not in (None, size):
            raise UserError(f"{where}: the model {self.name!r} makes {size} tokens, not {request.length}.")
        text, pooled = self.encoder(request.prompt)
        return Row((self.mask_id,) * size, (True,) * size, {"text": text, "pooled": pooled}, self.grid)

    def decode(self, tokens: Sequence[int]) -> Output:
        """The codes, row by row, and the picture that the codec makes of them."""
        return Output(tokens=tuple(tokens), image=self.codec.picture(tokens, self.grid))

    @torch.inference_mode()
    def logits(self, inputs: Inputs, index: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        """(N, codes + 1) logits in the network's dtype at the flat positions `index` (N,); −inf at the mask id."""
        network, size = self.transformer, self.grid[0] * self.grid[1]
        tokens, change = begun(self.start, inputs, self.mask_id)
        # The student was told step 0 whatever it began from: its release rounds the share of masks down to it.
        time = self.time(tokens[:, :size]) if inputs.start is None else torch.zeros(len(tokens), device=self.device)
        shown = torch.where(tokens == self.mask_id, network.shape.vocab_size - 1, tokens)
        cells = self._cells
        if tokens.shape[1] > size or inputs.attention_bias is not None:
            cells = beside(cells, inputs.positions, inputs.attention_bias, inputs.valid)
        text, pooled = (inputs.condition[name].to(network.dtype) for name in ("text", "pooled"))
        hidden = network(shown, cells, text, pooled, self._numbers.expand(len(shown), -1), time, change)
        logits = network.head(hidden.flatten(0, 1)[index])
        return pad(logits, (0, 1), value=float("-inf")), {}

    def time(self, tokens: Tensor) -> Tensor:
        """(B,) float32: T − 1 at the first of `timesteps` T steps, 0 at the last; by the share of masks in `tokens`."""
        share = (tokens == self.mask_id).double().mean(dim=1)
        # The schedule rounds the number of masks down: the step is the last that leaves as many or more.
        step = (torch.arccos(share) * (2 / pi) * self.timesteps + 1e-6).floor()
        return (self.timesteps - 1 - step).clamp(min=0).float()

    def unconditional(self, inputs: Inputs) -> Inputs:
        """The same rows with the `negative` text."""
        count = len(inputs.tokens)
        condition = {
            name: value.expand(count, *value.shape)
            for name, value in zip(("text", "pooled"), self._nothing, strict=True)
        }
        return replace(inputs, condition=condition)

    def flops(self, tokens: Tensor, predicted: Tensor) -> Tensor:
        """(B,) float64: those of the transformer. Text encoder and codec run once a picture, and are not counted."""
        return self.transformer.flops(tokens, predicted, LENGTH, self.grid[0] * self.grid[1])
