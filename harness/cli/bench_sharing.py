"""`bench sharing`: what a sweep saves where its samplers and budgets ask the network the same."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import numbers, sources, table_of_device, tell, whole_numbers

_AT_LEAST_1 = click.IntRange(min=1)


@click.command()
@click.option("--model", default="mini", show_default=True, help="name[:argument=value].")
@click.option("--task", default="geneval_mini", show_default=True, help="name[:setting=value].")
@click.option("--samplers", default="confidence,margin,entropy,random", show_default=True, help="As in `run`.")
@click.option("--budgets", default="4,8,16", show_default=True, help="Numbers of steps.")
@click.option("--temperatures", default="0,1", show_default=True, help="Token temperatures.")
@click.option("--limit", type=_AT_LEAST_1, default=32, show_default=True, help="Documents.")
@click.option("--batch", type=_AT_LEAST_1, default=16, show_default=True, help="Rows side by side.")
@click.option("--repeats", type=_AT_LEAST_1, default=3, show_default=True, help="Times that both are timed by turns.")
@table_of_device
@sources
def sharing(
    model: str, task: str, samplers: str, budgets: str, temperatures: str, limit: int, batch: int, repeats: int,
    device: str, output: Path | None, include: tuple[Path, ...], data_dir: str | None,
) -> None:  # fmt: skip
    """Make the same samples with answers of the network that serve all rows that ask the same, and with each row
    asking for itself. What a sample is charged is the same."""
    from harness.bench.sharing import compare, table
    from harness.catalogue import Catalogue
    from harness.executors.loader import ModelLoader
    from harness.executors.plan import make_plan
    from harness.spec import SuiteFile

    sweep = {"models": model, "tasks": task, "samplers": samplers, "limit": limit}
    sweep |= {"budgets": whole_numbers(budgets, "--budgets")}
    load, measured = ModelLoader(device), []
    for heat in numbers(temperatures, "--temperatures") or []:
        suite = SuiteFile.model_validate({"name": "bench sharing", "sweeps": [{**sweep, "temperature": heat}]})
        plan = make_plan(suite, Catalogue(include), data_dir, "command line")
        (group,) = plan.groups()
        jobs = [job for cell in group for job in cell.jobs()]
        click.echo(f"temperature {heat:g}, {len(jobs)} rows", err=True)
        measured.append(compare(load(group[0].spec.model), jobs, batch, repeats))
    told = {"rows": f"{limit} of {task} on {model}, each by {samplers} at {budgets} steps", "batch": str(batch)}
    text = table(measured, told, device)
    tell(text, output)
