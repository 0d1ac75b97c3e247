"""KLASS (Kim et al. 2025, arXiv 2511.05664; shkim0116/KLASS `llada_klass.py`)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from harness.canvas import Ask, Canvas, Edit, State, StepView
from harness.prediction import Prediction
from harness.samplers.base import Real, Whole, param
from harness.samplers.schedule import best, block_index, current_block


@dataclass(frozen=True)
class Klass:
    """Unmask every position of the current block that is confident and whose distribution has settled:
    KL(p_t ‖ p_{t−1}) < ε at each of the last n steps. If there is none, the most confident position.

    The first step has no predecessor and settles nothing, nor, as released, do the first n − 1 steps of a block. The
    confidence is that of the most probable token. Holds the last distributions: (B, L, V) float32.
    """

    tau: Real = param(0.9, "τ, the confidence above which a settled position is unmasked", low=0.0, high=1.0)
    epsilon: Real = param(0.01, "ε, the KL divergence in nats below which a distribution counts as unmoved", low=0.0)
    history: Whole = param(2, "n, the number of unmoved steps that settle a position", low=1)
    block: Whole = param(0, "block length of semi-autoregressive order; 0 = the whole canvas", low=0)

    def init(self, canvas: Canvas) -> State:
        rows, length = canvas.tokens.shape
        counts = torch.zeros_like(canvas.tokens)
        previous = torch.zeros(rows, length, canvas.vocab_size, device=counts.device)
        return {
            "previous": previous,
            "unmoved": counts,
            "block": torch.full_like(canvas.step, -1),
            "steps": canvas.step,
        }

    def step(self, view: StepView, ask: Ask) -> Edit:
        prediction = ask()
        allowed = current_block(view, self.block)
        moved = self._divergence(prediction, view.state["previous"]) >= self.epsilon
        moved |= (view.canvas.step == 0)[:, None]
        unmoved = torch.where(moved, 0, view.state["unmoved"] + 1)

        block = torch.where(allowed, block_index(view, self.block)[0], 0).amax(dim=1)
        steps = torch.where(block == view.state["block"], view.state["steps"] + 1, 1)
        settled = (unmoved >= self.history) & (steps[:, None] >= self.history)
        ready = allowed & settled & (prediction.confidence > self.tau)
        commit = torch.where(ready.any(dim=1, keepdim=True), ready, best(prediction.confidence, allowed))

        previous = view.state["previous"].flatten(0, 1)
        previous = previous.index_copy(0, prediction.index, prediction.full(prediction.need))
        state = {
            "previous": previous.view(view.state["previous"].shape),
            "unmoved": unmoved,
            "block": block,
            "steps": steps,
        }
        return Edit(commit, prediction.draw(view.random("tokens")), state)

    def _divergence(self, now: Prediction, previous: Tensor) -> Tensor:
        """(B, L) float32: KL(now ‖ previous) where there is a prediction."""
        before = Prediction(previous.flatten(0, 1)[now.index], now.need, now.temperature)
        return before.kl_from(now)
