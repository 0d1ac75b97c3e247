"""Where CLIP puts pictures and texts (Radford et al. 2021, arXiv:2103.00020), by a checkpoint of transformers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.metrics import pretrained

Embeddings = NDArray[np.float32]
_WHAT = "the CLIP model"


class Clip:
    """The two towers by the folder or hub name of their checkpoint; `at_once` pictures or texts make a batch."""

    def __init__(self, name: str, at_once: int = 64) -> None:
        self.name, self.at_once = name, at_once

    def check(self) -> None:
        """Raise UserError where the checkpoint cannot be had."""
        pretrained.check(self.name, _WHAT, "AutoConfig", "AutoTokenizer", "CLIPImageProcessor")

    @cached_property
    def _processor(self) -> Any:
        return pretrained.load("CLIPImageProcessor", self.name, _WHAT)

    @cached_property
    def _tokenizer(self) -> Any:
        return pretrained.load("AutoTokenizer", self.name, _WHAT)

    @cached_property
    def _network(self) -> Any:
        return pretrained.load_network("CLIPModel", self.name, _WHAT)

    def pictures(self, pictures: Sequence[NDArray[np.uint8]]) -> Embeddings:
        """(n, d) embeddings of length 1 of pictures (H, W, 3) RGB, resized and cropped as the checkpoint says."""

        def embed(some: Sequence[NDArray[np.uint8]]) -> Any:
            shown = torch.cat([self._processor(images=each, return_tensors="pt")["pixel_values"] for each in some])
            return self._network.get_image_features(pixel_values=shown.to(self._network.device))

        return self._embed(pictures, embed)

    def texts(self, texts: Sequence[str]) -> Embeddings:
        """(n, d) embeddings of length 1 of texts, of which the tokens that the model has positions for are read."""
        most = self._network.config.text_config.max_position_embeddings

        def embed(some: Sequence[str]) -> Any:
            words = self._tokenizer(list(some), padding=True, truncation=True, max_length=most, return_tensors="pt")
            return self._network.get_text_features(
                **{name: words[name].to(self._network.device) for name in ("input_ids", "attention_mask")}
            )

        return self._embed(texts, embed)

    def too_long(self, texts: Sequence[str]) -> NDArray[np.bool_]:
        """(n,): whether a text has more tokens than the model reads."""
        most = self._network.config.text_config.max_position_embeddings
        return np.array([len(self._tokenizer(text)["input_ids"]) > most for text in texts], dtype=np.bool_)

    @torch.inference_mode()
    def _embed(self, all_: Sequence[Any], embed: Any) -> Embeddings:
        found = [np.zeros((0, self._network.config.projection_dim), dtype=np.float32)]
        for start in range(0, len(all_), self.at_once):
            out = embed(all_[start : start + self.at_once])
            features = out if isinstance(out, Tensor) else out.pooler_output
            found.append((features / features.norm(dim=-1, keepdim=True)).float().cpu().numpy())
        return np.concatenate(found)
