"""The model under test: one at a time, on a device that works, and able to do what is asked of it."""

from __future__ import annotations

from typing import Any

import torch

from harness.components import load_model
from harness.errors import UserError
from harness.executors.plan import Plan, PlannedCell
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


def check_capabilities(plan: Plan, load: ModelLoader) -> None:
    """Raise UserError if a cell asks for what its model does not offer; loads only models that are asked for more than
    the plain forward pass."""
    for cell in plan.cells:
        needs = _needs(cell.spec)
        if needs and (missing := needs - _offered(load(cell.spec.model), cell)):
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
