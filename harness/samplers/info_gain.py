"""Information-gain sampler (Yang et al. 2026, arXiv 2602.18176; yks23/Information-Gain-Sampler
`src/samplers/info_gain.py`)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from harness.canvas import Ask, Canvas, Edit, State, StepView
from harness.prediction import Prediction, Query
from harness.samplers.base import Real, Whole, param
from harness.samplers.schedule import gumbel, scheduled, top


@dataclass(frozen=True)
class InfoGain:
    """Look one step ahead with several candidate sets of positions, and take the one that leaves the least uncertainty.

    The first candidate is the k most confident positions, the others the k highest of confidence / temperature plus
    Gumbel noise, each with a draw of tokens of its own; sets that repeat are dropped. One call of a copy for each gives
    J = − (entropy of the positions it unmasks, before) − (mean entropy of the masks left, after). The highest J is
    taken, and its prediction is the one to go on from. Where every position of the block is at least `threshold`
    confident, all are unmasked at once.

    As in the repository, the confidence that orders positions is the probability of the drawn token.
    """

    candidates: int = param(8, "N, actions looked at in one step", low=1)
    position_temperature: Real = param(0.2, "temperature of the choice of positions", low=1e-3)
    threshold: Real = param(0.8, "confidence from which a block is finished at once; above 1 = never", low=0.0)
    block: Whole = param(0, "block length of semi-autoregressive order; 0 = the whole canvas", low=0)

    def init(self, canvas: Canvas) -> State:
        entropy = torch.zeros(canvas.tokens.shape, device=canvas.tokens.device)
        return {
            "ready": torch.zeros_like(canvas.step, dtype=torch.bool),
            "entropy": entropy,
            "confidence": torch.zeros_like(entropy),
            "drawn": canvas.tokens[:, None].repeat(1, self.candidates, 1),
            "chance": entropy[:, None].repeat(1, self.candidates, 1),
        }

    def step(self, view: StepView, ask: Ask) -> Edit:
        now = self._prediction(view, ask)
        allowed, count = scheduled(view, self.block)
        size = allowed.sum(dim=1)
        sure = (~allowed | (now["confidence"] >= self.threshold)).all(dim=1)
        action = self._actions(view, now["chance"], allowed, torch.where(sure, size, count))  # (B, N, L) bool
        after = torch.where(action, now["drawn"], view.canvas.tokens[:, None])

        fresh = ~_repeated(action)
        masked = (after == view.canvas.mask_id) & view.canvas.editable[:, None]
        need = (masked & fresh[:, :, None]).flatten(0, 1)
        prediction = ask(Query(after.flatten(0, 1), need, copies=self.candidates))
        left = prediction.entropy.view(after.shape).double().sum(dim=2) / masked.sum(dim=2).clamp(min=1)
        cost = torch.where(action, now["entropy"][:, None], 0.0).double().sum(dim=2)
        best = torch.where(fresh, -cost - left, float("-inf")).argmax(dim=1)

        # Finishing a block at once takes as many steps off the schedule as its positions would have taken.
        advance = torch.where(sure, -(-size // count.clamp(min=1)), 1).clamp(min=1)
        state = self._remember(view, prediction.pick(best, self.candidates), advance)
        row = torch.arange(len(best), device=best.device)
        return Edit(action[row, best], after[row, best], state, advance=advance)

    def _actions(self, view: StepView, chance: Tensor, allowed: Tensor, count: Tensor) -> Tensor:
        """(B, N, L) bool: the positions that each candidate unmasks."""
        actions = [top(count, chance[:, 0], allowed)]
        for i in range(1, self.candidates):
            noise = gumbel(view.random(f"positions {i}"))
            actions.append(top(count, chance[:, i] / self.position_temperature + noise, allowed))
        return torch.stack(actions, dim=1)

    def _prediction(self, view: StepView, ask: Ask) -> State:
        """What is remembered of the prediction for this canvas, which is asked for at first."""
        ready = view.state["ready"]
        first = self._remember(view, ask(view.query(rows=~ready)), 0)
        return {name: torch.where(_like(ready, old), old, first[name]) for name, old in view.state.items()}

    def _remember(self, view: StepView, prediction: Prediction, ahead: Tensor | int) -> State:
        """What the step `ahead` of this one needs of its prediction."""
        draws = [prediction.draw(view.random(f"tokens {i}", ahead=ahead)) for i in range(self.candidates)]
        return {
            "ready": torch.ones_like(view.state["ready"]),
            "entropy": prediction.entropy,
            "confidence": prediction.confidence,
            "drawn": torch.stack(draws, dim=1),
            "chance": torch.stack([prediction.logp(tokens).exp() for tokens in draws], dim=1),
        }


def _like(rows: Tensor, other: Tensor) -> Tensor:
    return rows.view(-1, *[1] * (other.dim() - 1))


def _repeated(action: Tensor) -> Tensor:
    """(B, N) bool: whether an earlier candidate unmasks the same positions."""
    same = (action[:, :, None] == action[:, None]).all(dim=3)
    return same.tril(diagonal=-1).any(dim=2)
