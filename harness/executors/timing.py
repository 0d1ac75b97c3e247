"""Timing runs: a cell alone, at a stated batch size, after a warm-up, synchronised. Nothing else is ever timed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch

from harness.engine.engine import Engine
from harness.engine.generator import Job
from harness.executors.fit import batch_size
from harness.executors.loader import ModelLoader
from harness.executors.making import Options, versions
from harness.executors.plan import Plan
from harness.store import RunStore


def time_cells(plan: Plan, run: RunStore, load: ModelLoader, options: Options) -> None:
    """Make each cell's samples once more, alone, and store how long that took; its committed samples stay as they are.

    The cell must be complete: what is timed has been seen to work.
    """
    for cell in plan.cells:
        model, jobs, store = load(cell.spec.model), list(cell.jobs()), run.cell(cell.spec)
        rows = batch_size(options.batch_size, model, jobs, options.device)
        # What is compiled is compiled at the first row of its shape, and recorded at the second.
        warm = jobs if cell.spec.model.args.get("compile") else jobs[:rows]
        with store.lock(wait=True):
            store.write_timing(measure(Engine(model, rows, options.trace), jobs, options.device, rows, warm))


def measure(maker: Engine, jobs: Sequence[Job], on: str, rows: int, warm: Sequence[Job]) -> dict[str, Any]:
    """Seconds and joules of making `jobs`, after `warm`, some of them, as warm-up, and peak memory in bytes; None where
    the device does not tell (joules need an NVIDIA GPU and nvidia-ml-py; peak memory a GPU)."""
    device = torch.device(on)
    for _ in maker.generate(warm):
        pass
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    _synchronise(device)
    energy, start = _millijoules(device), time.perf_counter()
    tokens = sum(made.cost.output_tokens for made in maker.generate(jobs))
    _synchronise(device)
    seconds, spent = time.perf_counter() - start, _millijoules(device)
    return {
        **versions(),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else on,
        "batch_size": rows,
        "samples": len(jobs),
        "seconds": seconds,
        "seconds_per_sample": seconds / len(jobs),
        "output_tokens_per_second": tokens / seconds,
        "joules": None if energy is None or spent is None else (spent - energy) / 1000,
        "peak_memory_bytes": torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None,
    }


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _millijoules(device: torch.device) -> float | None:
    """The GPU's energy counter (mJ since the driver was loaded), if there is one."""
    if device.type != "cuda":
        return None
    try:
        import pynvml

        pynvml.nvmlInit()
        identity = str(torch.cuda.get_device_properties(device).uuid)
        handle = pynvml.nvmlDeviceGetHandleByUUID(identity if identity.startswith("GPU-") else f"GPU-{identity}")
        return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(handle))
    except Exception:
        # Without the package, a driver or a counter the energy is unknown; that must not cost the run.
        return None
