"""`bench`: measurements that are no runs of cells; one file each, imported when it is asked for."""

from __future__ import annotations

import click

from harness.cli.lazy import LazyGroup

_KINDS = {
    "model": "Time a model: tokens a second, and where the time goes.",
    "samplers": "Time what samplers add to the model's forward pass.",
    "released": "Time the harness beside LLaDA's loop as released.",
    "compile": "Time a compiled model and fused passes beside plain ones.",
    "caches": "Time a model with caches beside the exact one.",
    "refill": "Time slots that are refilled beside batches that wait.",
    "analysis": "Time score, ranking and report of many samples.",
    "sharing": "Count and time what samplers and budgets share.",
    "workers": "Time one worker beside several.",
    "scale": "Simulate a large run on many GPUs.",
    "corrections": "Find known errors by each correction score.",
    "orders": "Compare trainings with a learned order with their controls.",
}


@click.command(cls=LazyGroup, commands_help=_KINDS, prefix="harness.cli.bench_", heading="Benchmark")
def bench() -> None:
    """Measure the harness and the parts of samplers."""
