"""RCR, running confidence remasking (He et al. 2025, arXiv 2508.13148; autonomousvision/mdpo
`src/mdlm_generation_utils.py`)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from harness.canvas import Ask, Canvas, Edit, State, StepView
from harness.prediction import Prediction
from harness.samplers.base import Whole, param
from harness.samplers.schedule import fitted_blocks, top


@dataclass(frozen=True)
class RCR:
    """Unmask every mask of the block, then mask again the tokens of lowest confidence, as many as a linear schedule
    leaves masked.

    A token's confidence is that of the step at which it was last unmasked, and it is never renewed. Tokens of earlier
    blocks compete too, as released. The released code counts a remembered confidence of exactly 0 as 1, and from then
    on may mask the prompt again; here only generated tokens compete.
    """

    confidence: str = param(
        "probability", "of the drawn token, or of its position", choices=("probability", "entropy", "margin")
    )
    block: Whole = param(0, "block length of semi-autoregressive order; 0 = the whole canvas", low=0)

    def init(self, canvas: Canvas) -> State:
        return {"running": torch.zeros(canvas.tokens.shape, device=canvas.tokens.device)}

    def step(self, view: StepView, ask: Ask) -> Edit:
        canvas = view.canvas
        block, count = fitted_blocks(view, self.block)
        budget, step = canvas.budget[:, None], canvas.step[:, None]
        turn = (step * count // budget).clamp(max=count - 1)
        start, end = -(-turn * budget // count), -(-(turn + 1) * budget // count)
        size = (canvas.editable & (block == turn)).sum(dim=1, keepdim=True)
        left = (size * (end - step - 1).clamp(min=0) // (end - start)).squeeze(1)

        reached = canvas.editable & (block <= turn)
        masked = view.masked & reached
        prediction = ask(view.query(need=masked))
        tokens = prediction.draw(view.random("tokens"))
        running = torch.where(masked, self._confidence(prediction, tokens), view.state["running"])
        low = top(left, -running, reached)
        return Edit(masked & ~low, tokens, {"running": running}, remask=view.visible & low)

    def _confidence(self, prediction: Prediction, tokens: Tensor) -> Tensor:
        """(B, L) float32: higher is kept longer."""
        if self.confidence == "probability":
            return prediction.logp(tokens).exp()
        return -prediction.entropy if self.confidence == "entropy" else prediction.margin
