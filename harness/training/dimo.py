"""Di[M]O (Zhu et al. 2025, arXiv 2503.15457): a masked diffusion model distilled into a generator of one step.

Student and auxiliary start as copies of the teacher. The student turns initial tokens (`harness.models.start`) into all
tokens at once. The auxiliary learns, by masked diffusion, what the student makes; the student's logits move by where
auxiliary and teacher differ on partly masked samples of the student. That takes conditions, and no data.

As in the paper's algorithm 1 one sample of the student serves both updates, and here one masking of it, too; the
released code draws anew for the auxiliary, from the student that was just updated. Dropout is off.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from harness.models.base import Inputs
from harness.prediction import Random
from harness.spec import Scalar
from harness.training.batches import moved
from harness.training.dimo_teachers import Teacher, teacher
from harness.training.problem import Problem, fill

EXAMPLES = 2**31
"""Conditions are drawn anew at each step: this is the number of seeds."""
VALIDATION, REPORT = 500, 2000
"""Samples that are measured at each validation, and at the end."""
CHUNK = 250


@dataclass(frozen=True)
class Distillation:
    """Settings of the method; the defaults are the paper's for MaskGIT, but for `guidance`, which is 1 there.

    teacher          `digits` or `mini`
    weights          of the teacher, by path; "" = the shipped ones
    mask_ratio       r_init, share of the initial tokens that are masks
    perturbation     σ_init, of the initial tokens' embeddings
    beta             of the generalised Jeffreys divergence: 0 = forward KL, 1 = reverse KL; may be negative
    guidance         w within the teacher's logits, uncond + (1 + w)(cond − uncond)
    label_smoothing  of the auxiliary's targets: 0.1 in the released code, and not in the paper
    """

    teacher: str = "digits"
    weights: str = ""
    mask_ratio: float = 0.6
    perturbation: float = 0.1
    beta: float = 0.0
    guidance: float = 0.0
    label_smoothing: float = 0.0


@dataclass(frozen=True)
class _NoSizes:
    """The student has the teacher's."""


class Batch(NamedTuple):
    """Canvases to fill: (B, L) `tokens` with masks, `valid`, `positions`, and (B,) `label`, 0 where there is none."""

    tokens: Tensor
    valid: Tensor
    positions: Tensor
    label: Tensor


class Networks(nn.Module):
    """Three of one architecture. All embeddings stay the teacher's, as in the released code."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.teacher = network.requires_grad_(False)
        self.student, self.auxiliary = (copy.deepcopy(network).requires_grad_(True) for _ in range(2))
        for module in self.modules():
            if isinstance(module, nn.Embedding | nn.EmbeddingBag):
                module.requires_grad_(False)

    def train(self, mode: bool = True) -> Networks:
        """Without dropout, whose noise would be in the difference of teacher and auxiliary."""
        return super().train(False)


def dimo(network: Mapping[str, Scalar], objective: Mapping[str, Scalar], device: str) -> Problem:
    """The student is validated by the Fréchet distance of its one-step samples to real pictures."""
    fill(_NoSizes, "network", network)
    settings = fill(Distillation, "objective", objective)
    facts = {"mask_ratio": settings.mask_ratio, "perturbation": settings.perturbation}
    taught = teacher(settings.teacher, settings.weights, facts, device)

    def draw(examples: Tensor) -> Batch:
        return canvases(taught, examples)

    def loss(networks: Any, batch: Batch, progress: float) -> Tensor:
        return losses(taught, networks, batch, settings)

    @torch.inference_mode()
    def measure(student: nn.Module, count: int = VALIDATION) -> dict[str, float]:
        generator = torch.Generator(device).manual_seed(count)
        examples = torch.arange(count)
        made = []
        for part in torch.split(examples, CHUNK):
            batch = moved(canvases(taught, part), device)
            _, drawn = one_step(taught, student, inputs_of(batch), generator)
            made.append(drawn[_holes(taught, batch)].view(len(part), -1).cpu())
        return taught.measure(taught.conditions(examples), torch.cat(made))

    return Problem(
        taught.denoiser.network.config,
        Networks(taught.denoiser.network),
        EXAMPLES,
        loss,
        lambda student: measure(student)["frechet_distance"],
        lambda student: measure(student, REPORT),
        draw,
        measure,
        kept="student",
        facts=facts,
    )


def canvases(taught: Teacher, examples: Tensor) -> Batch:
    """A canvas for each of the examples' conditions, padded to the longest."""
    rows = [taught.denoiser.encode(request) for request in map(taught.request, taught.conditions(examples))]
    lengths = torch.tensor([len(row.tokens) for row in rows])
    positions = [torch.arange(len(row.tokens)) if row.positions is None else row.positions for row in rows]
    tokens, places = (
        pad_sequence([torch.as_tensor(each) for each in column], batch_first=True)
        for column in ([row.tokens for row in rows], positions)
    )
    label = torch.tensor([row.condition.get("label", 0) for row in rows])
    return Batch(tokens, torch.arange(tokens.shape[1]) < lengths[:, None], places, label)


