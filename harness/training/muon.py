"""Muon with the matrices of one shape orthogonalised together.

It takes the steps of `torch.optim.Muon`, one batched product where that has one for each matrix: a small network on a
GPU is bound by the number of its kernels.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the Newton-Schulz iteration (Jordan et al. 2024), five times of which bring all singular values near one."""
ITERATIONS = 5


class Muon(Optimizer):
    """Momentum whose update is made orthogonal (Jordan et al. 2024), for matrices.

    params        parameter groups of matrices
    lr            length of a step: all singular values of a square matrix's update are near it
    momentum      of the moving average of gradients, applied as Nesterov's
    weight_decay  decoupled
    """

    def __init__(
        self, params: Iterable[dict[str, Any]], lr: float, weight_decay: float = 0.0, momentum: float = 0.95
    ) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step with the gradients that are there."""
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[tuple[Tensor, Tensor]]] = defaultdict(list)
            for matrix in group["params"]:
                if matrix.grad is not None:
                    by_shape[matrix.shape].append((matrix, matrix.grad))
            for same in by_shape.values():
                self._step([matrix for matrix, _ in same], [gradient for _, gradient in same], group)

    def _step(self, matrices: list[Tensor], gradients: list[Tensor], group: dict[str, Any]) -> None:
        averages = [self.state[each].setdefault("momentum_buffer", torch.zeros_like(each)) for each in matrices]
        torch._foreach_lerp_(averages, gradients, 1 - group["momentum"])
        updates = orthogonal(torch.stack(torch._foreach_lerp(gradients, averages, group["momentum"])))
        rows, columns = matrices[0].shape
        torch._foreach_mul_(matrices, 1 - group["lr"] * group["weight_decay"])
        torch._foreach_add_(matrices, list(updates.unbind()), alpha=-group["lr"] * max(1, rows / columns) ** 0.5)


def orthogonal(matrices: Tensor) -> Tensor:
    """(N, rows, columns) float32: matrices with the singular vectors of the given ones and singular values near 1."""
    a, b, c = COEFFICIENTS
    wide = matrices.bfloat16()
    if tall := matrices.shape[-2] > matrices.shape[-1]:
        wide = wide.mT
    wide = wide / wide.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)
    for _ in range(ITERATIONS):
        gram = wide @ wide.mT
        wide = torch.baddbmm(wide, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), wide, beta=a)
    return (wide.mT if tall else wide).to(matrices.dtype)
