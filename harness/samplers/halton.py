"""Halton-MaskGIT (Besnier et al. 2025, arXiv 2503.17076; valeoai/Halton-MaskGIT `Sampler/halton_sampler.py`)."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from harness.canvas import Ask, Canvas, Edit, State, StepView
from harness.errors import UserError
from harness.samplers.base import Real, Whole, param
from harness.samplers.schedule import top


@dataclass(frozen=True)
class Halton:
    """Unmask the cells of an image in the order of a two-dimensional Halton sequence, whatever the model says: the
    cells of one step lie far apart, and so depend little on each other.

    After step s of T, `max(s + 1, ⌊N (1 − arccos((s + 1)/T) · 2/π)⌋)` of the N cells hold a token.
    """

    roll: bool = param(False, "start each sample at a random point of the sequence (`randomize` in the repository)")
    sharpen: Real = param(1.0, "what logits are multiplied by at the last step, rising from 1 (`sm_temp`)", low=0.01)
    warmup: Whole = param(0, "first steps, at which logits are halved (`temp_warmup`)", low=0)

    def init(self, canvas: Canvas) -> State:
        if canvas.grid is None:
            raise UserError("sampler 'halton' orders the cells of an image, and these rows have no grid")
        return {"start": torch.zeros_like(canvas.step)}

    def step(self, view: StepView, ask: Ask) -> Edit:
        canvas = view.canvas
        assert canvas.grid is not None
        height, width = canvas.grid
        cell = (canvas.editable.cumsum(dim=1) - 1).clamp(min=0)
        place = torch.tensor(halton_places(height, width), device=cell.device)[cell]
        start = view.state["start"]
        if self.roll:
            drawn = (view.random("roll")[:, 0] * (height * width)).long()
            start = torch.where(canvas.step == 0, drawn, start)
            place = (place - start[:, None]) % (height * width)
        commits = (view.masked.sum(dim=1) - (canvas.editable.sum(dim=1) - _done(view))).clamp(min=0)
        commit = top(commits, -place.float(), view.masked)
        tokens = ask(view.query(need=commit)).draw(view.random("tokens"), self._temperature(canvas))
        return Edit(commit, tokens, {"start": start})

    def _temperature(self, canvas: Canvas) -> Tensor:
        """(B,) float64: of this step's draws."""
        step, last = canvas.step[:, None], (canvas.budget[:, None] - 1).clamp(min=1)
        factor = 1 + (self.sharpen - 1) * (step.double() / last)
        factor = torch.where(step < self.warmup, factor / 2, factor)
        return canvas.temperature.double() / factor.squeeze(1)


def _done(view: StepView) -> Tensor:
    """(B,) int64: cells that hold a token after this step."""
    size = view.canvas.editable.sum(dim=1)
    share = 1 - torch.arccos(view.progress.squeeze(1)) * (2 / math.pi)
    # arccos(1/2) = π/3 is the one step whose count can be whole: rounding must not lose a cell there.
    done = torch.floor(size * share + 1e-9).to(torch.int64)
    return torch.minimum(torch.maximum(done, view.canvas.step + 1), size)


@functools.lru_cache(maxsize=16)
def halton_places(height: int, width: int) -> tuple[int, ...]:
    """The place of each cell, row by row, in the order in which the Halton points of bases 2 (down) and 3 (across),
    from the first after the origin on, come to lie in it."""
    places: dict[int, int] = {}
    index = 0
    while len(places) < height * width:
        index += 1
        (down, below), (across, beside) = _radical_inverse(index, 2), _radical_inverse(index, 3)
        # In whole numbers: a point on the edge of a cell must not fall to either side by rounding.
        cell = (down * height // below) * width + across * width // beside
        places.setdefault(cell, len(places))
    return tuple(places[cell] for cell in range(height * width))


def _radical_inverse(index: int, base: int) -> tuple[int, int]:
    """Numerator and denominator of `index` with its digits mirrored at the point (van der Corput)."""
    numerator, denominator = 0, 1
    while index:
        index, digit = divmod(index, base)
        numerator, denominator = numerator * base + digit, denominator * base
    return numerator, denominator
