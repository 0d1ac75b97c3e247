"""Masked training of a diffusion transformer: MC-DiT (NeurIPS 2024, OpenReview y9sHKrdnRt) and its rivals.

Half of the patches are hidden from the encoder while it is trained, which is cheap, and makes it infer context. The
methods differ in what the decoder gets at the hidden places, and in what it has to say about them:

* plain: nothing is hidden (DiT);
* noisy to noisy: a mask token there; besides denoising what is seen, it predicts the hidden noisy patches (MaskDiT);
* noisy to clean: the same, but it predicts the hidden clean patches;
* clean to clean: the hidden patches themselves, without noise (MC-DiT).

The body of MC-DiT's paper is not openly available. [reconstructed] from its abstract and captions are: that clean
patches enter by an embedding of their own at the decoder; that the two branches are one average of the decoder, fed in
two ways, through which gradients reach what feeds it; the weights of the branches; and how long the unmasked training
at the end is.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from harness.models.digits_data import CLASSES, GRID
from harness.models.digits_dit import scaled
from harness.models.dit import SIGMA_DATA, Decoder, DiT, DiTConfig
from harness.spec import Scalar
from harness.training.digits import images
from harness.training.dit_quality import Quality
from harness.training.problem import Problem, fill


@dataclass(frozen=True)
class Masking:
    """Settings of the objective; those of EDM and MaskDiT where they have them.

    mask_ratio       share of the patches that are hidden from the encoder; 0 = plain
    tuning           last share of the steps, in which nothing is hidden
    noisy, clean     weights of predicting the hidden patches: MaskDiT's loss, and the same with clean targets
    context          1 = the decoder is given the hidden patches without noise; 0 = mask tokens there
    features_branch  weight of the branch that has no clean patches, so that the noisy ones must do [reconstructed]
    context_branch   weight of the branch that has clean patches only [reconstructed]
    branch_decay     decay per step of the branches' decoder, an average of the main one
    class_dropout    share of rows whose label is dropped
    location, spread of the logarithm of the noise
    """

    mask_ratio: float = 0.5
    tuning: float = 0.17
    noisy: float = 0.0
    clean: float = 0.0
    context: int = 1
    features_branch: float = 1.0
    context_branch: float = 0.5
    branch_decay: float = 0.99
    class_dropout: float = 0.1
    location: float = -1.2
    spread: float = 1.2


class Networks(nn.Module):
    """The DiT, and what only its training needs: an embedding of clean patches, a mask token, the decoder of the
    branches, and the FLOPs of all steps so far."""

    spent: Tensor

    def __init__(self, config: DiTConfig) -> None:
        super().__init__()
        self.dit = DiT(config)
        self.clean = nn.Linear(config.values, config.width)
        self.mask = nn.Parameter(0.02 * torch.randn(config.width))
        self.branch = copy.deepcopy(self.dit.decoder).requires_grad_(False)
        self.register_buffer("spent", torch.zeros((), dtype=torch.float64))


def mc_dit(network: Mapping[str, Scalar], objective: Mapping[str, Scalar], device: str) -> Problem:
    """Validated by the denoising loss without masks; measured by the Fréchet distance of samples too."""
    config = fill(DiTConfig, "network", {"size": GRID[0], "classes": CLASSES, **network})
    settings = fill(Masking, "objective", objective)
    train, validation, _ = images(device)
    quality = Quality()
    networks = Networks(config)

    def loss(networks: Any, batch: Tensor, progress: float) -> Tensor:
        labels = train.labels[batch]
        dropped = torch.rand(labels.shape, device=device) < settings.class_dropout
        labels = torch.where(dropped, config.null_class, labels)
        sigma = (settings.location + settings.spread * torch.randn(len(batch), device=device)).exp()
        unmasked = progress >= 1 - settings.tuning or settings.mask_ratio == 0
        networks.spent += costs[unmasked] * len(batch)
        return masked_loss(networks, scaled(train.tokens[batch], config.patch), sigma, labels, settings, unmasked)

    @torch.inference_mode()
    def validate(dit: Any) -> float:
        # Each image at 8 levels of noise, those that the training draws, each with its own noise.
        generator = torch.Generator().manual_seed(0)
        levels = torch.special.ndtri((torch.arange(8) + 0.5) / 8) * settings.spread + settings.location
        values = scaled(validation.tokens, config.patch)
        losses = []
        for level in levels.exp():
            sigma = level.expand(len(values)).to(device)
            noisy = values + level.to(device) * torch.randn(values.shape, generator=generator).to(device)
            losses.append(_error(dit(noisy, sigma, validation.labels), values, sigma).mean())
        return float(torch.stack(losses).mean())

    def branch_follows(networks: Any) -> None:
        with torch.no_grad():
            for average, current in zip(networks.branch.parameters(), networks.dit.decoder.parameters(), strict=True):
                average.lerp_(current, 1 - settings.branch_decay)

    def measure(dit: nn.Module) -> dict[str, float]:
        return {"spent": float(networks.spent), **quality.samples(dit), **quality.known(dit)}

    costs = {unmasked: step_flops(networks, settings, unmasked) for unmasked in (False, True)}
    return Problem(
        config,
        networks,
        len(train.tokens),
        loss,
        validate,
        lambda dit: {**measure(dit), **quality.known_of_pixels(config.patch)},
        measure=measure,
        after_step=branch_follows,
        kept="dit",
    )


def step_flops(networks: Networks, settings: Masking, unmasked: bool) -> float:
    """FLOPs of forward and backward for one image."""
    one = copy.deepcopy(networks)
    clean = torch.zeros(1, one.dit.config.places, one.dit.config.values, device=one.mask.device)
    sigma = clean[:, 0, 0] + 1
    # The fused attention of a CPU would not be counted.
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        masked_loss(one, clean, sigma, sigma.long(), settings, unmasked).backward()  # type: ignore[no-untyped-call]
    return float(counter.get_total_flops())


def masked_loss(
    networks: Any, clean: Tensor, sigma: Tensor, labels: Tensor, settings: Masking, unmasked: bool
) -> Tensor:
    """Scalar loss of the images `clean` (B, places, values) with noise of deviation `sigma` (B,)."""
    dit = networks.dit
    noisy = clean + sigma[:, None, None] * torch.randn_like(clean)
    if unmasked:
        return _error(dit(noisy, sigma, labels), clean, sigma).mean()
    count, places, _ = clean.shape
    hidden = torch.rand(count, places, device=clean.device).argsort(dim=1) < round(settings.mask_ratio * places)
    seen = (~hidden).nonzero()[:, 1].view(count, -1)
    condition = dit.condition(sigma, labels)
    features = dit.encode(_at(noisy, seen), sigma, condition, seen)
    at_seen = networks.mask.expand(count, places, -1).scatter(1, _index(seen, features), features)
    context = networks.clean(clean) if settings.context or settings.context_branch else networks.mask

    def predicted(decoder: Decoder, there: Tensor, elsewhere: Tensor) -> Tensor:
        tokens = torch.where(hidden[:, :, None], elsewhere, there)
        denoised: Tensor = dit.denoised(noisy, sigma, decoder(tokens, condition))
        return denoised

    def error_at_seen(denoised: Tensor) -> Tensor:
        return _at(_error(denoised, clean, sigma), seen).mean()

    denoised = predicted(dit.decoder, at_seen, context if settings.context else networks.mask)
    loss = error_at_seen(denoised)
    for weight, target in ((settings.noisy, noisy), (settings.clean, clean)):
        if weight:
            loss = loss + weight * ((denoised - _normalised(target)) ** 2)[hidden].mean()
    if settings.features_branch:
        loss = loss + settings.features_branch * error_at_seen(predicted(networks.branch, at_seen, networks.mask))
    if settings.context_branch:
        loss = loss + settings.context_branch * error_at_seen(predicted(networks.branch, networks.mask, context))
    return loss


def _error(denoised: Tensor, clean: Tensor, sigma: Tensor) -> Tensor:
    """EDM's weighted squared error (B, places, values), which is 1 everywhere for a network that says nothing."""
    weight = (sigma**2 + SIGMA_DATA**2) / (sigma * SIGMA_DATA) ** 2
    return weight[:, None, None] * (denoised - clean) ** 2


def _normalised(target: Tensor) -> Tensor:
    """Each patch with mean 0 and variance 1, as MaskDiT's targets."""
    return (target - target.mean(-1, keepdim=True)) / (target.var(-1, keepdim=True) + 1e-6) ** 0.5


def _at(values: Tensor, places: Tensor) -> Tensor:
    return values.gather(1, _index(places, values))


def _index(places: Tensor, like: Tensor) -> Tensor:
    return places[:, :, None].expand(-1, -1, like.shape[2])
