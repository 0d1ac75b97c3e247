"""Small denoisers, bad samplers and hand-made views, for the tests of the engine and of the samplers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from harness.canvas import Canvas, Edit, StepView
from harness.engine import rng
from harness.engine.generator import Job
from harness.models.base import Inputs, Row
from harness.prediction import Prediction, Query
from harness.samplers.info import SamplerInfo
from harness.spec import Decoding
from harness.task import Output, Request

KINDS = [
    *("random", "sequential", "confidence", "margin", "entropy", "threshold", "eb", "maskgit", "punt", "freecorrection")
]
"""Samplers of every kind; `tests/conformance` has what holds of all that are registered."""


class TextDenoiser:
    """Prompts of any length, buckets, EOS, a condition that matters, attention to valid positions only.

    A request's prompt is written in digits; its length is the number of tokens to generate. Logits are sums over the
    visible tokens, in the order of positions and one at a time, so that neither padding nor the batch changes a bit.
    """

    def __init__(self, vocab: int = 6, eos: Sequence[int] = (), bucket: int = 1, reach: int = 40, capable: bool = True):
        self.vocab_size, self.mask_id, self.eos_ids = vocab + 1, vocab, frozenset(eos)
        self.capabilities = frozenset({"guidance", "positions"}) if capable else frozenset()
        self.length_bucket, self.device = bucket, torch.device("cpu")
        generator = torch.Generator().manual_seed(1)
        self.pull = torch.randn(self.vocab_size, 2 * reach, self.vocab_size, generator=generator)
        self.bias = torch.randn(reach, self.vocab_size, generator=generator)
        self.reach = reach
        self.calls: list[Inputs] = []

    def encode(self, request: Request) -> Row:
        prompt = [int(digit) for digit in request.prompt or ""]
        length = 8 if request.length is None else request.length
        label = request.condition.get("label", 0)
        return Row([*prompt, *[self.mask_id] * length], [False] * len(prompt) + [True] * length, {"label": label})

    def decode(self, tokens: Sequence[int]) -> Output:
        return Output(tokens=tuple(tokens))

    def logits(self, inputs: Inputs, index: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        self.calls.append(inputs)
        place = inputs.positions
        seen = inputs.valid & (inputs.tokens != self.mask_id)
        out = self.bias[place] * (1 + inputs.condition["label"].float())[:, None, None]
        for j in range(inputs.tokens.shape[1]):
            offset = place - place[:, j, None] + self.reach
            pull = self.pull[inputs.tokens[:, j, None].expand_as(offset), offset]
            out = out + torch.where(seen[:, j, None, None], pull, 0.0)
        out[..., self.mask_id] = float("-inf")
        return out.flatten(0, 1)[index], {}

    def unconditional(self, inputs: Inputs) -> Inputs:
        return replace(inputs, condition={"label": torch.zeros_like(inputs.condition["label"])})

    def flops(self, tokens: Tensor, predicted: Tensor) -> Tensor:
        return 10.0 * tokens + predicted


class TableDenoiser(TextDenoiser):
    """The same `table` (L, V) of probabilities whatever is visible; the mask id is V."""

    def __init__(self, table: Sequence[Sequence[float]], eos: Sequence[int] = ()):
        self.table = torch.tensor(table, dtype=torch.float64)
        super().__init__(self.table.shape[1], eos)

    def encode(self, request: Request) -> Row:
        return Row([self.mask_id] * len(self.table), [True] * len(self.table))

    def logits(self, inputs: Inputs, index: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        self.calls.append(inputs)
        logits = torch.nn.functional.pad(self.table.log(), (0, 1), value=float("-inf"))
        return logits[index % len(self.table)], {}


@dataclass(frozen=True)
class Toy:
    """A sampler made of one function of view and ask."""

    rule: Callable[[StepView, Any], Edit]
    state: tuple[str, ...] = ()

    def init(self, canvas: Canvas) -> dict[str, Tensor]:
        return {name: torch.zeros(len(canvas.tokens)) for name in self.state}

    def step(self, view: StepView, ask: Any) -> Edit:
        return self.rule(view, ask)


def job(sampler: Any, info: SamplerInfo, document: str = "d", sample: int = 0, **changes: Any) -> Job:
    """A job of `sampler`; `changes` are fields of Job, Decoding (`temperature`, `guidance`) or Request."""
    decoding = Decoding(**{name: changes.pop(name) for name in ("temperature", "guidance") if name in changes})
    request = Request(
        document, **{name: changes.pop(name) for name in ("prompt", "length", "condition") if name in changes}
    )
    settings = {"cell": "cell", "budget": None, "seed": 0, **changes}
    return Job(request=request, sample=sample, sampler=sampler, info=info, decoding=decoding, **settings)


@dataclass
class HandMade:
    """A canvas with given distributions: `view` for a sampler, and `ask`, which records the queries it answers."""

    probabilities: Tensor  # (B, L, V) of every position, whatever is asked
    tokens: Tensor | None = None  # (B, L), all masked by default; the mask id is V
    step: int = 0
    budget: int = 1
    seed: int = 0
    temperature: float = 1.0
    state: dict[str, Tensor] = field(default_factory=dict)
    queries: list[Query] = field(default_factory=list)

    @property
    def canvas(self) -> Canvas:
        count, length, vocab = self.probabilities.shape
        tokens = torch.full((count, length), vocab) if self.tokens is None else self.tokens

        def column(value: float, dtype: torch.dtype = torch.int64) -> Tensor:
            return torch.full((count,), value, dtype=dtype)

        return Canvas(
            tokens=tokens,
            valid=torch.ones_like(tokens, dtype=torch.bool),
            editable=torch.ones_like(tokens, dtype=torch.bool),
            positions=torch.arange(length).expand(count, length),
            mask_id=vocab,
            document=torch.arange(count),
            sample=column(0),
            seed=column(self.seed),
            step=column(self.step),
            budget=column(self.budget),
            temperature=column(self.temperature, torch.float32),
            guidance=column(0, torch.float32),
        )

    def view(self) -> StepView:
        canvas = self.canvas

        def random(purpose: str, ahead: Tensor | int = 0) -> Tensor:
            length = canvas.tokens.shape[1]
            return rng.uniform(canvas.seed, purpose, canvas.document, canvas.sample, canvas.step + ahead, length)

        return StepView(canvas, self.state, random)

    def ask(self, query: Query | None = None) -> Prediction:
        query = self.view().query() if query is None else query
        self.queries.append(query)
        logits = torch.nn.functional.pad(self.probabilities.log(), (0, 1), value=float("-inf"))
        return Prediction(logits[query.need], query.need, self.canvas.temperature)

    def commits(self, sampler: Any) -> list[list[int]]:
        """The positions that one step of `sampler` commits, row by row."""
        edit = sampler.step(self.view(), self.ask)
        return [row.nonzero().flatten().tolist() for row in edit.commit]


def dirichlet(rows: int, length: int, vocab: int, seed: int = 0, sharpness: float = 0.3) -> Tensor:
    """(rows, length, vocab) float64 random distributions."""
    torch.manual_seed(seed)
    return torch.distributions.Dirichlet(torch.full((vocab,), sharpness, dtype=torch.float64)).sample((rows, length))


def one_at(positions: Tensor, length: int) -> Tensor:
    """(B, length) bool with the one position of each row set."""
    return one_hot(positions, length).bool()
