"""What a model is to the engine: requests to rows and back, and between the two what its network predicts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from harness.prediction import Random
from harness.task import Output, Request


@dataclass(frozen=True)
class Row:
    """One request as canvas tokens.

    tokens     the prompt's tokens, and the model's mask id at each position to generate
    editable   True where the sampler may write
    condition  what the model is conditioned on beside tokens: name to a number or a tensor without a row axis
    grid       (height, width) of the generated positions where they form an image
    positions  position id of each token; None = 0, 1, 2, …
    schedule   log w of each position, for a model with the capability `schedule`
    flops      of what is computed once for the row and not in each forward, such as the features of a picture
    """

    tokens: Sequence[int]
    editable: Sequence[bool]
    condition: Mapping[str, float | int | Tensor] = field(default_factory=dict)
    grid: tuple[int, int] | None = None
    positions: Sequence[int] | None = None
    schedule: Sequence[float] | None = None
    flops: float = 0.0


@dataclass(frozen=True)
class Inputs:
    """What a network reads in one call; shapes and meaning as in `Query` and `Canvas`."""

    tokens: Tensor
    valid: Tensor
    positions: Tensor
    condition: Mapping[str, Tensor] = field(default_factory=dict)
    attention_bias: Tensor | None = None
    time: Tensor | None = None
    start: Random | None = None
    outputs: frozenset[str] = frozenset()


class Model(Protocol):
    """What all models have.

    vocab_size    the mask id included; 0 where what stands at a position is a real number
    mask_id       what stands where something is to be made
    capabilities  what a sampler or a generator may need, by name
    eos_ids       tokens that end a text; empty for images and fixed-length data
    length_bucket rows are padded to a multiple of it; 1 where the model takes one length only
    """

    vocab_size: int
    mask_id: int
    eos_ids: frozenset[int]
    capabilities: frozenset[str]
    length_bucket: int
    device: torch.device

    def encode(self, request: Request) -> Row:
        """The request as a row of a canvas; raises UserError if the model cannot serve it."""

    def decode(self, tokens: Sequence[Any]) -> Output:
        """The output that the generated tokens (editable positions, up to the first EOS), or numbers, stand for."""


class Denoiser(Model, Protocol):
    """A masked diffusion model, which samplers run.

    Its capabilities are among `guidance`, `positions`, `attention_bias`, `time`, `attention`, `embeddings`, `schedule`,
    `start`, `likelihood` and `memory`; a query beyond them is refused before the run. `compiled` is no such thing: it
    says that the network is compiled, and that passes over its logits are to be. The output `attention` is
    (B, layers, L, L): the probability with which each position (third axis) attends to each (fourth), averaged over the
    heads of a layer. With `schedule`, every row has one: its positions were masked at rates of their own. With
    `likelihood`, it encodes requests with a `continuation`.
    """

    def logits(self, inputs: Inputs, index: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        """(N, V) logits at the N flat positions `index` into B * L, and the further `inputs.outputs` by name.

        −inf is a legal logit (a token outside the position's vocabulary, the mask id); NaN is not. Logit shifts and
        vocabulary windows are the model's own affair.
        """

    def unconditional(self, inputs: Inputs) -> Inputs:
        """The same rows without their condition, for guidance."""

    def flops(self, tokens: Tensor, predicted: Tensor) -> Tensor | None:
        """(B,) float64: FLOPs (a multiply-add is two) of one sequence-forward of `tokens` (B,) tokens with logits at
        `predicted` (B,) of them; None where the model is not a network."""


class Memory(Protocol):
    """What an approximate model remembers of the rows of a batch from one call to the next."""

    def forget(self, rows: Tensor) -> None:
        """Others begin in the slots `rows` (B,) bool."""


class Recalled(NamedTuple):
    """What one call of an approximate model made and took.

    logits  (N, V)        at the N positions asked for, in row-major order
    tokens  (B,) int64    positions computed, in the mean over the layers, rounded up
    flops   (B,) float64  FLOPs of them
    """

    logits: Tensor
    tokens: Tensor
    flops: Tensor


class ApproximateDenoiser(Denoiser, Protocol):
    """A denoiser with the capability `memory`: it computes some positions only, and takes what it remembers of the
    others. What it predicts depends on the row's past, so that it is another model than the exact one, by name."""

    def memory(self, rows: int, length: int) -> Memory:
        """Nothing remembered yet, for a batch of so many slots."""

    def recall(self, inputs: Inputs, need: Tensor, block: Tensor, memory: Any) -> Recalled:
        """Logits at `need` (B, L) bool, within `block` (B, L) bool, the positions that the sampler is at. Rows of which
        nothing is needed are not computed."""


class Network(Model, Protocol):
    """A model whose network generators call themselves. It may be a Denoiser as well.

    Beside what its generators need, its capabilities may name `guidance`.
    """

    def network(self, condition: Mapping[str, Tensor], inputs: Mapping[str, Tensor]) -> Tensor:
        """One forward. The first axis of every tensor is the row, and no row's output depends on another row."""

    def null(self, condition: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The condition that says nothing, for guidance."""

    def work(self, inputs: Mapping[str, Tensor]) -> tuple[Tensor, Tensor | None]:
        """What one forward of each row takes: (B,) int64 tokens fed to the network, and (B,) float64 FLOPs, where they
        are known."""
