"""`digits_dit`: continuous diffusion of 8x8 handwritten digits by a small DiT, run by the generators `heun` and `ddim`.

Its weights were made with and without masks, by `run_eval.py train mc_dit`; `weights/mc_dit.md` says how good they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from harness.errors import UserError
from harness.models.base import Row
from harness.models.digits_data import CLASSES, GRID, LEVELS, PIXELS
from harness.models.dit import SIGMA_DATA, DiT, DiTConfig, forward_flops, images, patches
from harness.models.weights_file import filled
from harness.task import Output, Request

MEAN, SCALE = 4.886, 6.018 / SIGMA_DATA
"""Grey levels 0 … 16 less MEAN, divided by SCALE, have mean 0 and deviation SIGMA_DATA over the training images."""


def digits_dit(*, weights: str = "mc_dit/clean_to_clean_0", device: str = "cpu") -> DigitsDiT:
    """The model with shipped weights, or with those of a training of one's own by path of its `.safetensors` file."""
    network = filled(weights, DiTConfig, DiT)
    return DigitsDiT(network.to(device))


def scaled(tokens: Tensor, patch: int) -> Tensor:
    """(B, places, values) float32: images (B, 64) of grey levels as the network sees them."""
    return patches((tokens.float() - MEAN) / SCALE, patch)


class DigitsDiT:
    """A `DiT` behind the protocol `Network`; the condition is `label` (B,), 0 … 9."""

    vocab_size = mask_id = 0
    eos_ids: frozenset[int] = frozenset()
    capabilities = frozenset({"denoises_pixels", "guidance"})
    length_bucket = 1

    def __init__(self, dit: DiT) -> None:
        self.dit = dit
        self.device = dit.decoder.head.weight.device

    def encode(self, request: Request) -> Row:
        """An 8x8 image of the class `label` to make; UserError for another condition, a prompt or another length."""
        where = f"document {request.document!r}"
        if request.prompt is not None or request.length not in (None, PIXELS):
            raise UserError(f"{where}: the model 'digits_dit' takes no prompt, and makes {PIXELS} pixels.")
        label = request.condition.get("label", -1)
        if set(request.condition) != {"label"} or label not in range(CLASSES):
            raise UserError(
                f"{where}: condition is {dict(request.condition)}; the model 'digits_dit' needs a label from 0 to 9 "
                "alone."
            )
        return Row((0,) * PIXELS, (True,) * PIXELS, {"label": int(label)}, GRID)

    def decode(self, values: Sequence[float]) -> Output:
        """The nearest grey levels, row by row."""
        levels = (round(value * SCALE + MEAN) for value in values)
        return Output(tokens=tuple(min(max(level, 0), LEVELS - 1) for level in levels))

    def network(self, condition: Mapping[str, Tensor], inputs: Mapping[str, Tensor]) -> Tensor:
        """(B, 64) float32: `x` (B, 64) without its noise of deviation `sigma` (B,)."""
        patch, sigma = self.dit.config.patch, inputs["sigma"].float()
        denoised = self.dit(patches(inputs["x"].float(), patch), sigma, condition["label"].long())
        return images(denoised, patch)

    def null(self, condition: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The null class."""
        return {"label": torch.full_like(condition["label"], self.dit.config.null_class)}

    def work(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The patches, and the FLOPs of a forward over them."""
        tokens = torch.full_like(inputs["sigma"], self.dit.config.places, dtype=torch.int64)
        return tokens, torch.full_like(inputs["sigma"], forward_flops(self.dit.config), dtype=torch.float64)
