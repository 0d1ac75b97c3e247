"""The batches of a training: what each step trains on is a function of the recipe and of the step."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from harness.training.problem import Problem
from harness.training.recipe import Recipe


def batches(recipe: Recipe, problem: Problem, done: int, stop: int) -> Iterator[Any]:
    """What `problem.draw` makes for the steps after `done`, up to `stop`, on the recipe's device."""
    on_gpu = torch.device(recipe.device).type == "cuda"
    loader = DataLoader(
        _Steps(recipe, problem),
        batch_size=None,
        sampler=range(done + 1, stop + 1),
        num_workers=recipe.workers,
        pin_memory=on_gpu,
        multiprocessing_context="fork" if recipe.workers else None,
    )
    for drawn in loader:
        yield moved(drawn, recipe.device)


class _Steps(Dataset[Any]):
    """Step to its batch."""

    def __init__(self, recipe: Recipe, problem: Problem) -> None:
        self.recipe, self.problem = recipe, problem

    def __getitem__(self, step: int) -> Any:
        generator = torch.Generator().manual_seed(seed_of(self.recipe.seed, step, "batch"))
        examples = torch.randint(self.problem.examples, (self.recipe.batch_size,), generator=generator)
        return self.problem.draw(examples)


def moved(drawn: Any, device: str) -> Any:
    """The tensors of a batch, a tensor or a tuple of such, on the device."""
    if isinstance(drawn, torch.Tensor):
        return drawn.to(device, non_blocking=True)
    parts = [moved(each, device) for each in drawn]
    return type(drawn)(*parts) if hasattr(drawn, "_fields") else tuple(parts)


def seed_of(seed: int, step: int, purpose: str = "") -> int:
    """63 bits that depend on all three."""
    digest = hashlib.sha256(f"{seed}/{step}/{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1
