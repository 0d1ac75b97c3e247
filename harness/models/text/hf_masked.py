"""`hf_masked`: other masked language models, by configuration."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from harness.errors import UserError, did_you_mean
from harness.models.text.checkpoint import find_checkpoint
from harness.models.text.denoiser import Backbone, TextDenoiser
from harness.models.text.layouts import PLAIN, Layout
from harness.models.text.loading import check_checkpoint, dtype_of, load_network
from harness.models.text.model import special_ids
from harness.models.text.network import Record, Shape, TextNetwork
from harness.models.text.own import load_codec, load_own

_AUTO = "auto"


def hf_masked(
    *,
    pretrained: str,
    hub_revision: str = "",
    layout: str = _AUTO,
    keys: str = "",
    mask_id: int | None = None,
    end_of_turn: str = "",
    shift: bool = False,
    chat: bool = False,
    bos: bool = False,
    dtype: str = "bfloat16",
    bucket: int = 32,
    trust_remote_code: bool = False,
    device: str = "cpu",
) -> TextDenoiser:
    """A masked language model that has no adapter of its own.

    layout             `llama`, `qwen2` or `qwen3`: a causal model of that kind that was trained to see both ways.
                       `auto`: transformers' own masked language model, or with `trust_remote_code` the checkpoint's
    keys               a JSON file of what to put in place of the beginnings of tensor names, for a causal layout whose
                       tensors are called otherwise: {"encoder.": "model."}
    mask_id            the mask token, where neither `config.json` nor the tokenizer names it
    end_of_turn        a token that ends the text beside the end of text, such as <|im_end|>
    shift              the logits of a position are computed at the one before it
    chat, bos          prompts are turns in the chat template; plain prompts begin with the BOS token
    trust_remote_code  run the Python code that comes with the checkpoint
    """
    kind, checkpoint = dtype_of(dtype), find_checkpoint(pretrained, hub_revision)
    backbone: Backbone
    if layout == _AUTO:
        backbone = _OwnForward(load_own(checkpoint, "AutoModelForMaskedLM", kind, trust_remote_code).to(device))
    else:
        backbone = load_network(checkpoint, _layout(layout, keys), kind, device)
    codec = load_codec(checkpoint, chat, bos, trust_remote_code, backbone.vocab_size)
    special = special_ids(checkpoint.config, codec, backbone.vocab_size, end_of_turn, mask_id)
    return TextDenoiser(backbone, codec, *special, shift, bucket)


def revision(
    *,
    pretrained: str,
    hub_revision: str,
    layout: str,
    keys: str,
    mask_id: int | None,
    end_of_turn: str,
    chat: bool,
    bos: bool,
    dtype: str,
    trust_remote_code: bool,
    **_: object,
) -> str:
    """The commit or the fingerprint of the weights; UserError for what is wrong with the checkpoint."""
    dtype_of(dtype)
    checkpoint = find_checkpoint(pretrained, hub_revision)
    size = checkpoint.config.get("vocab_size")
    if layout != _AUTO:
        chosen = _layout(layout, keys)
        check_checkpoint(checkpoint, chosen)
        size = chosen.shape(checkpoint.config).vocab_size
    elif checkpoint.config.get("auto_map") and not trust_remote_code:
        raise UserError(
            f"pretrained: {pretrained} comes with code of its own. Read it, and allow it with trust_remote_code=true, "
            f"or name a layout: {', '.join(PLAIN)}."
        )
    if isinstance(size, int):
        codec = load_codec(checkpoint, chat, bos, trust_remote_code, size)
        special_ids(checkpoint.config, codec, size, end_of_turn, mask_id)
    return checkpoint.revision


class _OwnForward:
    """A model of transformers, or of a checkpoint's own code, that makes logits in one go: they stand for the hidden
    states, and there is no head to save."""

    offers = frozenset[str]()

    def __init__(self, model: Any) -> None:
        self.model = model
        self.vocab_size = int(model.config.vocab_size)
        self.length = getattr(model.config, "max_position_embeddings", None)
        self.takes = set(inspect.signature(model.forward).parameters)

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return torch.device(self.model.device)

    def __call__(
        self, tokens: Tensor, positions: Tensor, mask: Tensor | None, index: Tensor, record: Record | None = None
    ) -> Tensor:
        """(N, V) logits."""
        inputs = {"attention_mask": None if mask is None else mask[:, 0, 0].long(), "position_ids": positions}
        output = self.model(tokens, **{name: value for name, value in inputs.items() if name in self.takes})
        logits: Tensor = output if isinstance(output, Tensor) else output.logits
        return logits.flatten(0, 1)[index]

    def head(self, hidden: Tensor) -> Tensor:
        """The logits as they are."""
        return hidden

    def flops(self, tokens: Tensor, predicted: Tensor) -> None:
        """Unknown."""
        return


def _layout(name: str, keys: str) -> Layout[TextNetwork, Shape]:
    if name not in PLAIN:
        raise UserError(f"layout is {name!r}.{did_you_mean(name, (*PLAIN, _AUTO))}")
    plain = PLAIN[name]
    renames = _renames(keys)

    def renamed(shape: Shape) -> dict[str, str]:
        return {_theirs(key, renames): ours for key, ours in plain.keys(shape).items()}

    return replace(plain, keys=renamed)


def _theirs(key: str, renames: Mapping[str, str]) -> str:
    """What the checkpoint calls the tensor that transformers calls `key`."""
    for theirs, plain in renames.items():
        if key.startswith(plain):
            return theirs + key[len(plain) :]
    return key


def _renames(keys: str) -> Mapping[str, str]:
    if not keys:
        return {}
    try:
        content = json.loads(Path(keys).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"keys: {keys} cannot be read as JSON: {error}") from None
    if not isinstance(content, dict) or not all(isinstance(value, str) for value in content.values()):
        raise UserError(f'keys: {keys} must hold beginnings of names, such as {{"encoder.": "model."}}.')
    return content
