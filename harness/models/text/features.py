"""dLLM-Cache (Liu et al. 2025, arXiv 2506.06295; maomaocun/dLLM-cache): features of earlier calls, partly renewed."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from harness.models.base import Inputs
from harness.models.text.memory import KeyValues, Store, Work, places_of, take
from harness.models.text.network import TextNetwork


class FeatureMemory:
    """Every layer keeps its keys and values, and what its attention and its MLP gave.

    Those of the prompt are renewed at every `prompt_interval`-th call of a row (K_p), those of the response at every
    `response_interval`-th (K_r), and between these, in each layer, those of the share `transfer` (ρ) of the response
    whose values have turned most, by cosine, from the ones kept. The first layer is always computed.
    """

    def __init__(
        self,
        network: TextNetwork,
        rows: int,
        length: int,
        prompt_interval: int,
        response_interval: int,
        transfer: float,
    ) -> None:
        self._network = network
        self._intervals, self._transfer = (prompt_interval, response_interval), transfer
        self._pairs = KeyValues(network, rows, length)
        self._attended, self._mapped = ([Store(rows, length) for _ in network.layers] for _ in range(2))
        self._calls = torch.zeros(rows, dtype=torch.int64, device=network.device)

    def forget(self, rows: Tensor) -> None:
        """See `Memory.forget`."""
        self._calls = self._calls.masked_fill(rows, 0)

    def run(self, inputs: Inputs, mask: Tensor | None, need: Tensor, block: Tensor) -> Work:
        """Hidden states of the rows with anything in `need` (B, L) bool."""
        rows = need.any(dim=1)
        network, count = self._network, len(rows)
        hidden = network.head.weight.new_zeros(*block.shape, network.shape.width)
        tokens = torch.zeros(count, dtype=torch.int64, device=rows.device)
        flops = torch.zeros(count, dtype=torch.float64, device=rows.device)
        renewed = [self._calls % interval == 0 for interval in self._intervals]
        for prompt, response in itertools.product((True, False), repeat=2):
            part = rows & (renewed[0] == prompt) & (renewed[1] == response)
            if (index := part.nonzero().squeeze(1)).numel():
                hidden[index], tokens[index], flops[index] = self._part(inputs, mask, index, prompt, response)
        self._calls = self._calls + rows
        return Work(hidden, tokens, flops)

    def _part(self, inputs: Inputs, mask: Tensor | None, rows: Tensor, prompt: bool, response: bool) -> Work:
        """The work for `rows` (R,), which renew the same."""
        network, valid = self._network, inputs.valid[rows]
        mask = None if mask is None else mask[rows]
        x = network.embed_tokens(inputs.tokens[rows])
        rotation = network.rotation(x, inputs.positions[rows])
        before = torch.arange(valid.shape[1], device=valid.device) < inputs.condition["prompt"][rows, None]
        renewed = valid & ((before & prompt) | (~before & response))
        keys = valid.sum(dim=1)
        tokens, flops = torch.zeros_like(keys), torch.zeros(len(rows), dtype=torch.float64, device=keys.device)
        for i in range(len(network.layers)):
            computed = valid if i == 0 else renewed
            if i > 0 and not response and self._transfer:
                turned = self._turned(i, x, rows, valid & ~before)
                computed = renewed | turned
                flops += network.value_flops((valid & ~before & ~turned).sum(dim=1))
            x = self._layer(i, x, rotation, mask, rows, computed)
            tokens += computed.sum(dim=1)
            flops += network.layer_flops(computed.sum(dim=1), keys)
        return Work(network.norm(x), -(-tokens // len(network.layers)), flops)

    def _turned(self, i: int, x: Tensor, rows: Tensor, response: Tensor) -> Tensor:
        """(R, L) bool: where in the `response` (R, L) bool the values of layer `i` have turned most from those kept;
        all the new ones are kept."""
        layer: Any = self._network.layers[i]
        kept = self._pairs.values[i]
        places = places_of(response)
        values = layer.self_attn.v_proj(layer.input_layernorm(take(x, places)))
        old = take(kept.of(rows).flatten(2), places)
        kept.keep(rows, places, values.unflatten(2, (self._network.shape.kv_heads, -1)))
        size = response.sum(dim=1, keepdim=True)
        place = torch.arange(places.shape[1], device=places.device)
        likeness = F.cosine_similarity(values, old, dim=-1).masked_fill(place >= size, float("inf"))
        rank = likeness.argsort(dim=1, stable=True).argsort(dim=1)
        turned = (rank < (size * self._transfer).long()) & (place < size)
        return torch.zeros_like(response).scatter_reduce(1, places, turned, "amax")

    def _layer(
        self, i: int, x: Tensor, rotation: tuple[Tensor, Tensor], mask: Tensor | None, rows: Tensor, where: Tensor
    ) -> Tensor:
        """(R, L, width): what layer `i` makes of `x` (R, L, width): computed at `where` (R, L), else as kept."""
        layer: Any = self._network.layers[i]
        attended, mapped = self._attended[i], self._mapped[i]
        places = places_of(where)
        if not places.numel():
            return x + attended.of(rows) + mapped.of(rows)

        def recall(layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
            return self._pairs.update(layer, rows, places, key, value)

        turns = (take(rotation[0], places), take(rotation[1], places))
        made, _ = layer.self_attn(
            layer.input_layernorm(take(x, places)), position_embeddings=turns, attention_mask=mask, recall=recall
        )
        attended.keep(rows, places, made)
        x = x + attended.of(rows)
        mapped.keep(rows, places, layer.mlp(layer.post_attention_layernorm(take(x, places))))
        return x + mapped.of(rows)
