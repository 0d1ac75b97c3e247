"""SigLIP's vision tower, a projector, and the order of a picture's features: the eye of LLaDA-V and LaViDa."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from harness.errors import UserError
from harness.models.seeing.anyres import Cut, Resolutions, cut, read_resolutions, views
from harness.models.text.layouts import refuse

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SO400M = {
    **{"hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27, "num_attention_heads": 16},
    **{"image_size": 384, "patch_size": 14, "layer_norm_eps": 1e-6},
}
"""siglip-so400m-patch14-384 and siglip2-so400m-patch14-384."""
_ONLY = {
    **{"mm_projector_type": "mlp2x_gelu", "mm_patch_merge_type": "spatial_unpad", "mm_resampler_type": None},
    **{"mm_use_im_start_end": False, "mm_use_im_patch_token": False, "mm_spatial_pool_mode": "bilinear"},
}
_LINEAR = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.out_proj", "mlp.fc1", "mlp.fc2")


@dataclass(frozen=True)
class SiglipShape:
    """Sizes of a `Siglip`.

    layers       of the tower that are used: all but the last
    image, patch pixels of a side
    eps          of its layer norms
    out          width of the text model
    resolutions  (width, height) for which a picture may be cut into tiles
    most         tiles' worth of features that are left, None = any number
    pooled       the features of a tile are shrunk by two in each direction
    """

    width: int
    mlp: int
    layers: int
    heads: int
    image: int
    patch: int
    eps: float
    out: int
    resolutions: Resolutions
    most: int | None
    pooled: bool

    @property
    def side(self) -> int:
        """Patches in a row of a tile."""
        return self.image // self.patch

    @property
    def grid(self) -> int:
        """Features in a row of a tile."""
        return math.ceil(self.side / 2) if self.pooled else self.side

    def build(self) -> Siglip:
        """The eye of these sizes."""
        return Siglip(self)

    def keys(self) -> dict[str, str]:
        """Name of each tensor in a LLaVA checkpoint to its name in the eye."""
        tower = ["embeddings.patch_embedding.weight", "embeddings.patch_embedding.bias"]
        tower += ["embeddings.position_embedding.weight", "post_layernorm.weight", "post_layernorm.bias"]
        for i in range(self.layers):
            parts = ("layer_norm1", "layer_norm2", *_LINEAR)
            tower += [f"encoder.layers.{i}.{part}.{kind}" for part in parts for kind in ("weight", "bias")]
        keys = {f"model.vision_tower.vision_tower.vision_model.{name}": name for name in tower}
        for name in ("0.weight", "0.bias", "2.weight", "2.bias"):
            keys[f"model.mm_projector.{name}"] = f"projector.{name}"
        return {**keys, "model.image_newline": "newline"}


def siglip_shape(config: Mapping[str, Any], out: int, pooled: bool) -> SiglipShape:
    """The sizes that a LLaVA `config.json` tells. Its `vision_config` stands for another tower than so400m at 384."""
    refuse(config, _ONLY)
    tower = {**SO400M, **(config.get("vision_config") or {})}
    ratio = str(config.get("image_aspect_ratio", "anyres"))
    limit = re.fullmatch(r"anyres(?:_max_(\d+))?", ratio)
    if limit is None:
        raise UserError(f"config.json: image_aspect_ratio is {ratio!r}; this model is built with anyres only.")
    image = tower["image_size"]
    return SiglipShape(
        width=tower["hidden_size"],
        mlp=tower["intermediate_size"],
        layers=tower["num_hidden_layers"] - 1,
        heads=tower["num_attention_heads"],
        image=image,
        patch=tower["patch_size"],
        eps=tower["layer_norm_eps"],
        out=out,
        resolutions=read_resolutions(config.get("image_grid_pinpoints"), image),
        most=int(limit[1]) if limit[1] else None,
        pooled=pooled,
    )


class Siglip(nn.Module):
    """The features of one picture: those of the whole, then row by row those of its tiles, each row with an end."""

    def __init__(self, shape: SiglipShape) -> None:
        super().__init__()
        from transformers import SiglipVisionConfig
        from transformers.models.siglip.modeling_siglip import SiglipEncoder, SiglipVisionEmbeddings

        config = SiglipVisionConfig(
            hidden_size=shape.width,
            intermediate_size=shape.mlp,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            image_size=shape.image,
            patch_size=shape.patch,
            layer_norm_eps=shape.eps,
            attn_implementation="sdpa",
        )
        self.shape = shape
        self.embeddings: Any = SiglipVisionEmbeddings(config)
        self.encoder: Any = SiglipEncoder(config)
        # Checkpoints have it; the features are those before it.
        self.post_layernorm = nn.LayerNorm(shape.width, eps=shape.eps)
        self.projector = nn.Sequential(nn.Linear(shape.width, shape.out), nn.GELU(), nn.Linear(shape.out, shape.out))
        self.newline = nn.Parameter(torch.empty(shape.out))

    def settle(self, device: str) -> None:
        """What is no weight, on `device`, once the weights are there."""
        self.embeddings.position_ids = torch.arange(self.shape.side**2, device=device)[None]

    def _cut(self, height: int, width: int) -> Cut:
        shape = self.shape
        return cut(height, width, shape.resolutions, shape.image, shape.grid, shape.most)

    def count(self, height: int, width: int) -> int:
        """How many features a picture of so many pixels has."""
        rows, columns = self._cut(height, width).shape
        return int(self.shape.grid**2 + rows * (columns + 1))

    def grid(self, height: int, width: int) -> None:
        """The positions run on."""
        return

    def forward(self, picture: NDArray[np.uint8]) -> Tensor:
        """(`count`, out) features of a picture (H, W, 3)."""
        shape = self.shape
        pixels = torch.from_numpy(views(picture, shape.resolutions, shape.image)).to(self.newline)
        hidden = self.encoder(inputs_embeds=self.embeddings(pixels)).last_hidden_state
        features = self.projector(hidden).unflatten(1, (shape.side, shape.side))
        if shape.pooled:
            features = _resized(features, (shape.grid, shape.grid))
        size = self._cut(*picture.shape[:2])
        (rows, columns), (top, bottom, left, right) = size.tiles, size.keep
        tiles = features[1:].unflatten(0, (rows, columns)).transpose(1, 2).flatten(2, 3).flatten(0, 1)
        tiles = tiles[top:bottom, left:right]
        if tiles.shape[:2] != size.shape:
            tiles = _resized(tiles[None], size.shape)[0]
        ends = self.newline.expand(len(tiles), 1, -1)
        return torch.cat([features[0].flatten(0, 1), torch.cat([tiles, ends], dim=1).flatten(0, 1)])

    def flops(self, height: int, width: int) -> float:
        """FLOPs of `forward`: matrix products only, a multiply-add is two."""
        shape = self.shape
        rows, columns = self._cut(height, width).tiles
        patches, wide = shape.side**2, shape.width
        layer = 2 * patches * wide * (4 * wide + 2 * shape.mlp) + 4 * patches**2 * wide
        around = 2 * patches * (3 * shape.patch**2 * wide + wide * shape.out + shape.out**2)
        return float((1 + rows * columns) * (shape.layers * layer + around))


def _resized(features: Tensor, size: tuple[int, int]) -> Tensor:
    """(N, *size, C) of features (N, H, W, C), bilinear."""
    return F.interpolate(features.permute(0, 3, 1, 2), size, mode="bilinear").permute(0, 2, 3, 1)
