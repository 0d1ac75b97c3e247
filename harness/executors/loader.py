"""The model under test: one at a time, on a device that works, and able to do what is asked of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from harness.components import load_model
from harness.errors import UserError
from harness.executors.plan import Plan, PlannedCell
from harness.models import models
from harness.samplers import samplers
from harness.spec import CellSpec, ModelSpec


class ModelLoader:
    """Loads models onto `device` and keeps the last one; raises UserError where the device cannot be used."""

    def __init__(self, device: str) -> None:
        try:
            torch.zeros(1, device=device).item()
        except Exception as error:  # each backend has its own
            problem = str(error).strip().split("\n")[0]
            raise UserError(f"--device {device} cannot be used; cpu always can. {problem}") from None
        self._device = device
        self._spec: ModelSpec | None = None
        self._model: Any = None

    def __call__(self, spec: ModelSpec) -> Any:
        """The model of `spec`: a Denoiser, a Network, or both."""
        if spec != self._spec:
            self._spec, self._model = None, None  # two models at once may not fit
            self._spec, self._model = spec, load_model(spec, self._device)
        return self._model


class WeightlessLoader:
    """Builds models on the device `meta`, where they weigh nothing, and keeps the last one."""

    def __init__(self) -> None:
        self._models: dict[str, Any] = {}

    def __call__(self, spec: ModelSpec) -> Any:
        """The model of `spec`, None where it cannot be built so."""
        if not models[spec.name].info.weightless:
            return None
        key = spec.model_dump_json()
        if key not in self._models:
            self._models = {key: load_model(spec, "meta")}
        return self._models[key]


def check_capabilities(plan: Plan, load: Callable[[ModelSpec], Any]) -> None:
    """Raise UserError if a cell asks for what its model does not offer; loads only models that are asked for more than
    the plain forward pass. What a loader does not have (None) is not checked."""
    for cell in plan.cells:
        needs = _needs(cell.spec)
        model = load(cell.spec.model) if needs else None
        if model is not None and (missing := needs - _offered(model, cell)):
            raise UserError(
                f"sampler {cell.spec.sampler.name!r} at guidance {cell.spec.decoding.guidance:g} needs "
                f"{', '.join(sorted(missing))}, which model {cell.spec.model.name!r} does not offer "
                f"on task {cell.spec.task.name!r}"
            )


def _offered(model: Any, cell: PlannedCell) -> frozenset[str]:
    """The model's capabilities, and `grid` where the rows that it makes of the cell's task are images."""
    images = all(model.encode(cell.task.request(document).rows[0]).grid for document in cell.documents[:1])
    return frozenset(model.capabilities) | ({"grid"} if images else set())


def _needs(spec: CellSpec) -> frozenset[str]:
    guidance = {"guidance"} if spec.decoding.guidance else set()
    return samplers[spec.sampler.name].info.needs | guidance
