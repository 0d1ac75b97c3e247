"""The forward pass of a model that remembers: what it may be asked for, and by which rows."""

from __future__ import annotations

from typing import cast

from torch import Tensor

from harness.canvas import Canvas, StepView
from harness.models.base import ApproximateDenoiser, Denoiser, Inputs, Recalled
from harness.samplers.schedule import active_block


class Recaller:
    """The memory of one batch: `begin` with the rows that enter, `bind` it to a step, and call it once."""

    def __init__(self, denoiser: ApproximateDenoiser, canvas: Canvas, fitted: bool) -> None:
        self._denoiser, self._fitted = denoiser, fitted
        self._memory = denoiser.memory(*canvas.tokens.shape)
        self._tokens: Tensor | None = None

    @classmethod
    def of(cls, denoiser: Denoiser, canvas: Canvas, fitted: bool) -> Recaller | None:
        """None for a model that remembers nothing; `fitted` where the sampler counts blocks by `fitted_blocks`."""
        return cls(cast(ApproximateDenoiser, denoiser), canvas, fitted) if "memory" in denoiser.capabilities else None

    def begin(self, rows: Tensor) -> None:
        """Others are in the slots `rows` (B,) bool."""
        self._memory.forget(rows)

    def bind(self, view: StepView, sampler: object) -> None:
        """A step of `sampler`, whose current block is that of its parameter `block`, or all of the response."""
        width = getattr(sampler, "block", 0)
        self.block = active_block(view, width, self._fitted)
        self._tokens = view.canvas.tokens

    def __call__(self, inputs: Inputs, need: Tensor) -> Recalled:
        """What the model predicts at `need` (B, L), which must be within `block`."""
        if inputs.tokens is not self._tokens:
            raise RuntimeError(
                "a model that remembers is asked once a step, about the canvas as it is; the sampler is not cacheable"
            )
        self._tokens = None
        return self._denoiser.recall(inputs, need, self.block, self._memory)