def losses(taught: Teacher, networks: Any, batch: Batch, settings: Distillation) -> Tensor:
    """Sum of the two networks' losses, none of which reaches the other's weights.

    The value of the first is the divergence of auxiliary and teacher; its gradient is taken with respect to the
    student's logits, which stand in for the auxiliary's (the paper's consistency assumption).
    """
    denoiser, inputs = taught.denoiser, inputs_of(batch)
    logits, drawn = one_step(taught, networks.student, inputs)
    hidden = random_masks(_holes(taught, batch))
    noisy = replace(inputs, tokens=torch.where(hidden, denoiser.mask_id, drawn))
    with torch.no_grad():
        target = denoiser.predict(networks.teacher, noisy)
        if settings.guidance:
            without = denoiser.predict(networks.teacher, denoiser.unconditional(noisy))
            target = without + (1 + settings.guidance) * (target - without)
    estimate = denoiser.predict(networks.auxiliary, noisy)
    start = taught.start
    logits, target, estimate = (
        each[hidden][:, start.first : start.first + start.codes].float() for each in (logits, target, estimate)
    )
    divergence, gradient = jeffreys(estimate.detach(), target, settings.beta)
    student = divergence.mean() + ((logits - logits.detach()) * gradient).sum() / len(logits)
    classes = drawn[hidden] - start.first
    return student + F.cross_entropy(estimate, classes, label_smoothing=settings.label_smoothing)


def one_step(
    taught: Teacher, student: Any, inputs: Inputs, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """The student's logits (B, L, V), and tokens (B, L) in which what was masked is drawn from them."""
    random = uniforms(inputs.tokens, generator)
    logits = taught.denoiser.predict(student, replace(inputs, start=random))
    noise = torch.rand(logits.shape, generator=generator, device=logits.device).clamp(min=1e-30).log().neg()
    # The first arrival of an exponential race.
    drawn = (logits.detach().float().softmax(dim=-1) / noise).argmax(dim=-1)
    holes = (inputs.tokens == taught.denoiser.mask_id) & inputs.valid
    return logits, torch.where(holes, drawn, inputs.tokens)


def uniforms(tokens: Tensor, generator: torch.Generator | None = None) -> Random:
    """Random numbers for the canvases `tokens` (B, L)."""

    def random(purpose: str, count: int) -> Tensor:
        shape = (*tokens.shape, count)
        return torch.rand(shape, dtype=torch.float64, generator=generator, device=tokens.device)

    return random


def random_masks(holes: Tensor) -> Tensor:
    """(B, L) bool: random ones of each row's `holes` (B, L), a share arccos(u) / (π/2) with u uniform, one at least."""
    share = torch.rand(len(holes), 1, device=holes.device).arccos() / (math.pi / 2)
    count = (share * holes.sum(dim=1, keepdim=True)).round().clamp(min=1)
    order = torch.rand(holes.shape, device=holes.device).masked_fill(~holes, 2.0)
    return order.argsort(dim=1).argsort(dim=1) < count


def jeffreys(estimate: Tensor, target: Tensor, beta: float) -> tuple[Tensor, Tensor]:
    """The divergence (1 − β) KL(p_φ ‖ p) + β KL(p ‖ p_φ) (N,) and its gradient (N, V) in the logits of p.

    `estimate` and `target` (N, V) are the logits of p and p_φ.
    """
    log_p, log_target = estimate.log_softmax(dim=-1), target.log_softmax(dim=-1)
    p, p_target = log_p.exp(), log_target.exp()
    ratio = log_p - log_target
    reverse = (p * ratio).sum(dim=-1)
    forward = -(p_target * ratio).sum(dim=-1)
    gradient = (1 - beta) * (p - p_target) + beta * p * (ratio - reverse[:, None])
    return (1 - beta) * forward + beta * reverse, gradient


def inputs_of(batch: Batch) -> Inputs:
    """What a network reads of a batch."""
    return Inputs(batch.tokens, batch.valid, batch.positions, {"label": batch.label})


def _holes(taught: Teacher, batch: Batch) -> Tensor:
    return (batch.tokens == taught.denoiser.mask_id) & batch.valid
