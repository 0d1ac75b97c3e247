"""Qwen2.5-VL's vision tower and a projector: the eye of Dimple. Pictures keep their shape.

Bai et al. 2025, arXiv 2502.13923; as in yu-rp/Dimple 848f132, `image_processing_dimple.py` and `modeling_dimple.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from harness.errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

VISION = {
    **{"depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16, "patch_size": 14},
    **{"spatial_merge_size": 2, "temporal_patch_size": 2, "window_size": 112, "out_hidden_size": 3584},
    "fullatt_block_indexes": [7, 15, 23, 31],
}
"""The tower of Qwen2.5-VL 7B."""
FEWEST, MOST = 3136, 12_845_056
"""Pixels that a picture is scaled to have at least and at most, as Qwen2.5-VL's `preprocessor_config.json` says."""
_MEAN = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
_STD = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)
_LINEAR = ("attn.qkv", "attn.proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")


@dataclass(frozen=True)
class QwenShape:
    """Sizes of a `Qwen`: the tower's own configuration, and the width of the text model."""

    vision: tuple[tuple[str, Any], ...]
    out: int

    def __getitem__(self, name: str) -> Any:
        """One size of the tower."""
        return dict(self.vision)[name]

    @property
    def step(self) -> int:
        """Pixels of a side that become one feature."""
        return int(self["patch_size"] * self["spatial_merge_size"])

    def build(self) -> Qwen:
        """The eye of these sizes."""
        return Qwen(self)

    def keys(self) -> dict[str, str]:
        """Name of each tensor in Dimple's checkpoint to its name in the eye."""
        tower = ["patch_embed.proj.weight", "merger.ln_q.weight"]
        tower += [f"merger.mlp.{part}.{kind}" for part in (0, 2) for kind in ("weight", "bias")]
        for i in range(self["depth"]):
            tower += [f"blocks.{i}.{norm}.weight" for norm in ("norm1", "norm2")]
            tower += [f"blocks.{i}.{part}.{kind}" for part in _LINEAR for kind in ("weight", "bias")]
        keys = {f"visual.{name}": f"tower.{name}" for name in tower}
        for theirs, ours in (("linear_1", "0"), ("linear_2", "2")):
            keys |= {f"img_projector.{theirs}.{kind}": f"projector.{ours}.{kind}" for kind in ("weight", "bias")}
        return keys


def qwen_shape(config: Mapping[str, Any], out: int) -> QwenShape:
    """The sizes that `vision_config` of Dimple's `config.json` tells."""
    given = config.get("vision_config") or {}
    sizes = {name: given.get(name, value) for name, value in VISION.items()}
    return QwenShape(tuple((name, tuple(v) if isinstance(v, list) else v) for name, v in sizes.items()), out)


class Qwen(nn.Module):
    """The features of one picture, row by row, one for 28 x 28 pixels."""

    def __init__(self, shape: QwenShape) -> None:
        super().__init__()
        from transformers.models.qwen2_5_vl.configuration_qwen2_5_vl import Qwen2_5_VLVisionConfig
        from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VisionTransformerPretrainedModel

        self.shape = shape
        config = Qwen2_5_VLVisionConfig(**dict(shape.vision), attn_implementation="sdpa")
        self.tower: Any = Qwen2_5_VisionTransformerPretrainedModel(config)
        inner = shape["out_hidden_size"]
        self.projector = nn.Sequential(nn.Linear(inner, shape.out), nn.SiLU(), nn.Linear(shape.out, shape.out))

    def settle(self, device: str) -> None:
        """The frequencies of the tower's rotary positions, on `device`; they are no weights."""
        size = self.shape["hidden_size"] // self.shape["num_heads"] // 2
        steps = torch.arange(0, size, 2, dtype=torch.float32, device=device)
        self.tower.rotary_pos_emb.inv_freq = 1.0 / 10_000.0 ** (steps / size)

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """(rows, columns) of the features of a picture of so many pixels."""
        step = self.shape.step
        high, wide = _scaled(height, width, step)
        return high // step, wide // step

    def count(self, height: int, width: int) -> int:
        """How many features such a picture has."""
        rows, columns = self.grid(height, width)
        return rows * columns

    def forward(self, picture: NDArray[np.uint8]) -> Tensor:
        """(`count`, out) features of a picture (H, W, 3)."""
        weight = next(self.projector.parameters())
        rows, columns = self.grid(picture.shape[0], picture.shape[1])
        merge = self.shape["spatial_merge_size"]
        patches = torch.from_numpy(self.patches(picture)).to(weight)
        size = torch.tensor([[1, rows * merge, columns * merge]], device=patches.device)
        seen = self.tower(patches, grid_thw=size)
        features: Tensor = self.projector(getattr(seen, "pooler_output", seen))
        return features

    def patches(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(patches, 3 * frames * patch * patch): the four patches of a feature together, each frame twice the same."""
        from PIL import Image

        patch, merge = self.shape["patch_size"], self.shape["spatial_merge_size"]
        rows, columns = self.grid(picture.shape[0], picture.shape[1])
        size = (columns * self.shape.step, rows * self.shape.step)
        scaled = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC))
        # The released processor rescales in float64 and normalises in float32.
        unit = (scaled.astype(np.float64) * (1 / 255)).astype(np.float32)
        pixels = ((unit - _MEAN) / _STD).reshape(rows, merge, patch, columns, merge, patch, 3)
        frames = np.stack([pixels.transpose(0, 3, 1, 4, 6, 2, 5)] * self.shape["temporal_patch_size"], axis=5)
        return frames.reshape(rows * columns * merge**2, -1)

    def flops(self, height: int, width: int) -> float:
        """FLOPs of `forward`: matrix products only, a multiply-add is two."""
        shape, (rows, columns) = self.shape, self.grid(height, width)
        wide, unit = shape["hidden_size"], shape["spatial_merge_size"] ** 2
        patches, merged = rows * columns * unit, wide * unit
        layer = 2 * patches * wide * (4 * wide + 3 * shape["intermediate_size"])
        side = shape["window_size"] // shape.step
        windows = [
            (min(side, rows - y) * min(side, columns - x) * unit) ** 2
            for y in range(0, rows, side)
            for x in range(0, columns, side)
        ]
        whole = sum(i in shape["fullatt_block_indexes"] for i in range(shape["depth"]))
        attention = 4 * wide * (whole * patches**2 + (shape["depth"] - whole) * sum(windows))
        embedding = 2 * patches * 3 * shape["temporal_patch_size"] * shape["patch_size"] ** 2 * wide
        inner = shape["out_hidden_size"]
        after = 2 * rows * columns * (merged * (merged + inner) + shape.out * (inner + shape.out))
        return float(shape["depth"] * layer + attention + embedding + after)


def _scaled(height: int, width: int, step: int) -> tuple[int, int]:
    """(height, width) near those of the picture, multiples of `step`, of neither too few nor too many pixels."""
    if min(height, width) < step or max(height, width) > 200 * min(height, width):
        raise UserError(
            f"the model takes pictures of at least {step} pixels a side and at most 200 times as long as wide, "
            f"not {height} x {width}."
        )
    high, wide = round(height / step) * step, round(width / step) * step
    if high * wide > MOST:
        times = math.sqrt(height * width / MOST)
        return math.floor(height / times / step) * step, math.floor(width / times / step) * step
    if high * wide < FEWEST:
        times = math.sqrt(FEWEST / (height * width))
        return math.ceil(height * times / step) * step, math.ceil(width * times / step) * step
    return high, wide
