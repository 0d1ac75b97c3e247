"""CLIP's text encoder as what a model of pictures is conditioned on."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from harness.errors import UserError
from harness.models.text.checkpoint import Checkpoint

LENGTH = 77
"""Tokens that a text is cut or padded to."""
_END = 49407


class TextEncoder:
    """A text to its states before the last layer, (77, width), and its projected summary, (pooled,).

    words  the tokenizer; None = the bytes of a text are its tokens
    """

    def __init__(self, network: Any, words: Any) -> None:
        self.network, self.words = network, words
        self.width, self.pooled = int(network.config.hidden_size), int(network.config.projection_dim)

    @torch.inference_mode()
    def __call__(self, text: str) -> tuple[Tensor, Tensor]:
        if self.words is None:
            ids = [_END - 1, *text.encode()][: LENGTH - 1]
            tokens = torch.tensor([[*ids, *[_END] * (LENGTH - len(ids))]])
        else:
            made = self.words(text, padding="max_length", truncation=True, max_length=LENGTH, return_tensors="pt")
            tokens = made.input_ids
        made = self.network(input_ids=tokens.to(self.network.device), output_hidden_states=True)
        return made.hidden_states[-2][0], made.text_embeds[0]


def load_text_encoder(place: Checkpoint, words: Checkpoint, dtype: torch.dtype, device: str) -> TextEncoder:
    """The encoder in the folder of `place` with the tokenizer in that of `words`; UserError if either is none."""
    from transformers import CLIPTextModelWithProjection, CLIPTokenizerFast

    place.fetch()
    try:
        # On the device `meta`, headers are read only.
        network, report = CLIPTextModelWithProjection.from_pretrained(
            str(place.folder), dtype=dtype, use_safetensors=True, output_loading_info=True, device_map=device
        )
        tokenizer = CLIPTokenizerFast.from_pretrained(str(words.folder))
    except Exception as error:  # the libraries raise what they like, bare Exceptions included
        raise UserError(f"text_encoder: {place.folder}, {words.folder}: no CLIP to be read: {_line(error)}") from None
    if missing := sorted(report["missing_keys"]):
        raise UserError(f"text_encoder: the tensors in {place.folder} are not those of CLIP. missing: {missing[:8]}")
    return TextEncoder(network.eval().requires_grad_(False), tokenizer)


def random_text_encoder(width: int, pooled: int, dtype: torch.dtype, device: str) -> TextEncoder:
    """An encoder of 24 layers, as CLIP ViT-H/14 has, with random weights: always the same ones."""
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    config = CLIPTextConfig(
        hidden_size=width,
        intermediate_size=4 * width,
        projection_dim=pooled,
        num_hidden_layers=24,
        num_attention_heads=max(width // 64, 1),
        vocab_size=_END + 1,
        eos_token_id=_END,
    )
    with torch.random.fork_rng(devices=()), torch.device("meta" if device == "meta" else "cpu"):
        torch.manual_seed(0)
        network = CLIPTextModelWithProjection(config)
    return TextEncoder(network.eval().requires_grad_(False).to(device, dtype), None)


def _line(error: Exception) -> str:
    """What an error says, in one line: transformers tells of tensors in a table."""
    return " ".join(str(error).split())
