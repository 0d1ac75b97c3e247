"""How checkpoints name their tensors and their sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, Literal, TypeVar, get_args

from harness.errors import UserError
from harness.models.text.dit import DiT, DiTShape
from harness.models.text.network import Shape, TextNetwork

Net = TypeVar("Net", bound=TextNetwork | DiT)
Size = TypeVar("Size", bound=Shape | DiTShape)
Plain = Literal["llama", "qwen2", "qwen3"]
_LLADA_LAYER = {
    "attn_norm": "input_layernorm",
    "ff_norm": "post_attention_layernorm",
    "q_proj": "self_attn.q_proj",
    "k_proj": "self_attn.k_proj",
    "v_proj": "self_attn.v_proj",
    "attn_out": "self_attn.o_proj",
    "ff_proj": "mlp.gate_proj",
    "up_proj": "mlp.up_proj",
    "ff_out": "mlp.down_proj",
}
_LLADA_ONLY = {
    "block_type": "llama",
    "block_group_size": 1,
    "layer_norm_type": "rms",
    "activation_type": "silu",
    "rope": True,
    "alibi": False,
    "attention_layer_norm": False,
    "include_bias": False,
    "include_qkv_bias": False,
    "input_emb_norm": False,
    "scale_logits": False,
}
"""Settings of LLaDA's configuration that have one value in every release; with another, the network would differ."""
_PLAIN_MORE = {
    "llama": (),
    "qwen2": ("q_proj.bias", "k_proj.bias", "v_proj.bias"),
    "qwen3": ("q_norm.weight", "k_norm.weight"),
    "qwen3_moe": ("q_norm.weight", "k_norm.weight"),
}
_MOE_ONLY = {
    "hidden_act": "silu",
    "rope_scaling": None,
    "attention_bias": False,
    "clip_qkv": None,
    "qk_layernorm": True,
    "partial_rotary_factor": 1,
    "shared_expert_intermediate_size": None,
    "moe_router_score_function": "softmax",
}
_PLAIN_ONLY = {"hidden_act": "silu", "rope_scaling": None, "use_sliding_window": False, "attention_bias": False}


@dataclass(frozen=True)
class Layout(Generic[Net, Size]):
    """A family of checkpoints.

    shape  the sizes that a `config.json` tells; UserError for a setting that the network does not have
    keys   name of each tensor in the checkpoint to its name in the network
    build  the network of these sizes
    """

    shape: Callable[[Mapping[str, Any]], Size]
    keys: Callable[[Size], dict[str, str]]
    build: Callable[[Size], Net]


def llada_shape(config: Mapping[str, Any]) -> Shape:
    """The sizes of LLaDA 8B's `config.json` (ML-GSAI, `configuration_llada.py`)."""
    refuse(config, _LLADA_ONLY)
    heads = _whole(config, "n_heads")
    return Shape(
        layout="llama",
        vocab_size=config.get("embedding_size") or _whole(config, "vocab_size"),
        width=_whole(config, "d_model"),
        layers=_whole(config, "n_layers"),
        heads=heads,
        kv_heads=config.get("n_kv_heads") or heads,
        head_size=_whole(config, "d_model") // heads,
        mlp=config.get("mlp_hidden_size") or config.get("mlp_ratio", 4) * _whole(config, "d_model"),
        eps=config.get("rms_norm_eps", 1e-5),
        theta=config.get("rope_theta", 10_000.0),
        length=_whole(config, "max_sequence_length"),
        tied=bool(config.get("weight_tying", True)),
        full_rotary=bool(config.get("rope_full_precision", True)),
    )


def llada_keys(shape: Shape) -> dict[str, str]:
    """The keys `model.transformer.*`."""
    top = {"wte": "embed_tokens", "ln_f": "norm", **({} if shape.tied else {"ff_out": "head"})}
    keys = {f"model.transformer.{old}.weight": f"{new}.weight" for old, new in top.items()}
    for i in range(shape.layers):
        for old, new in _LLADA_LAYER.items():
            keys[f"model.transformer.blocks.{i}.{old}.weight"] = f"layers.{i}.{new}.weight"
    return keys


def plain_shape(config: Mapping[str, Any], layout: Plain) -> Shape:
    """The sizes as transformers' own configurations write them."""
    refuse(config, _PLAIN_ONLY)
    heads = _whole(config, "num_attention_heads")
    rotary = config.get("rope_parameters") or {}
    return Shape(
        layout=layout,
        vocab_size=_whole(config, "vocab_size"),
        width=_whole(config, "hidden_size"),
        layers=_whole(config, "num_hidden_layers"),
        heads=heads,
        kv_heads=config.get("num_key_value_heads") or heads,
        head_size=config.get("head_dim") or _whole(config, "hidden_size") // heads,
        mlp=_whole(config, "intermediate_size"),
        eps=config.get("rms_norm_eps", 1e-6),
        theta=rotary.get("rope_theta", config.get("rope_theta", 10_000.0)),
        length=_whole(config, "max_position_embeddings"),
        tied=bool(config.get("tie_word_embeddings", False)),
    )


