"""`bench workers`: how much faster several workers are than one."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.options import whole_numbers
from harness.errors import UserError

if TYPE_CHECKING:
    from harness.executors.crew import Crew
    from harness.executors.work import Order


@click.command()
@click.option("--executor", type=click.Choice(["devices", "ray"]), default="devices", show_default=True)
@click.option("--workers", default="1,2", show_default=True, help="Numbers of workers.")
@click.option("--model", default="digits", show_default=True)
@click.option("--task", default="digits", show_default=True)
@click.option("--samplers", default="random,maskgit", show_default=True)
@click.option("--budgets", default="16,32", show_default=True)
@click.option("--limit", type=click.IntRange(min=1), default=512, show_default=True, help="Documents.")
@click.option("--device", default="cpu", show_default=True, help="cpu, or cuda for a GPU each.")
def workers(
    executor: str, workers: str, model: str, task: str, samplers: str, budgets: str, limit: int, device: str
) -> None:
    """Time the same plan on one worker and on several: from when all are ready to the last commit.

    Set OMP_NUM_THREADS=1, so that a worker has one core. Nothing else should run meanwhile.
    """
    from harness.catalogue import Catalogue
    from harness.executors.distribute import execute_on
    from harness.executors.plan import make_plan
    from harness.executors.together import Together
    from harness.executors.work import Order
    from harness.spec import SuiteFile
    from harness.store import RunStore

    counts = whole_numbers(workers, "--workers")
    if not counts or min(counts) < 1:
        raise UserError(f"--workers {workers}: at least one worker is needed")
    sweep = {"models": model, "tasks": task, "samplers": samplers, "budgets": whole_numbers(budgets, "--budgets")}
    suite = SuiteFile.model_validate({"name": "bench workers", "sweeps": [{**sweep, "limit": limit}]})
    plan = make_plan(suite, Catalogue(), None, "command line")
    order = Order.of(suite, [], None, False, False)
    click.echo(f"{sum(len(cell.documents) * cell.samples for cell in plan.cells)} samples in {len(plan.cells)} cells")
    first = None
    for number in counts:
        crew = Together(_crew(executor, order, device, number))
        with tempfile.TemporaryDirectory() as folder:
            execute_on(crew, plan, RunStore.create(Path(folder) / "run", {}), suite.batch_size)
        first = first or crew.seconds
        click.echo(f"{number} workers: {crew.seconds:.1f} s, {first / crew.seconds:.2f}x")


def _crew(executor: str, order: Order, device: str, number: int) -> Crew:
    if executor == "ray":
        from harness.executors.ray_crew import RayCrew

        return RayCrew(order, device, number, None)
    from harness.executors.local import LocalCrew

    return LocalCrew(order, [device] * number if device == "cpu" else [f"cuda:{i}" for i in range(number)])
