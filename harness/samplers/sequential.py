"""One position a step: the slowest sampler, and with an exact model an exact one for every order."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from harness.canvas import Ask, Canvas, Edit, State, StepView
from harness.samplers.base import param
from harness.samplers.schedule import top


@dataclass(frozen=True)
class Sequential:
    """Unmask one position a step. The order looks at distributions or positions, never at the token drawn, so that the
    chain rule holds and the joint is sampled exactly."""

    order: str = param("confidence", "which position is next", choices=("confidence", "left_to_right", "random"))

    def init(self, canvas: Canvas) -> State:
        return {}

    def step(self, view: StepView, ask: Ask) -> Edit:
        prediction = ask()
        if self.order == "confidence":
            score = prediction.confidence
        elif self.order == "random":
            score = view.random("order")
        else:
            score = -view.canvas.positions.float()
        commit = top(torch.ones_like(view.canvas.step), score, view.masked)
        return Edit(commit, prediction.draw(view.random("tokens")))
