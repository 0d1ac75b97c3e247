"""The objective of masked diffusion with the linear schedule, and its bound on held-out data."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

Predict = Callable[[Tensor, Tensor], Tensor]
"""(B, L) tokens and (B,) labels to (B, L, V) logits."""


def masked_cross_entropy(predict: Predict, tokens: Tensor, labels: Tensor, mask_id: int) -> Tensor:
    """Scalar loss in nats per token: cross-entropy at masked positions with the weight 1 / t.

    Each row draws a time t and masks each of its tokens (B, L) with probability t; times are uniform on (0, 1), one in
    each of B equal parts, which lowers the variance. An unbiased estimate of the negative ELBO (MDLM, Sahoo et al.
    2024; MD4, Shi et al. 2024) but for t < 0.001, which is rounded up to bound the weight.
    """
    batch = len(tokens)
    time = (torch.rand((), device=tokens.device) + torch.arange(batch, device=tokens.device)) / batch
    time = time.clamp(min=1e-3)[:, None]
    masked = torch.rand(tokens.shape, device=tokens.device) < time
    logits = predict(torch.where(masked, mask_id, tokens), labels)
    loss = F.cross_entropy(logits.flatten(0, 1), tokens.flatten(), reduction="none").view_as(tokens)
    return (loss * masked / time).mean()


@torch.inference_mode()
def negative_elbo(
    predict: Predict, tokens: Tensor, labels: Tensor, mask_id: int, *, orders: int, seed: int = 0, batch_size: int = 256
) -> Tensor:
    """(N,) float64 estimate, in nats, of the bound −log p(row) of each row of `tokens` (N, L) given `labels` (N,).

    The continuous-time bound equals the mean over orders of autoregressive likelihood (Ou et al. 2024): with k uniform
    on 1 … L and k random positions masked, L / k times the sum of their cross-entropies. Each row gets `orders` values
    of k, one in each of as many equal parts of 1 … L, and masks that depend on `seed` alone.
    """
    rows, length = tokens.shape
    generator = torch.Generator().manual_seed(seed)
    total = torch.zeros(rows, dtype=torch.float64)
    for part in range(orders):
        uniform = (part + torch.rand(rows, generator=generator, dtype=torch.float64)) / orders
        count = (uniform * length).long().clamp(max=length - 1) + 1
        rank = torch.rand((rows, length), generator=generator).argsort(dim=1).argsort(dim=1)
        masked = (rank < count[:, None]).to(tokens.device)
        for start in range(0, rows, batch_size):
            chunk = slice(start, start + batch_size)
            logits = predict(torch.where(masked[chunk], mask_id, tokens[chunk]), labels[chunk])
            loss = F.cross_entropy(logits.transpose(1, 2), tokens[chunk], reduction="none") * masked[chunk]
            total[chunk] += loss.sum(1).double().cpu() * length / count[chunk]
    return total / orders
