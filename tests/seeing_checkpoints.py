"""Checkpoints of models that see, in the layout of the published ones: tiny, with random weights."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from checkpoints import random_weights, write_checkpoint, write_dream, write_llada
from safetensors.torch import load_file
from torch import Tensor

TOWER = {
    **{"hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 3, "num_attention_heads": 4},
    **{"image_size": 28, "patch_size": 4},
}
"""A tower of two layers in use, 7 x 7 patches a tile."""
_LLAVA = {
    "mm_hidden_size": 48,
    "mm_projector_type": "mlp2x_gelu",
    "mm_patch_merge_type": "spatial_unpad",
    "mm_use_im_patch_token": False,
    "mm_vision_tower": "google/siglip2-so400m-patch14-384",
    "vision_config": TOWER,
}
_LLAMA = {"d_model": "hidden_size", "n_layers": "num_hidden_layers", "n_heads": "num_attention_heads"} | {
    "mlp_hidden_size": "intermediate_size",
    "max_sequence_length": "max_position_embeddings",
    "n_kv_heads": "num_key_value_heads",
}
_PARTS = {"q_proj": "self_attn.q_proj", "k_proj": "self_attn.k_proj", "v_proj": "self_attn.v_proj"} | {
    "attn_out": "self_attn.o_proj",
    "ff_proj": "mlp.gate_proj",
    "up_proj": "mlp.up_proj",
    "ff_out": "mlp.down_proj",
    "attn_norm": "input_layernorm",
    "ff_norm": "post_attention_layernorm",
}


def write_llada_v(folder: Path, **sizes: Any) -> Path:
    """LLaDA with the names of transformers' Llama, as LLaDA-V renames it, and SigLIP in front of it."""
    config = {**_LLAVA, "image_aspect_ratio": "anyres_max_4", "image_grid_pinpoints": "(1x1),...,(6x6)", **sizes}

    def renamed(old: dict[str, Any]) -> dict[str, Any]:
        kept = {key: old[key] for key in ("vocab_size", "rope_theta", "rms_norm_eps", "eos_token_id")}
        return {**kept, **{new: old[key] for key, new in _LLAMA.items()}, "model_type": "llava_llada"}

    return _extend(write_llada(folder, shards=1), config, "hidden_size", renamed, _llama)


def write_lavida(folder: Path, trunk: str = "llada", **sizes: Any) -> Path:
    """LLaDA or Dream under their own names, and SigLIP in front of them."""
    pinpoints = "[(28, 56), (56, 28), (56, 56), (84, 28), (28, 84)]"
    config = {**_LLAVA, "image_aspect_ratio": "anyres", "image_grid_pinpoints": pinpoints, **sizes}
    if trunk == "dream":
        return _extend(write_dream(folder, shards=1), config, "hidden_size")
    return _extend(write_llada(folder, shards=1), config, "d_model")


def _llama(name: str) -> str:
    parts = name.split(".")
    if parts[2] == "blocks":
        return f"model.layers.{parts[3]}.{_PARTS[parts[4]]}.weight"
    return {"wte": "model.embed_tokens", "ln_f": "model.norm", "ff_out": "lm_head"}[parts[2]] + ".weight"


def _extend(
    folder: Path,
    more: Mapping[str, Any],
    width: str,
    renamed: Callable[[dict[str, Any]], dict[str, Any]] = lambda config: config,
    name: Callable[[str], str] = lambda name: name,
) -> Path:
    """The checkpoint in a folder with an eye."""
    config = {**renamed(json.loads((folder / "config.json").read_text())), **more}
    weights: dict[str, Tensor] = {name(key): tensor for key, tensor in load_file(folder / "model.safetensors").items()}
    weights |= random_weights(_eye_shapes({**TOWER, **config["vision_config"]}, config[width]), seed=1)
    (folder / "model.safetensors").unlink()
    write_checkpoint(folder, config, weights, shards=2)
    return folder


def _eye_shapes(tower: Mapping[str, int], out: int) -> dict[str, tuple[int, ...]]:
    wide, mlp, patch = tower["hidden_size"], tower["intermediate_size"], tower["patch_size"]
    shapes: dict[str, tuple[int, ...]] = {"embeddings.patch_embedding.weight": (wide, 3, patch, patch)}
    shapes |= {"embeddings.patch_embedding.bias": (wide,), "post_layernorm.weight": (wide,)}
    shapes |= {"embeddings.position_embedding.weight": ((tower["image_size"] // patch) ** 2, wide)}
    shapes["post_layernorm.bias"] = (wide,)
    pairs = {f"self_attn.{part}_proj": (wide, wide) for part in ("q", "k", "v", "out")}
    pairs |= {"mlp.fc1": (mlp, wide), "mlp.fc2": (wide, mlp)}
    for i in range(tower["num_hidden_layers"] - 1):
        for norm in ("layer_norm1", "layer_norm2"):
            shapes |= {f"encoder.layers.{i}.{norm}.{kind}": (wide,) for kind in ("weight", "bias")}
        for part, shape in pairs.items():
            shapes[f"encoder.layers.{i}.{part}.weight"], shapes[f"encoder.layers.{i}.{part}.bias"] = shape, shape[:1]
    shapes = {f"model.vision_tower.vision_tower.vision_model.{name}": shape for name, shape in shapes.items()}
    for number, wide_in in (("0", wide), ("2", out)):
        shapes[f"model.mm_projector.{number}.weight"] = (out, wide_in)
        shapes[f"model.mm_projector.{number}.bias"] = (out,)
    return {**shapes, "model.image_newline": (out,)}


VISION = {
    **{"depth": 3, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "patch_size": 14},
    **{"spatial_merge_size": 2, "temporal_patch_size": 2, "window_size": 112, "out_hidden_size": 40},
    **{"fullatt_block_indexes": [1], "in_channels": 3, "hidden_act": "silu", "tokens_per_second": 2},
}


def write_dimple(folder: Path, **sizes: Any) -> Path:
    """Dream with Qwen2.5-VL's tower of three blocks, one of which sees the whole picture."""
    write_dream(folder, shards=1)
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "dimple", "vision_config": VISION, "mrope_section": [2, 3, 3], "full_attn_mask": True}
    config |= sizes
    wide, mlp, inner, out = (VISION["hidden_size"], VISION["intermediate_size"], VISION["out_hidden_size"], 64)
    shapes: dict[str, tuple[int, ...]] = {"visual.patch_embed.proj.weight": (wide, 3, 2, 14, 14)}
    linear = {"visual.merger.mlp.0": (4 * wide, 4 * wide), "visual.merger.mlp.2": (inner, 4 * wide)}
    linear |= {"img_projector.linear_1": (out, inner), "img_projector.linear_2": (out, out)}
    shapes["visual.merger.ln_q.weight"] = (wide,)
    for i in range(VISION["depth"]):
        block = f"visual.blocks.{i}"
        shapes |= {f"{block}.norm1.weight": (wide,), f"{block}.norm2.weight": (wide,)}
        linear |= {f"{block}.attn.qkv": (3 * wide, wide), f"{block}.attn.proj": (wide, wide)}
        linear |= {f"{block}.mlp.{part}_proj": (mlp, wide) for part in ("gate", "up")}
        linear[f"{block}.mlp.down_proj"] = (wide, mlp)
    for name, shape in linear.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    weights = load_file(folder / "model.safetensors") | random_weights(shapes, seed=2)
    (folder / "model.safetensors").unlink()
    write_checkpoint(folder, config, weights, shards=2)
    return folder
