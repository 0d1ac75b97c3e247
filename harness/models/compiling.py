"""`--compile`: the network of a model compiled, and with it the passes over its logits."""

from __future__ import annotations

from typing import Any

import torch

from harness.errors import UserError


def compile_model(model: Any) -> None:
    """Compile the network of `model` in place, when it is first called. UserError where nothing can be compiled.

    From then on it has the capability `compiled`, by which the passes over its logits are compiled too. On CUDA the
    launches of a forward are recorded once for each number and length of rows, and replayed: nothing in it waits for
    the device, and what it gives is used up before the next forward.
    """
    device = torch.device(model.device)
    _check(device)
    torch._dynamo.config.recompile_limit = 64  # by copies of a canvas, with and without a bias, of several models
    model.transformer.compile(fullgraph=True, mode="reduce-overhead" if device.type == "cuda" else None)
    model.capabilities |= {"compiled"}


def _check(device: torch.device) -> None:
    """Raise UserError where the compiler's own compilers (C++ for CPUs, Triton for GPUs) are missing or fail."""
    try:
        torch.compile(lambda x: x + 1, fullgraph=True)(torch.zeros(2, device=device))
    except Exception as error:  # each part of the compiler has its own
        problem = str(error).strip().split("\n")[0]
        raise UserError(
            f"--compile: nothing can be compiled for {device} here: a CPU needs a C++ compiler, a GPU Triton. {problem}"
        ) from error
