"""What to do when a device runs out of memory in the middle of a run."""

from __future__ import annotations

import gc
import sys

import torch

from harness.errors import RunError


def halved(size: int, label: str, error: Exception) -> int:
    """Half the batch size, with the device's cached memory given back; raises RunError where there is no half."""
    if size == 1:
        raise RunError(
            f"{label}: the device's memory does not hold a single row. What is stored already is kept. {error}"
        ) from error
    print(f"{label}: out of memory at a batch of {size}; going on at {size // 2}", file=sys.stderr)
    if torch.cuda.is_available():
        torch.compiler.reset()  # what is recorded of compiled forwards holds on to its memory
    gc.collect()
    torch.cuda.empty_cache()
    return size // 2
