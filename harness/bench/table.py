"""The table of a benchmark as markdown, with what a reader needs to make it again."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

import torch

from harness.bench.overhead import Overhead

_HEADER = (
    "| sampler | temperature | calls a step | forward, ms | beyond it, ms | share |",
    "| --- | --- | --- | --- | --- | --- |",
)


def markdown(rows: Sequence[Overhead], command: str, device: str) -> str:
    """Medians with quartiles in brackets, one line for each sampler and temperature."""
    title = "# Sampler time beyond the model's forward pass\n"
    told = [f"`{command}`", "", *(f"* {name}: {value}" for name, value in machine(device).items()), ""]
    notes = "Medians of the timed steps, first and third quartile in brackets. A share is of the same step's forward.\n"
    return "\n".join([title, *told, notes, *_HEADER, *map(_line, rows), ""])


def machine(device: str) -> dict[str, str]:
    """When and where a measurement was made."""
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg()) if hasattr(os, "getloadavg") else "unknown"
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "device": torch.cuda.get_device_name(device) if device.startswith("cuda") else _processor(),
        "threads": str(torch.get_num_threads()),
        "load of the machine at the end (1, 5, 15 minutes)": load,
        "torch": torch.__version__,
    }


def _line(row: Overhead) -> str:
    forward, beyond = (spread([1e3 * value for value in times], "{:.3g}") for times in (row.forward, row.beyond))
    share = spread(row.share, "{:.1%}")
    return f"| `{row.sampler}` | {row.temperature:g} | {row.calls:g} | {forward} | {beyond} | {share} |"


def spread(quartiles: Sequence[float], form: str) -> str:
    low, middle, high = (form.format(value) for value in quartiles)
    return f"{middle} [{low}, {high}]"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
