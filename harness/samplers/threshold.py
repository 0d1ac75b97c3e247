"""Fast-dLLM's confidence threshold (Wu et al. 2025, arXiv 2505.22618; NVlabs/Fast-dLLM `generate.py`), uncached."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from harness.canvas import Ask, Canvas, Edit, State, StepView
from harness.samplers.base import Real, Whole, param
from harness.samplers.schedule import current_block, top


@dataclass(frozen=True)
class Threshold:
    """Unmask every position of the current block whose confidence is at least τ, and always the most confident one."""

    tau: Real = param(0.9, "τ, the confidence from which a position is unmasked", low=0.0, high=1.0)
    block: Whole = param(0, "block length of semi-autoregressive order; 0 = the whole canvas", low=0)

    def init(self, canvas: Canvas) -> State:
        return {}

    def step(self, view: StepView, ask: Ask) -> Edit:
        prediction = ask()
        allowed = current_block(view, self.block)
        best = top(torch.ones_like(view.canvas.step), prediction.confidence, allowed)
        commit = best | (allowed & (prediction.confidence >= self.tau))
        return Edit(commit, prediction.draw(view.random("tokens")))