def plain_keys(shape: Shape) -> dict[str, str]:
    """The keys `model.layers.*` of transformers' own models."""
    keys = {"model.embed_tokens.weight": "embed_tokens.weight", "model.norm.weight": "norm.weight"}
    if not shape.tied:
        keys["lm_head.weight"] = "head.weight"
    for i in range(shape.layers):
        for name in _LLADA_LAYER.values():
            keys[f"model.layers.{i}.{name}.weight"] = f"layers.{i}.{name}.weight"
        for name in _PLAIN_MORE[shape.layout]:
            keys[f"model.layers.{i}.self_attn.{name}"] = f"layers.{i}.self_attn.{name}"
    return keys


def moe_shape(config: Mapping[str, Any]) -> Shape:
    """The sizes of LLaDA-MoE's `config.json` (inclusionAI, `configuration_lladamoe.py`)."""
    refuse(config, _MOE_ONLY)
    if config.get("moe_router_enable_expert_bias") or not all(config.get("moe_layer_freq") or [1]):
        raise UserError("config.json: this model is built without biases of experts, and with experts in every layer.")
    heads = _whole(config, "num_attention_heads")
    return Shape(
        layout="qwen3_moe",
        vocab_size=_whole(config, "vocab_size"),
        width=_whole(config, "hidden_size"),
        layers=_whole(config, "num_hidden_layers"),
        heads=heads,
        kv_heads=config.get("num_key_value_heads") or heads,
        head_size=_whole(config, "hidden_size") // heads,
        mlp=_whole(config, "expert_intermediate_size"),
        eps=config.get("rms_norm_eps", 1e-5),
        theta=config.get("rope_theta", 10_000.0),
        length=_whole(config, "max_position_embeddings"),
        experts=(_whole(config, "num_experts"), _whole(config, "num_experts_per_tok")),
        tied=bool(config.get("tie_word_embeddings", False)),
    )


def moe_keys(shape: Shape) -> dict[str, str]:
    """The keys `model.layers.*` of LLaDA-MoE, one tensor an expert. All experts of a layer are one tensor in the
    network; `#7.1` after its name is the second half of expert 7's rows, `#7` all of them."""
    keys = {key: name for key, name in plain_keys(shape).items() if ".mlp." not in key}
    for i in range(shape.layers):
        keys[f"model.layers.{i}.mlp.gate.weight"] = f"layers.{i}.mlp.gate.weight"
        for j in range(shape.experts[0]):
            theirs, ours = f"model.layers.{i}.mlp.experts.{j}", f"layers.{i}.mlp.experts"
            keys[f"{theirs}.gate_proj.weight"] = f"{ours}.gate_up_proj#{j}.0"
            keys[f"{theirs}.up_proj.weight"] = f"{ours}.gate_up_proj#{j}.1"
            keys[f"{theirs}.down_proj.weight"] = f"{ours}.down_proj#{j}"
    return keys


def dit_shape(config: Mapping[str, Any]) -> DiTShape:
    """The sizes of MDLM's `config.json`."""
    refuse(config, {"time_conditioning": False})
    return DiTShape(
        vocab_size=_whole(config, "vocab_size"),
        width=_whole(config, "hidden_dim"),
        layers=_whole(config, "n_blocks"),
        heads=_whole(config, "n_heads"),
        condition=_whole(config, "cond_dim"),
        length=_whole(config, "model_length"),
    )


def dit_keys(shape: DiTShape) -> dict[str, str]:
    """The keys `backbone.*`."""
    keys = {"vocab_embed.embedding": "embed_tokens.weight", "output_layer.norm_final.weight": "norm.weight"}
    pairs = {"sigma_map.mlp.0": "time.0", "sigma_map.mlp.2": "time.2"}
    pairs |= {"output_layer.linear": "out", "output_layer.adaLN_modulation": "modulation"}
    for i in range(shape.layers):
        pairs |= {f"blocks.{i}.{part}": f"layers.{i}.{part}" for part in ("mlp.0", "mlp.2")}
        pairs[f"blocks.{i}.adaLN_modulation"] = f"layers.{i}.modulation"
        for theirs, ours in (
            ("norm1", "norm_attention"),
            ("norm2", "norm_mlp"),
            ("attn_qkv", "qkv"),
            ("attn_out", "mix"),
        ):
            keys[f"blocks.{i}.{theirs}.weight"] = f"layers.{i}.{ours}.weight"
    keys |= {f"{theirs}.{kind}": f"{ours}.{kind}" for theirs, ours in pairs.items() for kind in ("weight", "bias")}
    return {f"backbone.{theirs}": ours for theirs, ours in keys.items()}


LLADA = Layout(llada_shape, llada_keys, TextNetwork)
LLADA_MOE = Layout(moe_shape, moe_keys, TextNetwork)
MDLM = Layout(dit_shape, dit_keys, DiT)
PLAIN = {name: Layout(partial(plain_shape, layout=name), plain_keys, TextNetwork) for name in get_args(Plain)}
"""Layouts of transformers' own causal models, by their `model_type`."""


def refuse(config: Mapping[str, Any], only: Mapping[str, Any]) -> None:
    """Raise UserError where the configuration has another value than the `only` one that a network is built with."""
    for key, value in only.items():
        if key in config and config[key] != value:
            raise UserError(f"config.json: {key} is {config[key]!r}; this model is built with {value!r} only.")


def _whole(config: Mapping[str, Any], key: str) -> int:
    value = config.get(key)
    if value is None:
        kind = f" Its model_type is {config['model_type']!r}: is it another model's?" if "model_type" in config else ""
        raise UserError(f"config.json: {key} is missing.{kind}")
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise UserError(f"config.json: {key} is {value!r}; a whole number is needed there.")
    return value
