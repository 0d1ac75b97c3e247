"""`bench refill`: what the refilling of slots saves a sampler whose rows take different numbers of forward passes."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import sources, table_of_device, tell
from harness.errors import UserError


@click.command()
@click.option("--model", default="digits", show_default=True, help="name[:argument=value].")
@click.option("--task", default="digits", show_default=True, help="name[:setting=value].")
@click.option("--sampler", default="eb:gamma=1", show_default=True, help="One whose knob is not the number of steps.")
@click.option("--limit", type=click.IntRange(min=1), default=128, show_default=True, help="Documents.")
@click.option("--batch", type=click.IntRange(min=1), default=16, show_default=True, help="Rows side by side.")
@click.option("--repeats", type=click.IntRange(min=1), default=3, show_default=True, help="Times that both are timed.")
@table_of_device
@sources
def refill(
    model: str, task: str, sampler: str, limit: int, batch: int, repeats: int, device: str, output: Path | None,
    include: tuple[Path, ...], data_dir: str | None,
) -> None:  # fmt: skip
    """Time the same rows in batches that wait for their slowest row, and in slots that are refilled as rows finish."""
    from harness.bench.refill import compare, table
    from harness.catalogue import Catalogue
    from harness.executors.loader import ModelLoader
    from harness.executors.plan import make_plan
    from harness.spec import SuiteFile

    sweep = {"models": model, "tasks": task, "samplers": sampler, "limit": limit}
    suite = SuiteFile.model_validate({"name": "bench refill", "sweeps": [sweep]})
    plan = make_plan(suite, Catalogue(include), data_dir, "command line")
    if len(plan.cells) != 1:
        raise UserError(f"bench refill times one setting, and this is {len(plan.cells)}: give one value for each knob.")
    (cell,) = plan.cells
    found = compare(ModelLoader(device)(cell.spec.model), list(cell.jobs()), batch, repeats)
    told = {"rows": f"{len(cell.documents)} of {task} by {sampler} on {model}", "batch": str(batch)}
    text = table(found, told, device)
    tell(text, output)
