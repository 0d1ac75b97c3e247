"""Rows with known errors: a clean sequence as a random-order decoder would have left it half-way, some tokens wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from harness.canvas import Canvas
from harness.engine import rng
from harness.engine.generator import Job
from harness.engine.rows import RowEncoder
from harness.errors import UserError
from harness.models.base import Denoiser
from harness.samplers import samplers
from harness.spec import Decoding
from harness.task import Request


@dataclass(frozen=True)
class Clean:
    """A true sequence: a draw from the joint, or a real image, as (L,) int64 tokens; and the request it answers."""

    request: Request
    tokens: Tensor


@dataclass(frozen=True)
class Setting:
    """What is done to every clean row.

    mask_ratio   share of the positions that are masked, at least two stay visible
    error_share  share of the visible tokens that are replaced by another, at least one token and not all
    steps        steps that the whole sequence takes, of equal numbers of positions
    seed         of the order, the errors and the wrong tokens
    """

    mask_ratio: float
    error_share: float
    steps: int
    seed: int


@dataclass(frozen=True)
class Injected:
    """Rows with errors, and how they came about.

    canvas  what is visible now, wrong tokens included; all else masked
    wrong   (B, L) bool: the visible positions whose token was replaced
    step    (B, L) int64: the step that unmasked, or would unmask, each position
    """

    canvas: Canvas
    wrong: Tensor
    step: Tensor

    @cached_property
    def steps(self) -> int:
        """Steps until now. Every row took as many."""
        return int(self.step[self.canvas.visible].max()) + 1

    def before(self, step: int) -> Tensor:
        """(B, L) int64: the canvas's tokens before step `step`, the errors made by then included."""
        return self.canvas.tokens.masked_fill(self.step >= step, self.canvas.mask_id)


def clean_rows(model: Any, name: str, count: int) -> list[Clean]:
    """The first `count` clean rows for a model: draws from an exact model's joint (each from a stream of its own, so
    that more rows leave the first as they are), or test images for `digits`. UserError for other models."""
    from harness.models.digits import DigitsDenoiser
    from harness.models.digits_data import digits_split
    from harness.models.exact import ExactDenoiser

    if isinstance(model, ExactDenoiser):
        draws = [torch.Generator(model.device).manual_seed(i) for i in range(count)]
        return [Clean(Request(f"draw-{i}"), model.joint.sample(1, draw)[0]) for i, draw in enumerate(draws)]
    if isinstance(model, DigitsDenoiser):
        split = digits_split()
        if count > len(split.test_images):
            raise UserError(f"--documents {count}: there are {len(split.test_images)} test images of digits")
        pairs = zip(split.test_images[:count], split.test_labels[:count], strict=True)
        return [
            Clean(Request(f"test-{i}", condition={"label": int(label)}), torch.from_numpy(image).to(model.device))
            for i, (image, label) in enumerate(pairs)
        ]
    raise UserError(f"--models {name}: errors can be put only into what is known to be right; use exact/* or digits")


def inject(model: Denoiser, rows: Sequence[Clean], setting: Setting) -> Injected:
    """Mask and corrupt the rows. A row's errors depend on its document and the setting alone; a wrong token is uniform
    among the others of the model's vocabulary. Rows of one seed have the same order at every mask ratio and share."""
    canvas = _canvas(model, rows, setting)
    length = canvas.tokens.shape[1]
    visible_count = max(2, round((1 - setting.mask_ratio) * length))
    error_count = min(max(1, round(setting.error_share * visible_count)), visible_count - 1)

    order = _places(_uniform(canvas, "order"))
    visible = order < visible_count
    wrong = _places(_uniform(canvas, "errors").masked_fill(~visible, 2.0)) < error_count
    clean = torch.stack([row.tokens for row in rows])
    # The mask is the last id of both models' vocabularies: an offset of 1 … V − 1 among the V others never returns.
    others = model.vocab_size - 1
    offset = 1 + (_uniform(canvas, "tokens") * (others - 1)).long()
    tokens = torch.where(wrong, (clean + offset) % others, clean).masked_fill(~visible, canvas.mask_id)
    return Injected(replace(canvas, tokens=tokens), wrong, order * setting.steps // length)


def _canvas(model: Denoiser, rows: Sequence[Clean], setting: Setting) -> Canvas:
    """The empty canvas on which a decoder would have started."""
    info, decoding = samplers["random"].info, Decoding()
    jobs = [Job("", row.request, 0, None, info, decoding, setting.steps, setting.seed) for row in rows]
    return RowEncoder(model).canvas(jobs)


def _uniform(canvas: Canvas, purpose: str) -> Tensor:
    length = canvas.tokens.shape[1]
    return rng.uniform(canvas.seed, f"inject-{purpose}", canvas.document, canvas.sample, canvas.step, length)


def _places(values: Tensor) -> Tensor:
    """(B, L) int64: the place of each value in its row's ascending order."""
    return values.argsort(dim=1, stable=True).argsort(dim=1, stable=True)
