"""LLaDA's decoding (Nie et al. 2025, arXiv 2502.09992, algorithm 5 and appendix B.4; ML-GSAI/LLaDA `generate.py`)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from harness.canvas import Ask, Canvas, Edit, State, StepView
from harness.prediction import Prediction
from harness.samplers.base import Whole, param
from harness.samplers.schedule import scheduled, top


@dataclass(frozen=True)
class LLaDA:
    """Draw a token everywhere, keep those most confident in the current block, as many as the official quota says.

    The confidence is the probability, at temperature 1, of the token drawn. Nothing is ever masked again. The quota is
    even over the steps of a block, the larger shares first.

    Models padded with an end token in training may end too early; `eos` says what is done about it. `logits`
    (`logits_eos_inf`) makes the end of text, the lowest of the model's end ids, impossible. `confidence`
    (`confidence_eos_eot_inf`) keeps the draw of an end token but leaves it for last. `confidence_literal` does that as
    released: at temperature 0 the confidence of all other tokens is also renormalised without the end tokens, and above
    it the lowest end id is not held back at all (ML-GSAI/LLaDA issue 137).

    With `rounded` the confidence has the precision of the model's logits, as released since June 2025 (float64 before):
    in bfloat16 there are 26 values from 0.9 to 1, and ties go to the lower position.
    """

    remasking: str = param("low_confidence", "what stays masked", choices=("low_confidence", "random"))
    eos: str = param("free", "treatment of end tokens", choices=("free", "logits", "confidence", "confidence_literal"))
    block: Whole = param(0, "block length of semi-autoregressive order; 0 = the whole canvas", low=0)
    rounded: bool = param(False, "confidence in the dtype of the logits, as released")

    def init(self, canvas: Canvas) -> State:
        return {}

    def step(self, view: StepView, ask: Ask) -> Edit:
        prediction = ask()
        if self.eos == "logits":
            prediction = prediction.without(view.canvas.eos_ids[:1])
        tokens = prediction.draw(view.random("tokens"))
        score = view.random("order") if self.remasking == "random" else self._confidence(prediction, tokens, view)
        allowed, count = scheduled(view, self.block)
        return Edit(top(count, score, allowed), tokens)

    def _confidence(self, prediction: Prediction, tokens: Tensor, view: StepView) -> Tensor:
        """(B, L): grows with the probability of `tokens`, −inf where an end token is held back."""
        ends = view.canvas.eos_ids
        if self.eos == "confidence_literal":
            cold = (view.canvas.temperature <= 0)[:, None].expand_as(view.masked)
            prediction = prediction.without(ends[1:]).without(ends[:1], cold)
        score = prediction.logp(tokens)
        if self.rounded:
            score = score.exp().to(prediction.logits.dtype).float()
        if self.eos == "confidence":
            score = score.masked_fill(torch.isin(tokens, torch.tensor(ends, device=tokens.device)), float("-inf"))
        return score
