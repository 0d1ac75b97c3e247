"""What a plan will take: forward passes, FLOPs, hours and memory, before anything runs."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from harness.executors.loader import WeightlessLoader
from harness.executors.plan import Plan, PlannedCell
from harness.samplers import samplers
from harness.spec import PLANNED_ROWS, CellSpec

SIZES = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}


@dataclass(frozen=True)
class Estimate:
    """Of one cell. None = unknown.

    forwards  sequence-forwards of all samples, as the published loop makes them: a text that ends early takes fewer.
              Where the sampler decides how many steps it takes (then `most`), those of one position a step
    flops     of these forwards, the head at every generated position
    memory    bytes for the weights and for a batch's logits
    """

    forwards: int | None
    flops: float | None
    memory: float | None
    most: bool


class Estimator:
    """Estimates cells on models without weights."""

    def __init__(self, batch_size: int) -> None:
        self._batch_size = batch_size
        self._load = WeightlessLoader()
        self._rows: tuple[str, dict[str, tuple[int, int, float]]] = "", {}

    def __call__(self, cell: PlannedCell) -> Estimate:
        """The estimate of one cell."""
        spec, info = cell.spec, samplers[cell.spec.sampler.name].info
        model = self._load(spec.model)
        if model is None:
            return Estimate(None, None, None, False)
        lengths, made, once = self._sizes(model, cell)
        calls = _calls(spec, made)
        known = not info.generator and calls is not None
        flops = model.flops(lengths, made) if known else None
        forwards = None if calls is None else int(calls.sum()) * cell.samples
        return Estimate(
            forwards,
            None if flops is None or calls is None else float((flops * calls + once).sum()) * cell.samples,
            self._memory(model, spec, int((made if len(made) else torch.zeros(1)).max())),
            info.knob != "steps",
        )

    def _sizes(self, model: Any, cell: PlannedCell) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(documents,) each: tokens of the rows, those to make, and FLOPs of what is computed once. Cells of one model
        and task come one after the other, and share them."""
        spec = cell.spec
        key = spec.model.model_dump_json() + spec.task.model_dump_json()
        if self._rows[0] != key:
            self._rows = key, {}
        known = self._rows[1]
        for document in cell.documents:
            if document.id not in known:
                row = model.encode(cell.task.request(document))
                known[document.id] = len(row.tokens), sum(row.editable), row.flops
        sizes = torch.tensor([known[document.id] for document in cell.documents], dtype=torch.float64).view(-1, 3)
        return sizes[:, 0].long(), sizes[:, 1].long(), sizes[:, 2]

    def _memory(self, model: Any, spec: CellSpec, positions: int) -> float:
        weights = sum(parameter.numel() * parameter.element_size() for parameter in model.transformer.parameters())
        guided = 2 if spec.decoding.guidance else 1
        # The logits, and as much again in float32 for their probabilities.
        logits = self._batch_size * guided * positions * model.vocab_size * (SIZES[spec.model.dtype] + 4)
        return float(weights + logits)


def _calls(spec: CellSpec, made: torch.Tensor) -> torch.Tensor | None:
    """(documents,) sequence-forwards of each sample."""
    info = samplers[spec.sampler.name].info
    if info.calls is None:
        return None
    steps = torch.full_like(made, spec.budget) if spec.budget is not None else made
    return steps * info.calls * (2 if spec.decoding.guidance else 1)


def device_rate(device: str, dtype: str) -> float:
    """FLOP a second of a large matrix product on the device, measured now in about a second."""
    size = 8192 if torch.device(device).type == "cuda" else 1024
    left = torch.randn(size, size, device=device).to(getattr(torch, dtype))
    for _ in range(3):
        left @ left
    _synchronise(device)
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < 0.5:
        left @ left
        _synchronise(device)
        count += 1
    return 2 * size**3 * count / (time.perf_counter() - start)


def _synchronise(device: str) -> None:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


def describe(plan: Plan, device: str) -> tuple[Mapping[str, str], Sequence[str]]:
    """A few words on each cell, by its id, and lines on the whole plan."""
    rows = PLANNED_ROWS if plan.suite.batch_size == "auto" else plan.suite.batch_size
    estimator = Estimator(rows)
    found = {cell.spec.id: (cell.spec, estimator(cell)) for cell in plan.cells}
    words = {key: _words(estimate) for key, (_, estimate) in found.items()}
    known = [(spec, estimate) for spec, estimate in found.values() if estimate.flops is not None]
    if not known:
        return words, []
    dtypes = sorted({spec.model.dtype for spec, _ in known})
    rates = {dtype: device_rate(device, dtype) for dtype in dtypes}
    seconds = sum((estimate.flops or 0.0) / rates[spec.model.dtype] for spec, estimate in known)
    flops = sum(estimate.flops or 0.0 for _, estimate in known)
    memory = max(estimate.memory or 0.0 for _, estimate in known)
    rate = ", ".join(f"{value / 1e12:.3g} TFLOP/s in {dtype}" for dtype, value in rates.items())
    left_out = len(found) - len(known)
    return words, [
        f"{flops:.3g} FLOPs in {len(known)} cells"
        + (f" ({left_out} cells of unknown cost are not counted)" if left_out else "")
        + (": at most, where the sampler decides how many steps it takes" if any(e.most for _, e in known) else ""),
        f"{device} multiplies matrices at {rate}: {seconds / 3600:.2g} hours at that rate, and about twice as long at "
        "the share of it that a forward pass reaches",
        f"at least {memory / 1e9:.2g} GB of memory at a batch of {rows}, for weights and logits",
    ]


def _words(estimate: Estimate) -> str:
    if estimate.forwards is None:
        return ""
    bound = "≤ " if estimate.most else ""
    flops = "" if estimate.flops is None else f", {bound}{estimate.flops:.3g} FLOPs"
    return f"{bound}{estimate.forwards} forward passes{flops}"
