"""LLaDA, its mixture of experts and Dream once more, in plain torch from their papers and from the names of their
tensors: what the networks built on transformers are compared with. It reads the files of a checkpoint and shares
nothing with the harness."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

LLADA = {
    "layer": "model.transformer.blocks.{}.",
    "embedding": "model.transformer.wte",
    "last_norm": "model.transformer.ln_f",
    "head": "model.transformer.ff_out",
    "norms": ("attn_norm", "ff_norm"),
    "attention": ("q_proj", "k_proj", "v_proj", "attn_out"),
    "mlp": ("ff_proj", "up_proj", "ff_out"),
    "sizes": ("n_layers", "n_heads", "n_kv_heads"),
}
DREAM = {
    "layer": "model.layers.{}.",
    "embedding": "model.embed_tokens",
    "last_norm": "model.norm",
    "head": "lm_head",
    "norms": ("input_layernorm", "post_attention_layernorm"),
    "attention": tuple(f"self_attn.{part}_proj" for part in "qkvo"),
    "mlp": ("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"),
    "sizes": ("num_hidden_layers", "num_attention_heads", "num_key_value_heads"),
}

LLADA_MOE = {**DREAM, "experts": tuple(f"mlp.experts.{{}}.{part}_proj" for part in ("gate", "up", "down"))}


class PlainNetwork:
    """Logits of one row without padding, in float64."""

    def __init__(self, folder: Path, names: dict[str, Any]) -> None:
        self.names, self.config = names, json.loads((folder / "config.json").read_text())
        self.weights: dict[str, Tensor] = {}
        for file in sorted(folder.glob("*.safetensors")):
            self.weights |= {key: tensor.double() for key, tensor in load_file(file).items()}

    def __call__(self, tokens: list[int], instead: Mapping[int, Tensor] | None = None) -> Tensor:
        """(L, V) float64: the head at every position, with no shift. `instead` holds embeddings (n, width) for the
        positions from the one that is its key."""
        names, eps = self.names, self.config["rms_norm_eps"]
        layers, heads, kv_heads = (self.config[name] for name in names["sizes"])
        x = self.weights[f"{names['embedding']}.weight"][torch.tensor(tokens)]
        for place, embeddings in (instead or {}).items():
            x[place : place + len(embeddings)] = embeddings
        self.attention = []
        for i in range(layers):
            x = x + self._attend(self._norm(x, self._layer(i, names["norms"][0]), eps), i, heads, kv_heads)
            x = x + self._mlp(self._norm(x, self._layer(i, names["norms"][1]), eps), i)
        return (
            self._norm(x, self.weights[f"{names['last_norm']}.weight"], eps) @ self.weights[f"{names['head']}.weight"].T
        )

    def _mlp(self, y: Tensor, i: int) -> Tensor:
        if "experts" not in self.names:
            return self._gated(y, i, self.names["mlp"])
        odds = torch.softmax(y @ self._layer(i, "mlp.gate").T, dim=-1)
        out = torch.zeros_like(y)
        for token, row in enumerate(odds.tolist()):
            likely = sorted(range(len(row)), key=lambda expert: -row[expert])
            for expert in likely[: self.config["num_experts_per_tok"]]:
                names = [name.format(expert) for name in self.names["experts"]]
                out[token] += row[expert] * self._gated(y[token], i, names)
        return out

    def _gated(self, y: Tensor, i: int, names: list[str]) -> Tensor:
        gate, up, down = (self._layer(i, name) for name in names)
        gated = y @ gate.T
        return (gated * torch.sigmoid(gated) * (y @ up.T)) @ down.T

    def _layer(self, i: int, name: str, kind: str = "weight") -> Tensor:
        return self.weights[f"{self.names['layer'].format(i)}{name}.{kind}"]

    def _norm(self, x: Tensor, weight: Tensor, eps: float) -> Tensor:
        return x / (x.square().mean(-1, keepdim=True) + eps).sqrt() * weight

    def _attend(self, x: Tensor, i: int, heads: int, kv_heads: int) -> Tensor:
        length, size = len(x), x.shape[-1] // heads
        angle = torch.arange(length).double()[:, None] * self.config["rope_theta"] ** (
            -torch.arange(size // 2).double() * 2 / size
        )

        def project(name: str, count: int, rotate: bool) -> Tensor:
            y = x @ self._layer(i, name).T
            if f"{self.names['layer'].format(i)}{name}.bias" in self.weights:
                y = y + self._layer(i, name, "bias")
            y = y.view(length, count, size)
            norm = name.replace("proj", "norm")
            if f"{self.names['layer'].format(i)}{norm}.weight" in self.weights:
                y = self._norm(y, self._layer(i, norm), self.config["rms_norm_eps"])
            if rotate:
                a, b = y[..., : size // 2], y[..., size // 2 :]
                cos, sin = angle.cos()[:, None], angle.sin()[:, None]
                y = torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)
            return y

        q_name, k_name, v_name, out_name = self.names["attention"]
        q, k, v = project(q_name, heads, True), project(k_name, kv_heads, True), project(v_name, kv_heads, False)
        k, v = (each.repeat_interleave(heads // kv_heads, dim=1) for each in (k, v))
        attention = torch.softmax(torch.einsum("qhd,khd->hqk", q, k) / size**0.5, dim=-1)
        self.attention.append(attention.mean(dim=0))
        mixed = torch.einsum("hqk,khd->qhd", attention, v).reshape(length, -1)
        return mixed @ self._layer(i, out_name).T
