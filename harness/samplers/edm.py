"""Continuous diffusion: the probability-flow ODE dx/dσ = (x − D(x; σ)) / σ from much noise to none.

Noise levels are those of EDM (Karras et al. 2022, arXiv 2206.00364, equation 5), in units of images of deviation 0.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from harness.canvas import Canvas, Count, Draws
from harness.samplers.base import param


def noise_levels(steps: int, sigma_min: float, sigma_max: float, rho: float) -> list[float]:
    """`steps` levels from `sigma_max` to `sigma_min`, evenly spaced in σ^(1/ρ), and a last one of 0."""
    high, low = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    return [(high + i / max(steps - 1, 1) * (low - high)) ** rho for i in range(steps)] + [0.0]


@dataclass(frozen=True)
class _Levels:
    sigma_min: float = param(0.002, "σ_min, the last level of noise before none", low=1e-6)
    sigma_max: float = param(80.0, "σ_max, the first level of noise", low=1e-6)
    rho: float = param(7.0, "ρ, how much closer together the levels of little noise are", low=1)


@dataclass(frozen=True)
class Heun(_Levels):
    """EDM's algorithm 1 without added noise: an Euler step, and its mean with one at the other end, but for the last
    step. 2 T − 1 calls for T steps."""

    def generate(self, requests: Canvas, budget: int, rng: Draws, count: Count) -> Tensor:
        levels = noise_levels(budget, self.sigma_min, self.sigma_max, self.rho)
        x = start(requests, levels[0], rng)
        for sigma, following in pairwise(levels):
            slope = (x - denoised(count, x, sigma)) / sigma
            ahead = x + (following - sigma) * slope
            if following > 0:
                slope = (slope + (ahead - denoised(count, ahead, following)) / following) / 2
                ahead = x + (following - sigma) * slope
            x = ahead
        return x


@dataclass(frozen=True)
class Ddim(_Levels):
    """DDIM (Song et al. 2021, arXiv 2010.02502, equation 12): in these variables an Euler step to a level below the
    wanted one, and fresh noise up to it. T calls for T steps."""

    eta: float = param(0.0, "η, 0 = deterministic, 1 = as much fresh noise as ancestral sampling (DDPM)", low=0, high=1)

    def generate(self, requests: Canvas, budget: int, rng: Draws, count: Count) -> Tensor:
        levels = noise_levels(budget, self.sigma_min, self.sigma_max, self.rho)
        x = start(requests, levels[0], rng)
        for step, (sigma, following) in enumerate(pairwise(levels)):
            clean = denoised(count, x, sigma)
            fresh = self.eta * following * (1 - (following / sigma) ** 2) ** 0.5
            kept = (following**2 - fresh**2) ** 0.5
            x = clean + kept / sigma * (x - clean)
            if fresh:
                x = x + fresh * normal(requests, rng, step + 1)
        return x


def start(requests: Canvas, sigma: float, rng: Draws) -> Tensor:
    """(B, L) float64: noise of deviation `sigma`."""
    return sigma * normal(requests, rng, 0)


def normal(requests: Canvas, rng: Draws, step: int) -> Tensor:
    """(B, L) float64 standard normal numbers."""
    numbers: Tensor = torch.special.ndtri(rng("noise", step, requests.tokens.shape[1]))
    return numbers


def denoised(count: Count, x: Tensor, sigma: float) -> Tensor:
    """(B, L) float64: the network's D(x; σ)."""
    clean: Tensor = count(x=x, sigma=torch.full_like(x[:, 0], sigma)).double()
    return clean
