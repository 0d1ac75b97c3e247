"""One row, decoded by plain loops: what the references of published decoders share. Nothing here is the harness's but
the uniforms and the toy model."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import replace

import torch
from support import HashDenoiser
from torch import Tensor

from harness.engine import rng
from harness.models.base import Inputs


class Toy(HashDenoiser):
    """A toy model that sees a mask where nothing may be attended to."""

    def logits(self, inputs: Inputs, index: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        seen = torch.where(inputs.valid, inputs.tokens, self.mask_id)
        return super().logits(replace(inputs, tokens=seen), index)


def toy(seed: int, vocab: int = 6, length: int = 12, scale: float = 0.5, eos: tuple[int, ...] = ()) -> Toy:
    """A toy model with a prompt of three tokens, undecided enough for thresholds to matter."""
    model = Toy(vocab, length, prompt=(1, 0, 2), eos=eos)
    model.weight = torch.randn(model.weight.shape, generator=torch.Generator().manual_seed(seed)) * scale
    return model


class Row:
    """The canvas of one document and what a published decoder asks of it: calls, uniforms, draws."""

    def __init__(self, model: HashDenoiser, document: str, temperature: float, seed: int = 0) -> None:
        self.model = model
        self.start = len(model.prompt)
        self.length = model.length
        self.x = [*model.prompt, *[model.mask_id] * model.length]
        self.temperature = temperature
        self.words = [torch.tensor([word]) for word in (seed, rng.document_key(document), 0)]
        self.step = 0
        self.calls = 0
        self.fed = 0

    def uniform(self, purpose: str) -> list[float]:
        """One uniform for each generated position, of this step."""
        seed, document, sample = self.words
        step = torch.tensor([self.step])
        return rng.uniform(seed, purpose, document, sample, step, len(self.x))[0, self.start :].tolist()

    def logits(self, fed: int | None = None) -> Tensor:
        """(length, V) float64: one call of the model with the first `fed` tokens (all unless said)."""
        fed = len(self.x) if fed is None else fed
        self.calls += 1
        self.fed += fed
        tokens = torch.tensor([self.x])
        valid = torch.arange(len(self.x))[None] < fed
        inputs = Inputs(tokens, valid, tokens, {"label": torch.tensor([0])})
        index = torch.arange(self.start, len(self.x))
        return self.model.logits(inputs, index)[0].double()

    def draw(self, logits: Tensor) -> list[int]:
        """A token for each generated position, at the row's temperature."""
        if self.temperature == 0:
            return logits.argmax(dim=-1).tolist()
        chosen = []
        for position, u in enumerate(self.uniform("tokens")):
            probability = torch.softmax(logits[position] / self.temperature, dim=-1).tolist()
            ends = list(itertools.accumulate(probability))
            chosen.append(next(token for token, end in enumerate(ends) if end > u))
        return chosen

    def masks(self, begin: int = 0, end: int | None = None) -> list[int]:
        """Generated positions that are masked, counted from the first generated one."""
        end = self.length if end is None else end
        return [i for i in range(begin, end) if self.x[self.start + i] == self.model.mask_id]

    def write(self, positions: list[int], tokens: list[int]) -> None:
        for i in positions:
            self.x[self.start + i] = tokens[i]

    def erase(self, positions: list[int]) -> None:
        for i in positions:
            self.x[self.start + i] = self.model.mask_id

    @property
    def output(self) -> tuple[int, ...]:
        return tuple(self.x[self.start :])


def blocks(length: int, width: int) -> list[tuple[int, int]]:
    """First and one-past-last place of each block."""
    width = width or length
    return [(begin, min(begin + width, length)) for begin in range(0, length, width)]


def highest(count: int, score: dict[int, float]) -> list[int]:
    """The `count` positions of the highest score."""
    return sorted(score, key=lambda i: (-score[i], i))[:count]


def largest(logits: Tensor) -> list[float]:
    """The probability of the most probable token at each position."""
    return torch.softmax(logits, dim=-1).amax(dim=-1).tolist()


def quota(masks: int, steps: int) -> list[int]:
    """LLaDA's get_num_transfer_tokens."""
    return [masks // steps + (i < masks % steps) for i in range(steps)]


def gumbel(u: float) -> float:
    return -math.log(-math.log(u))
