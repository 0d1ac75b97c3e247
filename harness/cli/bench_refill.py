"""`bench refill`: what the refilling of slots saves a sampler whose rows take different numbers of forward passes."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import sources, table_of_device, tell, whole_numbers
from harness.errors import UserError


@click.command()
@click.option("--model", default="mini", show_default=True, help="name[:argument=value].")
@click.option("--task", default="sudoku_6x6:clues=10", show_default=True, help="name[:setting=value].")
@click.option(
    "--sampler", default="threshold:tau=0.95", show_default=True, help="One whose knob is not the number of steps."
)
@click.option("--limit", type=click.IntRange(min=1), default=192, show_default=True, help="Documents.")
@click.option("--batches", default="8,16,32", show_default=True, help="Rows side by side, one or several numbers.")
@click.option("--repeats", type=click.IntRange(min=1), default=3, show_default=True, help="Times that both are timed.")
@table_of_device
@sources
def refill(
    model: str, task: str, sampler: str, limit: int, batches: str, repeats: int, device: str, output: Path | None,
    include: tuple[Path, ...], data_dir: str | None,
) -> None:  # fmt: skip
    """Time the same rows in batches that wait for their slowest row, and in slots that are refilled as rows finish."""
    sizes = whole_numbers(batches, "--batches")
    if not sizes or min(sizes) < 1:
        raise UserError(f"--batches {batches}: at least one row is needed.")

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
    denoiser, found = ModelLoader(device)(cell.spec.model), []
    for batch in sizes:
        click.echo(f"batch {batch}", err=True)
        found.append(compare(denoiser, list(cell.jobs()), batch, repeats))
    heat = f"temperature {cell.spec.decoding.temperature:g}"
    told = {"rows": f"{len(cell.documents)} of {task} by {sampler} on {model}, {heat}", "repeats": str(repeats)}
    text = table(found, told, device)
    tell(text, output)
