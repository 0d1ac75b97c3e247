"""The transformer of LLaDA and Dream: transformers' Llama or Qwen2 layers, with attention in both directions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Record = Callable[[Tensor], None]
_ATTENTION = "mdm_harness"


@dataclass(frozen=True)
class Shape:
    """Sizes of a `TextNetwork`.

    layout      whose layers: `llama`, or `qwen2`, which has biases in the query, key and value projections
    vocab_size  rows of the embedding and of the head
    tied        the head is the embedding
    full_rotary positions are rotated in float32 whatever the dtype of the network
    """

    layout: Literal["llama", "qwen2"]
    vocab_size: int
    width: int
    layers: int
    heads: int
    kv_heads: int
    mlp: int
    eps: float
    theta: float
    length: int
    tied: bool = False
    full_rotary: bool = False

    @property
    def head_size(self) -> int:
        """Width of one attention head."""
        return self.width // self.heads

    @property
    def block_parameters(self) -> int:
        """Weights of all matrices within the layers."""
        attention = 2 * self.width**2 + 2 * self.width * self.kv_heads * self.head_size
        return self.layers * (attention + 3 * self.width * self.mlp)


class TextNetwork(nn.Module):
    """Hidden states of every position given all others; `head` turns them into logits."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        config, layer, norm, rotary = _parts(shape)
        self.shape = shape
        self.embed_tokens = nn.Embedding(shape.vocab_size, shape.width)
        self.layers = nn.ModuleList(layer(config, i) for i in range(shape.layers))
        self.norm = norm(shape.width, eps=shape.eps)
        self.head = nn.Linear(shape.width, shape.vocab_size, bias=False)
        with torch.device("cpu"):  # its buffers are no weights, and must not be left on the meta device
            self.rotary = rotary(config)
        if shape.tied:
            self.head.weight = self.embed_tokens.weight

    def forward(self, tokens: Tensor, positions: Tensor, mask: Tensor | None, record: Record | None = None) -> Tensor:
        """(B, L, width). `mask` (B, 1, 1 or L, L): bool where to attend, or a float added to the scores; None = all.

        `record` gets each layer's attention (B, L, L), averaged over heads.
        """
        x = self.embed_tokens(tokens)
        rotation = self.rotary(x.float() if self.shape.full_rotary else x, positions)
        for layer in self.layers:
            x = layer(x, attention_mask=mask, position_embeddings=rotation, record=record)
        hidden: Tensor = self.norm(x)
        return hidden


def _parts(shape: Shape) -> tuple[Any, ...]:
    """The configuration and the classes of layer, norm and rotary embedding."""
    from transformers import AttentionInterface

    AttentionInterface.register(_ATTENTION, _attend)
    sizes = {
        "vocab_size": shape.vocab_size,
        "hidden_size": shape.width,
        "intermediate_size": shape.mlp,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "rms_norm_eps": shape.eps,
        "rope_theta": shape.theta,
        "max_position_embeddings": shape.length,
        "attn_implementation": _ATTENTION,
    }
    if shape.layout == "qwen2":
        from transformers.models.qwen2 import modeling_qwen2 as qwen2

        return qwen2.Qwen2Config(**sizes), qwen2.Qwen2DecoderLayer, qwen2.Qwen2RMSNorm, qwen2.Qwen2RotaryEmbedding
    from transformers.models.llama import modeling_llama as llama

    return llama.LlamaConfig(**sizes), llama.LlamaDecoderLayer, llama.LlamaRMSNorm, llama.LlamaRotaryEmbedding


def _attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    record: Record | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attention of each position to all that `attention_mask` admits; query (B, heads, L, size), key and value with
    fewer heads, result (B, L, heads, size)."""
    query, key = query.to(value.dtype), key.to(value.dtype)  # a rotation in float32 leaves them so
    groups = query.shape[1] // key.shape[1]
    if groups > 1:
        key, value = key.repeat_interleave(groups, dim=1), value.repeat_interleave(groups, dim=1)
    if record is None:
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=attention_mask, scale=scaling)
        return mixed.transpose(1, 2), None
    scores = (query @ key.mT).float() * scaling
    if attention_mask is not None and attention_mask.dtype == torch.bool:
        scores = scores.masked_fill(~attention_mask, float("-inf"))
    elif attention_mask is not None:
        scores = scores + attention_mask
    attention = torch.softmax(scores, dim=-1)
    record(attention.mean(dim=1))
    return (attention.to(value.dtype) @ value).transpose(1, 2), None
