"""What an autoregressive language model of transformers thinks of texts, and where it sees them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.errors import UserError


class Reading(NamedTuple):
    """What a scorer makes of n texts.

    nll       (n,) float64, nats: −log p of a text's tokens but the first, each given those before it
    tokens    (n,) int64: how many these are
    features  (n, d) float32: the last hidden state at the last token, zeros for a text without tokens
    """

    nll: NDArray[np.float64]
    tokens: NDArray[np.int64]
    features: NDArray[np.float32]


class CausalScorer:
    """A causal language model by the folder or the hub name of its checkpoint; no code of the checkpoint's is run.

    It runs in float32, on a GPU if there is one, text by text, so that a text's score depends on it alone. Of a text
    the first `context` tokens are read.
    """

    def __init__(self, name: str, context: int = 1024) -> None:
        self.name = name
        self.context = context

    def check(self) -> None:
        """Raise UserError where the checkpoint cannot be had, before anything is generated."""
        _ = self._tokenizer

    @cached_property
    def _tokenizer(self) -> Any:
        from transformers import AutoConfig, AutoTokenizer

        try:
            AutoConfig.from_pretrained(self.name)
            return AutoTokenizer.from_pretrained(self.name)
        except (OSError, ValueError, RuntimeError) as error:
            raise self._unreachable(error) from error

    @cached_property
    def _model(self) -> Any:
        import torch
        from transformers import AutoModelForCausalLM

        device = "cuda" if torch.cuda.is_available() else "cpu"
        try:
            model = AutoModelForCausalLM.from_pretrained(self.name, use_safetensors=True, dtype=torch.float32)
        except (OSError, ValueError, RuntimeError) as error:
            raise self._unreachable(error) from error
        return model.eval().requires_grad_(False).to(device)

    def _unreachable(self, error: Exception) -> UserError:
        reason = str(error).strip().splitlines()[0]
        return UserError(
            f"the scorer {self.name!r} cannot be loaded: {reason} Give the folder of a causal language model of "
            "transformers, or a name on the hub that is in its cache or can be reached."
        )

    def read(self, texts: Sequence[str]) -> Reading:
        """The scores and features of texts."""
        import torch
        from tqdm import tqdm

        nll, tokens, features = np.zeros(len(texts)), np.zeros(len(texts), dtype=np.int64), []
        width = int(self._model.config.hidden_size)
        for i, text in enumerate(tqdm(texts, desc=f"scorer {Path(self.name).name}", unit="text", disable=None)):
            ids = self._tokenizer(text, return_tensors="pt")["input_ids"][:, : self.context].to(self._model.device)
            if ids.shape[1] == 0:
                features.append(np.zeros(width, dtype=np.float32))
                continue
            with torch.inference_mode():
                out = self._model(input_ids=ids.long(), output_hidden_states=True)
            logp = out.logits[0, :-1].double().log_softmax(dim=-1)
            nll[i] = -float(logp.gather(1, ids[0, 1:, None].long()).sum())
            tokens[i] = ids.shape[1] - 1
            features.append(out.hidden_states[-1][0, -1].float().cpu().numpy())
        return Reading(nll, tokens, np.stack(features) if features else np.zeros((0, width), dtype=np.float32))
