"""The optimisers that a recipe names."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn
from torch.optim import AdamW, Optimizer

from harness.errors import UserError, did_you_mean
from harness.training.muon import Muon
from harness.training.recipe import Recipe


def make_optimizers(network: nn.Module, recipe: Recipe) -> list[Optimizer]:
    """AdamW for all parameters, or Muon (Jordan et al. 2024) for the matrices of linear layers but a `head`, and AdamW
    for the others. Each parameter group has its peak rate under `peak`.

    Raises UserError where `recipe.rates` names no part of the network.
    """
    rate = recipe.muon_learning_rate
    trained = {name: each for name, each in network.named_parameters() if each.requires_grad}
    linear = {f"{name}.weight" for name, module in network.named_modules() if isinstance(module, nn.Linear)}
    chosen = set() if rate is None else {name for name in linear & trained.keys() if not name.endswith("head.weight")}
    groups: dict[float, list[nn.Parameter]] = {recipe.learning_rate: []}
    for name, parameter in trained.items():
        if name not in chosen:
            groups.setdefault(_rate(name, recipe), []).append(parameter)
    _check_rates(recipe, trained)
    optimizers: list[Optimizer] = [
        AdamW(
            [{"params": parameters, "lr": peak, "peak": peak} for peak, parameters in groups.items() if parameters],
            weight_decay=recipe.weight_decay,
            betas=(0.9, 0.98),
        )
    ]
    if rate is not None:
        matrices = [parameter for name, parameter in trained.items() if name in chosen]
        group = {"params": matrices, "peak": rate}
        optimizers.append(Muon([group], lr=rate, weight_decay=recipe.weight_decay))
    return optimizers


def _rate(name: str, recipe: Recipe) -> float:
    """The rate of the longest part that holds the parameter."""
    parts = [part for part in recipe.rates if f"{name}.".startswith(f"{part}.")]
    return recipe.rates[max(parts, key=len)] if parts else recipe.learning_rate


def _check_rates(recipe: Recipe, names: Iterable[str]) -> None:
    known = {".".join(name.split(".")[:depth]) for name in names for depth in range(1, name.count(".") + 2)}
    for part in recipe.rates:
        if part not in known:
            raise UserError(f"recipe: rates.{part} is no part of the network.{did_you_mean(part, known)}")
