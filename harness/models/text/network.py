"""The transformer of LLaDA and Dream: transformers' Llama or Qwen2 layers, with attention in both directions."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Record = Callable[[Tensor], None]
Recall = Callable[[int, Tensor, Tensor], tuple[Tensor, Tensor]]
"""From a layer and the keys and values (B, heads, Q, size) of the positions computed, to those that they attend to."""
_ATTENTION = "mdm_harness"


@dataclass(frozen=True)
class Shape:
    """Sizes of a `TextNetwork`.

    layout      whose layers: `llama`; `qwen2`, with biases in the query, key and value projections; `qwen3`, with norms
                of queries and keys; or `qwen3_moe`, the same with experts
    vocab_size  rows of the embedding and of the head
    head_size   width of one attention head
    length      longest row
    mlp         width of the gated layer, or of that of one expert
    experts     how many there are in each layer, and how many of them a token passes through; none = (0, 1)
    tied        the head is the embedding
    full_rotary positions are rotated in float32 whatever the dtype of the network
    """

    layout: Literal["llama", "qwen2", "qwen3", "qwen3_moe"]
    vocab_size: int
    width: int
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    mlp: int
    eps: float
    theta: float
    length: int
    experts: tuple[int, int] = (0, 1)
    tied: bool = False
    full_rotary: bool = False


class TextNetwork(nn.Module):
    """Hidden states of every position given all others; `head` turns them into logits."""

    offers = frozenset({"positions", "attention_bias", "attention"})

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        config, layer, norm, rotary = _parts(shape)
        self.shape = shape
        self.vocab_size, self.length = shape.vocab_size, shape.length
        self.embed_tokens = nn.Embedding(shape.vocab_size, shape.width)
        self.layers = nn.ModuleList(layer(config, i) for i in range(shape.layers))
        self.norm = norm(shape.width, eps=shape.eps)
        self.head = nn.Linear(shape.width, shape.vocab_size, bias=False)
        with torch.device("cpu"):  # its buffers are no weights, and must not be left on the meta device
            self.rotary = rotary(config)
        if shape.tied:
            self.head.weight = self.embed_tokens.weight

    def forward(
        self, tokens: Tensor, positions: Tensor, mask: Tensor | None, index: Tensor, record: Record | None = None
    ) -> Tensor:
        """(N, width) at the flat positions `index` (N,) into B * L. `mask` (B, 1, 1 or L, L): bool where to attend, or
        a float added to the scores; None = all.

        `record` gets each layer's attention (B, L, L), averaged over heads.
        """
        x = self.embed_tokens(tokens)
        return self.run(x, self.rotation(x, positions), mask, record, index=index)

    def rotation(self, x: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Cosine and sine, (B, L, size of a head) each, of the angles by which `positions` (B, L) rotate a head."""
        rotation: tuple[Tensor, Tensor] = self.rotary(x.float() if self.shape.full_rotary else x, positions)
        return rotation

    def run(
        self,
        x: Tensor,
        rotation: tuple[Tensor, Tensor],
        mask: Tensor | None,
        record: Record | None = None,
        recall: Recall | None = None,
        index: Tensor | None = None,
    ) -> Tensor:
        """The same as `forward` from embeddings (B, L, width) and the rotation of their positions; (B, L, width) where
        `index` is None. With `recall` they may be some positions of the rows only."""
        if record is None and recall is None:
            x = self.early(x, rotation, mask)
        else:
            x = self._early(x, rotation, mask, record, recall)
        x = self.layers[-1](
            x, attention_mask=mask, position_embeddings=rotation, record=record, recall=recall, index=index
        )
        hidden: Tensor = self.norm(x)
        return hidden

    def early(self, x: Tensor, rotation: tuple[Tensor, Tensor], mask: Tensor | None) -> Tensor:
        """(B, L, width): what comes out of the last layer but one."""
        return self._early(x, rotation, mask, None, None)

    def _early(
        self,
        x: Tensor,
        rotation: tuple[Tensor, Tensor],
        mask: Tensor | None,
        record: Record | None,
        recall: Recall | None,
    ) -> Tensor:
        for layer in self.layers[:-1]:
            x = layer(x, attention_mask=mask, position_embeddings=rotation, record=record, recall=recall)
        return x

    def compile(self, **how: Any) -> None:
        """Compile `early` in place, for any number and length of rows (and once more for a single row). The last layer
        stays as it is: at how many positions it is wanted is another number at every step."""
        early = torch.compile(self.early, dynamic=False, **how)

        def run(x: Tensor, rotation: tuple[Tensor, Tensor], mask: Tensor | None) -> Tensor:
            for each in (x, *rotation):
                torch._dynamo.maybe_mark_dynamic(each, [0, 1])
            if mask is not None:
                torch._dynamo.maybe_mark_dynamic(mask, [0, 2, 3])
            made: Tensor = early(x, rotation, mask)
            return made

        self.early = run  # type: ignore[method-assign]

    @property
    def device(self) -> torch.device:
        """Where tokens are expected."""
        return self.embed_tokens.weight.device

    def settle(self, device: str) -> None:
        """After the weights are there: what is tied, and what is no weight, on `device`, where there is but one."""
        if self.shape.tied:
            self.head.weight = self.embed_tokens.weight
        if device:
            self.rotary.to(device)  # its frequencies stay float32

    def flops(self, tokens: Tensor, predicted: Tensor) -> Tensor:
        """(B,) float64 FLOPs of one forward of `tokens` (B,) tokens with the head at `predicted` (B,) positions: matrix
        products only, a multiply-add is two."""
        return self.trunk_flops(tokens, predicted) + self.head_flops(predicted)

    def trunk_flops(self, tokens: Tensor, predicted: Tensor) -> Tensor:
        """(B,) float64: those of all but the head."""
        last = self.layer_flops(tokens, tokens, predicted)
        return (self.shape.layers - 1) * self.layer_flops(tokens, tokens) + last

    def layer_flops(self, tokens: Tensor, keys: Tensor, kept: Tensor | None = None) -> Tensor:
        """(B,) float64: those of one layer at `tokens` (B,) positions, each of which attends to `keys` (B,); behind the
        attention at `kept` (B,) of them only."""
        shape, length = self.shape, tokens.double()
        inner = shape.heads * shape.head_size
        experts, active = shape.experts
        before = 2 * shape.width * inner * length + 2 * self.value_flops(tokens) + 4 * inner * length * keys.double()
        behind = 2 * shape.width * (inner + 3 * active * shape.mlp + experts)
        return before + behind * (length if kept is None else kept.double())

    def value_flops(self, tokens: Tensor) -> Tensor:
        """(B,) float64: those of the values, or of the keys, of one layer at `tokens` (B,) positions."""
        return 2 * self.shape.width * self.shape.kv_heads * self.shape.head_size * tokens.double()

    def head_flops(self, predicted: Tensor) -> Tensor:
        """(B,) float64: those of the head at `predicted` (B,) positions."""
        return 2 * self.shape.width * self.shape.vocab_size * predicted.double()


