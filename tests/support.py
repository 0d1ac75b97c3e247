"""What several test files share: small denoisers and a short way to run the engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from harness.components import make_sampler
from harness.engine.generator import Generation, Job
from harness.engine.loop import CanvasEngine
from harness.models.base import Inputs, Row
from harness.samplers import samplers
from harness.spec import Decoding, SamplerSpec
from harness.task import Output, Request


class HashDenoiser:
    """Fixed pseudo-random logits: a smooth function of the visible tokens, so that rows and positions interact."""

    def __init__(self, vocab: int = 7, length: int = 16, prompt: Sequence[int] = (), eos: Sequence[int] = ()) -> None:
        self.vocab_size = vocab + 1
        self.mask_id = vocab
        self.eos_ids = frozenset(eos)
        self.capabilities = frozenset({"guidance", "positions"})
        self.length_bucket = 1
        self.device = torch.device("cpu")
        self.length = length
        self.prompt = tuple(prompt)
        self.forwards: list[int] = []
        generator = torch.Generator().manual_seed(0)
        size = length + len(prompt)
        self.weight = torch.randn(size, self.vocab_size, size * self.vocab_size, generator=generator) * 0.7

    def encode(self, request: Request) -> Row:
        tokens = (*self.prompt, *[self.mask_id] * self.length)
        editable = [False] * len(self.prompt) + [True] * self.length
        return Row(tokens, editable, condition={"label": request.condition.get("label", 0)})

    def decode(self, tokens: Sequence[int]) -> Output:
        return Output(tokens=tuple(tokens))

    def logits(self, inputs: Inputs, index: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        self.forwards.append(len(inputs.tokens))
        seen = torch.nn.functional.one_hot(inputs.tokens, self.vocab_size).flatten(1).float()
        # A sum in a fixed order for each row, so that the batch size changes no bit.
        out = (self.weight[None] * seen[:, None, None, :]).sum(-1)
        out = out + 0.3 * inputs.condition["label"][:, None, None]
        out[..., self.mask_id] = float("-inf")
        return out.flatten(0, 1)[index], {}

    def unconditional(self, inputs: Inputs) -> Inputs:
        from dataclasses import replace

        return replace(inputs, condition={"label": torch.zeros_like(inputs.condition["label"])})

    def flops(self, tokens: Tensor, predicted: Tensor) -> Tensor:
        return tokens.double() * 10 + predicted


def jobs(
    sampler: str,
    count: int,
    *,
    budget: int | None = None,
    seed: int = 0,
    temperature: float = 1.0,
    guidance: float = 0.0,
    cell: str = "cell",
    **args: Any,
) -> list[Job]:
    """`count` jobs, one a document."""
    made = make_sampler(SamplerSpec(name=sampler, args=args))
    decoding = Decoding(temperature=temperature, guidance=guidance)
    info = samplers[sampler].info
    return [
        Job(cell, Request(f"{i:04d}", condition={"label": i % 3}), 0, made, info, decoding, budget, seed)
        for i in range(count)
    ]


def run(model: Any, todo: Sequence[Job], batch_size: int = 8, trace: bool = False) -> list[Generation]:
    """The generations, in the order of the jobs."""
    made = {id(g.job): g for g in CanvasEngine(model, batch_size, trace).generate(todo)}
    assert len(made) == len(todo)
    return [made[id(job)] for job in todo]


def tokens(generations: Sequence[Generation]) -> list[tuple[int, ...]]:
    """The token tuples alone."""
    return [generation.output.tokens for generation in generations]
