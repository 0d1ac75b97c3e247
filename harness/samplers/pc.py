"""PC-Sampler (Huang et al. 2025, arXiv 2508.13021; NEUIR/PC-Sampler `src/generate.py`, `pc_sampler_function`)."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from harness.canvas import Ask, Canvas, Edit, State, StepView
from harness.errors import UserError
from harness.samplers.base import Real, Whole, param
from harness.samplers.schedule import block_place, scheduled, top


@dataclass(frozen=True)
class PositionCorpus:
    """Unmask the positions of the highest exp(−λ i) · min(−c ln f(x), α): early in the block (i counts from 0), sure
    of their token x (probability c) and surprising by the corpus frequency f of that token.

    x is the token drawn and c its probability. `background` names a file of corpus frequencies: the authors' JSON
    (`num_token`, and `p_baseline_dict` from token id to count; ids not counted have frequency 1 / num_token), or
    safetensors with a tensor `frequency` (V,). Without one all tokens are equally frequent and the second factor is
    min(c ln V, α), plain confidence up to the clip. `background_hash` is filled in, so that another content of the file
    is another sampler. (The README of the release has the sign of the logarithm reversed; the code has not.)
    """

    decay: Real = param(0.25, "λ, the decay with the position (authors: 0 for Sudoku, 0.5 for Countdown)", low=0.0)
    alpha: Real = param(10.0, "α, the clip of the corpus factor", low=0.0)
    background: str = param("", "file of corpus frequencies; empty = uniform")
    background_hash: str = param("", "first 16 hex digits of the file's SHA-256; filled in, or checked where given")
    block: Whole = param(0, "block length of semi-autoregressive order; 0 = the whole canvas", low=0)

    def __post_init__(self) -> None:
        found = _hash(self.background)
        if self.background_hash not in ("", found):
            raise UserError(f"{self.background}: its hash is {found!r}, not background_hash={self.background_hash!r}")
        object.__setattr__(self, "background_hash", found)

    def init(self, canvas: Canvas) -> State:
        return {}

    def step(self, view: StepView, ask: Ask) -> Edit:
        prediction = ask()
        tokens = prediction.draw(view.random("tokens"))
        surprise = _surprise(self.background, self.background_hash, prediction.logits.shape[-1]).to(tokens.device)
        confidence = prediction.logp(tokens).double().exp()
        place, _ = block_place(view, self.block)
        corpus = torch.minimum(confidence * surprise[tokens], torch.as_tensor(self.alpha, device=tokens.device))
        allowed, count = scheduled(view, self.block)
        return Edit(top(count, torch.exp(-self.decay * place) * corpus, allowed), tokens)


def _hash(path: str) -> str:
    if not path:
        return ""
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]
    except OSError as error:
        raise UserError(f"sampler 'pc': background is {path!r}: {error.strerror}; name a file of frequencies") from None


@lru_cache(maxsize=4)
def _surprise(path: str, content_hash: str, vocab: int) -> Tensor:
    """(V,) float64: −ln f of every token."""
    if not path:
        return torch.full((vocab,), math.log(vocab), dtype=torch.float64)
    frequency = _from_json(path, vocab) if path.endswith(".json") else _from_safetensors(path)
    if frequency.shape != (vocab,) or not bool((frequency > 0).all()) or not bool(frequency.isfinite().all()):
        raise UserError(
            f"{path}: frequencies of shape {tuple(frequency.shape)}; "
            f"they must be ({vocab},), one for each token of the model, all above 0"
        )
    return -frequency.log()


def _from_json(path: str, vocab: int) -> Tensor:
    try:
        content: Any = json.loads(Path(path).read_text("utf-8"))
        total, counts = int(content["num_token"]), content["p_baseline_dict"]
        ids = torch.tensor([int(token) for token in counts])
        values = torch.tensor([float(count) for count in counts.values()], dtype=torch.float64)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path}: {error!r}; it must hold num_token and p_baseline_dict (token id to count)") from None
    if len(ids) and not 0 <= int(ids.min()) <= int(ids.max()) < vocab:
        raise UserError(f"{path}: p_baseline_dict has token {int(ids.max())}; the model's ids are 0 to {vocab - 1}")
    return torch.full((vocab,), 1.0, dtype=torch.float64).index_copy(0, ids.long(), values) / total


def _from_safetensors(path: str) -> Tensor:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)["frequency"].double()
    except (SafetensorError, KeyError) as error:
        raise UserError(f"{path}: {error}; it must be safetensors with a tensor 'frequency', or .json") from None