def _parts(shape: Shape) -> tuple[Any, ...]:
    """The configuration and the classes of layer, norm and rotary embedding."""
    import transformers
    from transformers import AttentionInterface

    AttentionInterface.register(_ATTENTION, _attend)
    name = shape.layout.title().replace("_", "")
    moe = {
        "num_experts": shape.experts[0],
        "num_experts_per_tok": shape.experts[1],
        "moe_intermediate_size": shape.mlp,
        "norm_topk_prob": False,
        "experts_implementation": "grouped_mm",
    }
    module = importlib.import_module(f"transformers.models.{shape.layout}.modeling_{shape.layout}")
    config = getattr(transformers, f"{name}Config")(
        vocab_size=shape.vocab_size,
        hidden_size=shape.width,
        intermediate_size=shape.mlp,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        head_dim=shape.head_size,
        rms_norm_eps=shape.eps,
        rope_theta=shape.theta,
        max_position_embeddings=shape.length,
        attn_implementation=_ATTENTION,
        **(moe if shape.experts[0] else {}),
    )
    layer, norm, rotary = (getattr(module, f"{name}{part}") for part in ("DecoderLayer", "RMSNorm", "RotaryEmbedding"))
    return config, _partial(layer, module.apply_rotary_pos_emb), norm, rotary


def _partial(layer: type[nn.Module], rotate: Callable[..., tuple[Tensor, Tensor]]) -> type[nn.Module]:
    """The class `layer` of transformers, which with `index` (N,) gives (N, width) at these flat positions alone.

    Behind the attention it then runs at them only. Queries, a thirteenth of LLaDA's layer, are made at all: the maps
    of attention are of all, and so no count of each row's positions has to be waited for.
    """

    class Layer(layer):  # type: ignore[misc, valid-type]
        def forward(
            self,
            x: Tensor,
            attention_mask: Tensor | None,
            position_embeddings: tuple[Tensor, Tensor],
            index: Tensor | None = None,
            **others: Any,
        ) -> Tensor:
            if index is None:
                made: Tensor = super().forward(
                    x, attention_mask=attention_mask, position_embeddings=position_embeddings, **others
                )
                return made
            own, y = self.self_attn, self.input_layernorm(x)
            projections = own.q_proj, own.k_proj, own.v_proj
            query, key, value = (project(y).unflatten(2, (-1, own.head_dim)) for project in projections)
            if hasattr(own, "q_norm"):
                query, key = own.q_norm(query), own.k_norm(key)
            query, key, value = (each.transpose(1, 2) for each in (query, key, value))
            query, key = rotate(query, key, *position_embeddings)
            mixed, _ = _attend(own, query, key, value, attention_mask, own.scaling, **others)
            x = x.flatten(0, 1)[index] + own.o_proj(mixed.flatten(2).flatten(0, 1)[index])
            refined: Tensor = x + self.mlp(self.post_attention_layernorm(x)[None])[0]  # experts take rows
            return refined

    return Layer


def _attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    record: Record | None = None,
    recall: Recall | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """`attend` as transformers' layers call it."""
    if recall is not None:
        key, value = recall(cast(int, module.layer_idx), key, value)
    return attend(query, key, value, attention_mask, scaling, record), None


def attend(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float, record: Record | None
) -> Tensor:
    """Attention of each position to all that `mask` admits: query (B, heads, L, size), key and value with as many heads
    or fewer, result (B, L, heads, size)."""
    query, key = query.to(value.dtype), key.to(value.dtype)  # a rotation in float32 leaves them so
    groups = query.shape[1] // key.shape[1]
    if groups > 1:
        key, value = key.repeat_interleave(groups, dim=1), value.repeat_interleave(groups, dim=1)
    if record is None:
        if mask is not None and mask.is_floating_point():
            mask = mask.to(value.dtype)
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scale).transpose(1, 2)
    scores = (query @ key.mT).float() * scale
    if mask is not None and mask.dtype == torch.bool:
        scores = scores.masked_fill(~mask, float("-inf"))
    elif mask is not None:
        scores = scores + mask
    attention = torch.softmax(scores, dim=-1)
    record(attention.mean(dim=1))
    return (attention.to(value.dtype) @ value).transpose(1, 2)
