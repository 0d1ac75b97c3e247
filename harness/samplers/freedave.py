"""FreeDave: free draft and verification (arXiv 2510.00294; cychomatica/FreeDave `generation/core.py`)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from harness.canvas import Ask, Canvas, Edit, State, StepView
from harness.prediction import Prediction, Query
from harness.samplers.base import Whole, param
from harness.samplers.schedule import scheduled, top
from harness.samplers.topk import Confidence, Entropy, Margin, Random, TopK

_BASES: dict[str, type[TopK]] = {"confidence": Confidence, "entropy": Entropy, "margin": Margin, "random": Random}


@dataclass(frozen=True)
class FreeDave:
    """The tokens of a schedule-based sampler in fewer dependent calls.

    From one prediction the next `draft` steps of the base sampler are drafted, as if the prediction did not change. One
    call of as many copies gives the predictions that the base sampler would have seen after each of them. The first
    draft is right by construction; the longest run of drafts that equal what the base sampler does from the one before
    is accepted, and the prediction after the last of them is the next to draft from.

    Draws use the random numbers of the step they stand for, so that the result equals the base sampler's token for
    token at every temperature, up to the rounding of a forward at another batch shape. A step is one dependent call and
    `draft` sequence-forwards; the repository counts the latter as one.
    """

    base: str = param("confidence", "the sampler whose tokens are made", choices=tuple(_BASES))
    draft: int = param(4, "d, future steps drafted and verified at once", low=1)
    block: Whole = param(0, "block length of the base sampler; 0 = the whole canvas", low=0)

    def init(self, canvas: Canvas) -> State:
        score = torch.zeros(canvas.tokens.shape, dtype=torch.float64, device=canvas.tokens.device)
        drawn = canvas.tokens[:, None].repeat(1, self.draft, 1)
        return {"score": score, "drawn": drawn, "ready": torch.zeros_like(canvas.step, dtype=torch.bool)}

    def step(self, view: StepView, ask: Ask) -> Edit:
        score, drawn = self._prediction(view, ask)
        steps = [view.canvas.tokens]
        for i in range(self.draft):
            steps.append(self._base_step(_ahead(view, steps[-1], i), score, drawn[:, i]))
        draft = torch.stack(steps[1:], dim=1)  # (B, d, L): the canvas after each drafted step

        copies = _ahead_each(view, draft)
        prediction = ask(Query(copies.canvas.tokens, copies.masked, copies=self.draft))
        found = self._score(copies, prediction)
        true = self._base_step(copies, found, prediction.draw(copies.random("tokens")), self.draft).view_as(draft)
        goes_on = copies.masked.any(dim=1).view(-1, self.draft)[:, :-1]
        right = (draft[:, 1:] == true[:, :-1]).all(dim=2) & goes_on
        accepted = 1 + right.cumprod(dim=1).sum(dim=1)

        row, last = torch.arange(len(draft), device=draft.device), accepted - 1
        state = {
            "score": found.view(*draft.shape)[row, last],
            "drawn": self._draws(view, prediction.pick(last, self.draft), accepted),
            "ready": torch.ones_like(view.state["ready"]),
        }
        tokens = draft[row, last]
        return Edit(view.masked & (tokens != view.canvas.mask_id), tokens, state, advance=accepted)

    def _prediction(self, view: StepView, ask: Ask) -> tuple[Tensor, Tensor]:
        """(B, L) float64 scores and (B, d, L) int64 draws for the next steps: remembered, or asked for at first."""
        ready = view.state["ready"]
        first = ask(view.query(rows=~ready))
        score = torch.where(ready[:, None], view.state["score"], self._score(view, first))
        drawn = torch.where(ready[:, None, None], view.state["drawn"], self._draws(view, first, 0))
        return score, drawn

    def _score(self, view: StepView, prediction: Prediction) -> Tensor:
        """(B, L) float64: what the base sampler orders the positions by."""
        return _BASES[self.base]().score(view, prediction).double()

    def _draws(self, view: StepView, prediction: Prediction, ahead: Tensor | int) -> Tensor:
        """(B, d, L) int64: what each of the d steps from `ahead` on would draw from this prediction."""
        draws = [prediction.draw(view.random("tokens", ahead=ahead + i)) for i in range(self.draft)]
        return torch.stack(draws, dim=1)

    def _base_step(self, view: StepView, score: Tensor, drawn: Tensor, copies: int = 1) -> Tensor:
        """(B * copies, L) int64: the canvas of each row of `view` after one step of the base sampler."""
        block = self.block if isinstance(self.block, int) else self.block.repeat_interleave(copies, dim=0)
        allowed, count = scheduled(view, block)
        order = view.random("order").double() if self.base == "random" else score
        return torch.where(top(count, order, allowed), drawn, view.canvas.tokens)


def _ahead(view: StepView, tokens: Tensor, steps: int) -> StepView:
    """The view `steps` steps on, when the canvas holds `tokens` (B, L)."""
    canvas = replace(view.canvas, tokens=tokens, step=view.canvas.step + steps)
    return replace(view, canvas=canvas, random=lambda purpose: view.random(purpose, ahead=steps))


def _ahead_each(view: StepView, tokens: Tensor) -> StepView:
    """The views 1, 2, … d steps on, when the canvas holds `tokens` (B, d, L), as B * d rows."""
    count = tokens.shape[1]
    canvas = view.canvas.repeated(count)
    ahead = torch.arange(1, count + 1, device=tokens.device).repeat(len(tokens))

    def random(purpose: str) -> Tensor:
        return torch.stack([view.random(purpose, ahead=i + 1) for i in range(count)], dim=1).flatten(0, 1)

    return replace(view, canvas=replace(canvas, tokens=tokens.flatten(0, 1), step=canvas.step + ahead), random=random)
