"""The families of published models that see, with their sizes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.errors import UserError
from harness.models.seeing.denoiser import Prompt
from harness.models.seeing.model import Family, Release, factory, revision_of
from harness.models.seeing.network import SeeingNetwork, SeeingShape
from harness.models.seeing.qwen import VISION, QwenShape, qwen_shape
from harness.models.seeing.siglip import SiglipShape, siglip_shape
from harness.models.text.families import DREAM_7B, LLADA_8B
from harness.models.text.layouts import LLADA, PLAIN, Layout, plain_keys, refuse
from harness.models.text.network import Shape, TextNetwork

Trunk = Layout[TextNetwork, Shape]
_SYSTEM = (
    "You are a helpful language and vision assistant. You are able to understand the visual content that the user "
    "provides, and assist the user with a variety of tasks using natural language."
)
_LLAVA = {
    "mm_projector_type": "mlp2x_gelu",
    "mm_patch_merge_type": "spatial_unpad",
    "mm_hidden_size": 1152,
    "image_aspect_ratio": "anyres",
}
_LAVIDA = {**_LLAVA, "image_grid_pinpoints": [[384, 768], [768, 384], [768, 768], [1152, 384], [384, 1152]]}


def _with_siglip(trunk: Trunk, pooled: bool) -> Layout[SeeingNetwork, SeeingShape]:
    """The layout of a text model of the layout `trunk` with SigLIP in front of it, in LLaVA's names."""

    def shape(config: Mapping[str, Any]) -> SeeingShape:
        text = trunk.shape(config)
        return SeeingShape(**vars(text), eye=siglip_shape(config, text.width, pooled))

    def keys(shape: SeeingShape) -> dict[str, str]:
        assert isinstance(shape.eye, SiglipShape)
        return {**trunk.keys(shape), **{key: f"eye.{name}" for key, name in shape.eye.keys().items()}}

    return Layout(shape, keys, SeeingNetwork)


_QUESTION = Prompt(system=_SYSTEM, before="<image>\n", marker="<image>", clipped=True)
_LLADA_V = Family(
    layout=_with_siglip(PLAIN["llama"], pooled=False),
    prompt=_QUESTION,
    end_of_turn="<|eot_id|>",
    mask="<|mdm_mask|>",
    never=("<|endoftext|>", "<|startoftext|>", "<|start_header_id|>", "<|end_header_id|>"),
)
LLADA_V = Release(
    pretrained="GSAI-ML/LLaDA-V",
    family=lambda config: _LLADA_V,
    random={
        "8b": {
            **_LLAVA,
            "image_aspect_ratio": "anyres_max_4",
            "image_grid_pinpoints": "(1x1),...,(6x6)",
            "hidden_size": 4096,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "intermediate_size": 12288,
            "vocab_size": 126464,
            "max_position_embeddings": 16384,
            "rms_norm_eps": 1e-5,
            "rope_theta": 500_000.0,
            "mask_token_id": 126336,
            "eos_token_id": 126081,
        }
    },
)
"""LLaDA-V 8B (You et al. 2025, arXiv 2505.16933): SigLIP2 and an MLP in front of LLaDA 8B Instruct, whose tensors have
the names of transformers' Llama."""

_LAVIDA_LLADA = Family(
    layout=_with_siglip(LLADA, pooled=True), prompt=_QUESTION, end_of_turn="<|eot_id|>", mask="<|mdm_mask|>"
)
_LAVIDA_DREAM = Family(
    layout=_with_siglip(PLAIN["qwen2"], pooled=True),
    prompt=_QUESTION,
    end_of_turn="<|im_end|>",
    mask="<|mask|>",
    shift=True,
)
LAVIDA = Release(
    pretrained="jacklishufan/lavida-llada-v1.0-instruct",
    family=lambda config: _LAVIDA_LLADA if "d_model" in config else _LAVIDA_DREAM,
    random={"8b": {**LLADA_8B.random["8b"], **_LAVIDA}, "7b": {**DREAM_7B.random["7b"], **_LAVIDA}},
)
"""LaViDa (Li et al. 2025, arXiv 2505.16839): SigLIP, an MLP and a pooling by two in front of LLaDA 8B or Dream 7B."""


def _dimple_shape(config: Mapping[str, Any]) -> SeeingShape:
    refuse(config, {"full_attn_mask": True})
    text = PLAIN["qwen2"].shape(config)
    sections = tuple(config.get("mrope_section") or (16, 24, 24))
    if len(sections) != 3 or 2 * sum(sections) != text.head_size:
        raise UserError(
            f"config.json: mrope_section is {sections}; three numbers that add up to {text.head_size // 2}."
        )
    return SeeingShape(**vars(text), eye=qwen_shape(config, text.width), sections=sections)


def _dimple_keys(shape: SeeingShape) -> dict[str, str]:
    assert isinstance(shape.eye, QwenShape)
    return {**plain_keys(shape), **{key: f"eye.{name}" for key, name in shape.eye.keys().items()}}


_DIMPLE = Family(
    layout=Layout(_dimple_shape, _dimple_keys, SeeingNetwork),
    prompt=Prompt(system="", before="<|vision_start|><|image_pad|><|vision_end|>", marker="<|image_pad|>"),
    end_of_turn="<|im_end|>",
    mask="<|mask|>",
    shift=True,
)
DIMPLE = Release(
    pretrained="rp-yu/Dimple-7B",
    family=lambda config: _DIMPLE,
    random={"7b": {**DREAM_7B.random["7b"], "vision_config": VISION}},
)
"""Dimple 7B (Yu et al. 2025, arXiv 2505.16990): Qwen2.5-VL's vision tower and an MLP in front of Dream 7B."""

dimple, dimple_revision = factory(DIMPLE), revision_of(DIMPLE)
llada_v, llada_v_revision = factory(LLADA_V), revision_of(LLADA_V)
lavida, lavida_revision = factory(LAVIDA), revision_of(LAVIDA)
