"""DAPD: dependency-aware parallel decoding (arXiv 2603.12996, ICML 2026; quasar529/DAPD `dapd/core.py` and
`dapd/generation.py`)."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from harness.canvas import Ask, Canvas, Edit, State, StepView
from harness.prediction import Query
from harness.samplers.attention import independent_set, last_layers
from harness.samplers.base import Real, Whole, param
from harness.samplers.schedule import current_block, ranks


@dataclass(frozen=True)
class DAPD:
    """Unmask a set of masked positions that attend little to one another.

    s_ij is the attention between i and j, both ways averaged, over the heads of the last layers. Masked positions are
    taken in falling order of confidence · Σ_j s_ij; one is left out if s_ij / max_j s_ij > τ for a j taken before. τ
    rises from τ_min to τ_max as the canvas fills. `staged` adds, in the second half, every position that is at least
    0.9 confident; `direct` instead takes first those that are entirely certain.

    As in the repository, s is normalised by its largest value in the row of the later position, so that the relation is
    not symmetric.
    """

    tau_max: Real = param(0.15, "τ_max, the largest relative attention between positions taken together", low=0.0)
    tau_min: Real = param(0.01, "τ_min, the same while all is masked", low=0.0)
    variant: str = param("staged", "the paper's DAPD-Staged or DAPD-Direct", choices=("staged", "direct"))
    layers: float = param(0.3, "share of the layers, from the last, whose attention is averaged", low=0.0, high=1.0)
    block: Whole = param(0, "block length of semi-autoregressive order; 0 = the whole canvas", low=0)

    def init(self, canvas: Canvas) -> State:
        return {}

    def step(self, view: StepView, ask: Ask) -> Edit:
        allowed = current_block(view, self.block)
        prediction = ask(Query(view.canvas.tokens, allowed, outputs=frozenset({"attention"})))
        attention = last_layers(prediction.extra["attention"], self.layers)
        strength = (attention + attention.transpose(1, 2)) / 2
        apart = torch.eye(strength.shape[1], dtype=torch.bool, device=strength.device)
        strength = strength.masked_fill(apart | ~(allowed[:, :, None] & allowed[:, None]), 0.0)
        relative = strength / strength.amax(dim=2, keepdim=True).clamp(min=1e-8)

        done = 1 - view.masked.sum(dim=1, keepdim=True).double() / view.canvas.editable.sum(dim=1, keepdim=True)
        tau = self.tau_min + (self.tau_max - self.tau_min) * done
        confidence = prediction.confidence
        certain = allowed & (confidence >= 1) if self.variant == "direct" else torch.zeros_like(allowed)
        rank = ranks(strength.sum(dim=2) * confidence, allowed & ~certain)
        commit = certain | independent_set(relative > tau[:, :, None], rank, allowed & ~certain)
        if self.variant == "staged":
            commit = commit | (allowed & (confidence >= 0.9) & (done >= 0.5))
        return Edit(commit, prediction.draw(view.random("tokens")))
