"""The eye of LLaDA-V and LaViDa once more, in plain torch from the SigLIP paper and LLaVA-NeXT's description, and from
the names of the tensors. It reads the files of a checkpoint and shares nothing with the harness."""

from __future__ import annotations

import math

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn import functional as F

TOWER, PROJECTOR = "model.vision_tower.vision_tower.vision_model", "model.mm_projector"


def plain_features(weights: dict[str, Tensor], tower: dict[str, int], picture, tiles, pooled, most=None) -> Tensor:
    """(n, width) float64: the features of a picture that is cut into `tiles` = (rows, columns)."""
    side, image = tower["image_size"] // tower["patch_size"], tower["image_size"]
    whole = Image.fromarray(picture)
    rows, columns = tiles
    framed = ImageOps.pad(whole, (columns * image, rows * image), Image.Resampling.BICUBIC, color=(0, 0, 0))
    boxes = [(c * image, r * image, (c + 1) * image, (r + 1) * image) for r in range(rows) for c in range(columns)]
    seen = [_tile(weights, tower, each) for each in (whole.resize((image, image)), *map(framed.crop, boxes))]
    if pooled:
        side = math.ceil(side / 2)
        seen = [_shrunk(each, (side, side)) for each in seen]
    lines = [
        torch.cat([seen[1 + r * columns + c][y] for c in range(columns)]) for r in range(rows) for y in range(side)
    ]
    high, wide = len(lines), len(lines[0])
    if whole.width / whole.height > wide / high:
        border = (high - int(whole.height * wide / whole.width)) // 2
        lines = lines[border : high - border]
    else:
        border = (wide - int(whole.width * high / whole.height)) // 2
        lines = [line[border : wide - border] for line in lines]
    joined = torch.stack(lines)
    if most is not None and (times := math.sqrt(joined[..., 0].numel() / (most * side**2))) > 1.1:
        joined = _shrunk(joined, tuple(int(size // times) for size in joined.shape[:2]))
    ended = [torch.cat([line, weights["model.image_newline"][None]]) for line in joined]
    return torch.cat([seen[0].flatten(0, 1), *ended])


def _tile(weights: dict[str, Tensor], tower: dict[str, int], image: Image.Image) -> Tensor:
    """(side, side, width of the text model): SigLIP without its last layer and its last norm, then the projector."""

    def linear(x, name):
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def norm(x, name):
        return F.layer_norm(x, x.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], 1e-6)

    patch, heads = tower["patch_size"], tower["num_attention_heads"]
    side = tower["image_size"] // patch
    pixels = torch.from_numpy(np.array(image)).double() / 127.5 - 1
    pixels = pixels[: side * patch, : side * patch]
    patches = pixels.view(side, patch, side, patch, 3).permute(0, 2, 4, 1, 3).flatten(2).flatten(0, 1)
    kernel = weights[f"{TOWER}.embeddings.patch_embedding.weight"].flatten(1)
    x = patches @ kernel.T + weights[f"{TOWER}.embeddings.patch_embedding.bias"]
    x = x + weights[f"{TOWER}.embeddings.position_embedding.weight"]
    for i in range(tower["num_hidden_layers"] - 1):
        layer = f"{TOWER}.encoder.layers.{i}"
        y = norm(x, f"{layer}.layer_norm1")
        parts = (linear(y, f"{layer}.self_attn.{part}_proj").unflatten(-1, (heads, -1)) for part in "qkv")
        query, key, value = (part.transpose(0, 1) for part in parts)
        attention = torch.softmax(query @ key.mT / math.sqrt(query.shape[-1]), dim=-1)
        x = x + linear((attention @ value).transpose(0, 1).flatten(1), f"{layer}.self_attn.out_proj")
        y = F.gelu(linear(norm(x, f"{layer}.layer_norm2"), f"{layer}.mlp.fc1"), approximate="tanh")
        x = x + linear(y, f"{layer}.mlp.fc2")
    return linear(F.gelu(linear(x, f"{PROJECTOR}.0")), f"{PROJECTOR}.2").unflatten(0, (side, side))


def _shrunk(features: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(features.permute(2, 0, 1)[None], size, mode="bilinear")[0].permute(1, 2, 0)
