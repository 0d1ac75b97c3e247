"""One forward and one draw: the sampler of students that begin from tokens of their own (Di[M]O, Zhu et al. 2025,
arXiv 2503.15457, section 4)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from harness.canvas import Ask, Canvas, Edit, State, StepView


@dataclass(frozen=True)
class OneStep:
    """The model replaces the masks by its initial tokens and predicts every position; all are drawn at once."""

    def init(self, canvas: Canvas) -> State:
        return {}

    def step(self, view: StepView, ask: Ask) -> Edit:
        def start(purpose: str, count: int) -> Tensor:
            return torch.stack([view.random(f"{purpose} {i}") for i in range(count)], dim=-1)

        prediction = ask(replace(view.query(), start=start))
        return Edit(view.masked, prediction.draw(view.random("tokens")))
