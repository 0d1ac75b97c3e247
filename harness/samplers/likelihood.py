"""Monte-Carlo bound on the log-likelihood of a given text (Nie et al. 2025, arXiv 2502.09992, equation 6)."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from harness.canvas import Ask, Canvas, Edit, State, StepView
from harness.samplers.base import Whole, param
from harness.samplers.schedule import ranks


@dataclass(frozen=True)
class Likelihood:
    """Estimates log p(x) ≥ E[ L/k Σ_{i∈M} log p(x_i | x without M) ] over N draws: k uniform on 1 … L, and M uniform
    among the sets of k of the L positions.

    With conditionals that belong to one joint distribution the bound is tight: its mean is log p(x). The k of the
    draws are spread evenly, each of them uniform by itself; LLaDA's `forward_process` spreads them within a batch.
    A draw is one call. The text stands on the canvas from the start, and is not changed.
    """

    draws: Whole = param(128, "N, the number of draws", low=1)

    def init(self, canvas: Canvas) -> State:
        """`estimate` (B,) float64, nats: the mean over the draws made so far, as if the others were 0."""
        return {"estimate": torch.zeros_like(canvas.step, dtype=torch.float64)}

    def step(self, view: StepView, ask: Ask) -> Edit:
        """One draw."""
        canvas, draws = view.canvas, torch.as_tensor(self.draws, device=view.canvas.step.device).view(-1)
        length = canvas.editable.sum(dim=1)
        # The offset is that of the first step, in all of them.
        share = (view.random("likelihood/offset", -canvas.step)[:, 0] + canvas.step / draws) % 1
        size = torch.minimum((share * length).floor().to(torch.int64) + 1, length)
        hidden = canvas.editable & (ranks(view.random("likelihood/order"), canvas.editable) < size[:, None])
        query = view.query(tokens=canvas.tokens.masked_fill(hidden, canvas.mask_id), need=hidden)
        total = ask(query).logp(canvas.tokens).double().sum(dim=1)
        unfinished = canvas.step + 1 < draws
        estimate = view.state["estimate"] + total * length / size.clamp(min=1) / draws
        # A text may hold the mask's own token, which is impossible, and which nothing would ever unmask.
        other = torch.full_like(canvas.tokens, int(canvas.mask_id == 0))
        return Edit(canvas.masked & ~unfinished[:, None], other, {"estimate": estimate}, unfinished=unfinished)
