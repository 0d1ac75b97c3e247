"""`digits`: a class-conditional masked diffusion model of 8x8 handwritten digits, small enough for a CPU.

Tokens 0 … 16 are grey levels, 17 is the mask. It was made by `run_eval.py train digits`; `weights/digits.md` says how
good it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn.functional import pad

from harness.errors import UserError
from harness.models.base import Inputs, Row
from harness.models.digits_data import CLASSES, GRID, LEVELS, PIXELS
from harness.models.start import Start, begun, start_of
from harness.models.transformer import Transformer, TransformerConfig, forward_flops
from harness.models.weights_file import filled, read_facts
from harness.task import Output, Request


def digits(*, weights: str = "digits", device: str = "cpu") -> DigitsDenoiser:
    """The model with shipped weights, or with those of a training of one's own by path of its `.safetensors` file."""
    network = filled(weights, TransformerConfig, Transformer)
    return DigitsDenoiser(network.to(device), start_of(read_facts(weights), 0, LEVELS))


def digits_dimo(*, weights: str = "digits_dimo", device: str = "cpu") -> DigitsDenoiser:
    """The student of `digits` that was distilled into one step by Di[M]O."""
    return digits(weights=weights, device=device)


class DigitsDenoiser:
    """A `Transformer` behind the protocol `Denoiser`; the condition is `label` (B,), 0 … 9."""

    length_bucket = 1
    eos_ids: frozenset[int] = frozenset()

    def __init__(self, network: Transformer, start: Start | None = None) -> None:
        self.network, self.start = network, start
        offered = {"guidance", "positions", "attention_bias", "attention"}
        self.capabilities = frozenset(offered if start is None else offered | {"start"})
        self.mask_id = network.config.mask_id
        self.vocab_size = network.config.vocab_size + 1
        self.device = network.head.weight.device

    def encode(self, request: Request) -> Row:
        """An empty 8x8 image of the class `label`; UserError for another condition, a prompt or another length."""
        where = f"document {request.document!r}"
        if request.prompt is not None or request.length not in (None, PIXELS):
            raise UserError(f"{where}: the model 'digits' takes no prompt, and makes {PIXELS} tokens.")
        label = request.condition.get("label", -1)
        if set(request.condition) != {"label"} or label not in range(CLASSES):
            raise UserError(
                f"{where}: condition is {dict(request.condition)}; the model 'digits' needs a label from 0 to 9 alone."
            )
        return Row((self.mask_id,) * PIXELS, (True,) * PIXELS, {"label": int(label)}, GRID)

    def decode(self, tokens: Sequence[int]) -> Output:
        """The grey levels, row by row."""
        return Output(tokens=tuple(tokens))

    def logits(self, inputs: Inputs, index: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        """(N, 18) float32 logits at the flat positions `index` (N,); −inf at the mask id."""
        maps: list[Tensor] | None = [] if "attention" in inputs.outputs else None
        with torch.inference_mode():
            logits = self.predict(self.network, inputs, maps)
            # The head ran everywhere: in the shape of `index`, its rounding would depend on what neighbours ask for.
            wanted = pad(logits.flatten(0, 1)[index], (0, 1), value=float("-inf"))
        return wanted, {"attention": torch.stack(maps, dim=1)} if maps else {}

    def predict(self, network: Transformer, inputs: Inputs, maps: list[Tensor] | None = None) -> Tensor:
        """(B, L, 17) logits everywhere, by any network of the architecture; differentiable."""
        # Padding may have position ids that the network has not; nothing attends to it.
        positions = inputs.positions.clamp(max=network.config.length - 1)
        label = inputs.condition["label"].long()
        tokens, change = begun(self.start, inputs, self.mask_id)
        logits: Tensor = network(tokens, positions, label, inputs.valid, inputs.attention_bias, maps, change)
        return logits

    def unconditional(self, inputs: Inputs) -> Inputs:
        """The same rows with the null class."""
        label = torch.full_like(inputs.condition["label"], self.network.config.null_class)
        return replace(inputs, condition={**inputs.condition, "label": label})

    def flops(self, tokens: Tensor, predicted: Tensor) -> Tensor:
        """(B,) float64: FLOPs of one sequence-forward of `tokens` (B,) tokens; the head runs at all of them."""
        return forward_flops(self.network.config, tokens)
