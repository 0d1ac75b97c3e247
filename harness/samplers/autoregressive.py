"""Left to right, token by token: the reference point beside all samplers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from harness.canvas import Canvas
from harness.prediction import Prediction
from harness.samplers.base import param


@dataclass(frozen=True)
class Autoregressive:
    """Draw the next token until the text ends, after temperature, top-p and top-k.

    The network is asked for one token at a time and remembers the keys and values of those before: the first call is
    fed the prompt, each further one a single token.
    """

    top_p: float = param(1.0, "probability that the likeliest tokens kept must reach", low=0.0, high=1.0)
    top_k: int = param(0, "number of likeliest tokens kept; 0 = all", low=0)

    def generate(
        self, requests: Canvas, budget: int | None, rng: Callable[[str, int, int], Tensor], count: Callable[..., Tensor]
    ) -> Tensor:
        """(B, L) int64: the canvas with its texts, the mask id after their ends."""
        prompt = (requests.valid & ~requests.editable).sum(dim=1)
        wanted = requests.editable.sum(dim=1)
        texts, ends = requests.tokens.clone(), torch.tensor(requests.eos_ids, device=prompt.device)
        # All prompts end at the same place, so that every row's next token is the network's last.
        longest = torch.arange(int(prompt.max()), device=prompt.device)
        place = longest - (prompt.max() - prompt)[:, None]
        fed = texts.gather(1, place.clamp(min=0))
        writing = wanted > 0
        for step in range(int(wanted.max())):
            logits = count(rows=writing, tokens=fed, positions=place, first=torch.full_like(prompt, step == 0))
            fed = self._drawn(logits, requests.temperature, rng("token", step, 1))
            place = (prompt + step)[:, None]
            texts.scatter_(1, place.clamp(max=texts.shape[1] - 1), torch.where(writing[:, None], fed, requests.mask_id))
            writing = writing & (step + 1 < wanted) & ~torch.isin(fed.squeeze(1), ends)
            if not writing.any():
                break
        return texts

    def _drawn(self, logits: Tensor, temperature: Tensor, uniform: Tensor) -> Tensor:
        """(B, 1) int64: a token of each row's distribution, `logits` (B, V)."""
        prediction = Prediction(logits, torch.ones_like(uniform, dtype=torch.bool), temperature)
        return prediction.tempered().filtered(self.top_p, self.top_k).draw(uniform)
