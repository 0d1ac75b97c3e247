"""CreditDecoding (Wang et al. 2025, arXiv 2510.06133; inclusionAI/dInfer `parallel_strategy.py`,
`CreditThresholdParallelDecoder`)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from harness.canvas import Ask, Canvas, Edit, State, StepView
from harness.samplers.base import Real, Whole, param
from harness.samplers.schedule import best, current_block


@dataclass(frozen=True)
class Credit:
    """Confidence threshold on logits raised by credit: what a token has earned by being the most probable before.

    At each step the credits C of the current block's masks decay by β, then the most probable token v of each position
    earns p_v^γ; the logits l + α ln(1 + C) are drawn from, and give the confidences. Unmasked is what reaches τ, and
    always the most confident position (dInfer: also what is within 0.00001 of it). Holds (B, L, V) float32.
    """

    tau: Real = param(0.9, "τ, the confidence from which a position is unmasked", low=0.0, high=1.0)
    alpha: Real = param(0.7, "α, the weight of the credit in the logits", low=0.0)
    beta: Real = param(0.8, "β, the share of the credit left after a step", low=0.0, high=1.0)
    gamma: Real = param(0.2, "γ, the power of the probability that is earned", low=0.0)
    block: Whole = param(0, "block length of semi-autoregressive order; 0 = the whole canvas", low=0)

    def init(self, canvas: Canvas) -> State:
        return {"credit": torch.zeros(*canvas.tokens.shape, canvas.vocab_size, device=canvas.tokens.device)}

    def step(self, view: StepView, ask: Ask) -> Edit:
        allowed = current_block(view, self.block)
        plain = ask(view.query(need=allowed))
        index, old = plain.index, view.state["credit"]
        alpha, beta = (plain.per_position(value, torch.float32)[:, None] for value in (self.alpha, self.beta))
        earned = plain.per_position(plain.confidence.double() ** self.gamma, torch.float32)
        credit = beta * old.flatten(0, 1)[index]
        credit = credit.scatter_add(1, plain.per_position(plain.top1, torch.int64)[:, None], earned[:, None])

        fused = replace(plain, logits=plain.logits + alpha * torch.log1p(credit))
        commit = best(fused.confidence, allowed) | (allowed & (fused.confidence >= self.tau))
        state = {"credit": old.flatten(0, 1).index_copy(0, index, credit).view(old.shape)}
        return Edit(commit, fused.draw(view.random("tokens")), state)
