"""The order in which a schedule unmasks positions: a race of exponential clocks, so Plackett-Luce.

Position l is masked from time u^(1/w_l) on (u uniform), and generation runs from t = 1 down to 0. So −log t is
exponential with rate w_l, and the generation order is that of *descending* times: P(π) = Π_i w_π(i) / Σ_{j≥i} w_π(j).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def draw_orders(log_rates: Tensor, count: int, generator: torch.Generator | None = None) -> Tensor:
    """(count, L) int64: orders, first generated first, by the arg-sort of log w (L,) plus Gumbel noise."""
    uniform = torch.rand((count, len(log_rates)), generator=generator, dtype=torch.float64).clamp(min=1e-300)
    noise = -(-uniform.log()).clamp(min=1e-300).log()
    return (log_rates.detach().cpu().double() + noise).argsort(dim=1, descending=True)


def prefix_log_prob(orders: Tensor, log_rates: Tensor) -> Tensor:
    """(B, L + 1): log-probability of the first 0, 1, … L places of each order (B, L); differentiable in log w (L,)."""
    ordered = log_rates[orders]
    left = ordered.flip(1).logcumsumexp(dim=1).flip(1)
    return torch.nn.functional.pad((ordered - left).cumsum(dim=1), (1, 0))


def order_entropy(log_rates: Tensor, count: int = 4096) -> float:
    """Entropy of the order as a share of log L!, its largest. The mean over drawn orders of the exact entropies of
    each next place."""
    log_rates = log_rates.detach().cpu().double()
    length = len(log_rates)
    ordered = log_rates[draw_orders(log_rates, count, torch.Generator().manual_seed(0))]
    # Entropy of the next place among what is left: log Σ w − Σ w log w / Σ w.
    total = ordered.flip(1).logcumsumexp(dim=1).flip(1)
    weighted = (ordered.exp() * ordered).flip(1).cumsum(dim=1).flip(1) / total.exp()
    return float((total - weighted).sum(dim=1).mean()) / math.lgamma(length + 1)
