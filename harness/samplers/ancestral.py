"""Ancestral sampling of masked diffusion: the discretised posterior (Sahoo et al. 2024, arXiv 2406.07524, equation 7;
kuleshov-group/mdlm `diffusion.py`) and its exact continuous-time limit (Zheng et al. 2024, arXiv 2409.02908)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from harness.canvas import Ask, Canvas, Edit, State, StepView
from harness.samplers.base import param
from harness.samplers.schedule import best


@dataclass(frozen=True)
class Ancestral:
    """Each mask, whatever the others do, is unmasked at a step from t to s with probability (α_s − α_t)/(1 − α_t),
    where α = 1 − t falls on T equal steps from t = 1 to 0.

    A position's reveal is then uniform over the T steps, so it is drawn once, and steps that reveal nothing are
    skipped: the law is that of the T-step loop, which is the nominal cost, and the calls are those of the steps that
    reveal something. That is exact for a network that does not read the time.

    The released code stops at t = 10⁻⁵ and spends one more call on the arg-max of what is left; here the last step
    ends at 0, as in the paper.
    """

    def init(self, canvas: Canvas) -> State:
        return {"reveal": torch.zeros_like(canvas.tokens)}

    def reveal(self, view: StepView) -> Tensor:
        """(B, L) float64: the share of the time at which each position is revealed."""
        return view.random("reveal")

    def step(self, view: StepView, ask: Ask) -> Edit:
        canvas = view.canvas
        budget = canvas.budget[:, None]
        drawn = (self.reveal(view) * budget).to(torch.int64).clamp(max=budget - 1)
        reveal = torch.where(canvas.step[:, None] == 0, drawn, view.state["reveal"])
        pending = torch.where(view.masked, reveal, budget)
        now = pending.amin(dim=1, keepdim=True)
        commit = view.masked & (reveal == now)
        following = torch.where(commit, budget, pending).amin(dim=1)
        ahead = now.squeeze(1) - canvas.step
        tokens = ask(view.query(need=commit)).draw(view.random("tokens", ahead))
        return Edit(commit, tokens, {"reveal": reveal}, advance=following - canvas.step)


@dataclass(frozen=True)
class FirstHitting:
    """Jump from one unmasking to the next: with m masks left the next comes at t · u^(1/m), at a uniformly random mask.

    This is the T → ∞ limit of ancestral sampling without its discretisation error, one call a token. To a network that
    does not read the time it is `sequential` in random order.
    """

    conditioned: bool = param(False, "tell the network the hitting time; needs the model's capability `time`")

    def init(self, canvas: Canvas) -> State:
        return {"time": torch.ones(canvas.step.shape, dtype=torch.float64, device=canvas.step.device)}

    def step(self, view: StepView, ask: Ask) -> Edit:
        masks = view.masked.sum(dim=1).clamp(min=1)
        time = view.state["time"] * view.random("time")[:, 0] ** (1 / masks.double())
        commit = best(view.random("order"), view.masked)
        query = view.query(need=commit)
        if self.conditioned:
            query = replace(query, time=time.float())
        return Edit(commit, ask(query).draw(view.random("tokens")), {"time": time})
