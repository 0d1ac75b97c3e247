"""`run`: make what cells lack, score it, and report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.options import Rows, allow_code, numbers, sources, whole_numbers
from harness.cli.where import Where, where_options
from harness.errors import UserError

if TYPE_CHECKING:
    from harness.catalogue import Catalogue
    from harness.executors.making import Options
    from harness.executors.plan import Plan
    from harness.executors.work import Order
    from harness.spec import BatchSize, SuiteFile
    from harness.store import RunStore


def selection(command: Any) -> Any:
    """The flags that say what to run; given beside a suite, they override it."""
    for option in reversed(
        [
            click.argument("suite", required=False),
            click.option("--model", help="Model, such as exact/chain or digits."),
            click.option("--model-args", help="Its arguments: name=value,name=value."),
            click.option("--tasks", help="Tasks: name[:setting=value],…"),
            click.option("--samplers", help="Samplers: name[:parameter=value|value],…"),
            click.option("--budgets", help="Numbers of steps, for samplers that take steps: 4,8,16."),
            click.option("--seeds", help="Seeds: 0,1,2."),
            click.option("--limit", type=click.IntRange(min=1), help="First documents of each task only."),
            click.option("--samples", type=click.IntRange(min=1), help="Outputs for each document."),
            click.option("--temperature", help="Token temperature, one or several: 0,1."),
            click.option("--guidance", help="Guidance scale w, one or several: 0,2."),
            click.option("--batch-size", type=Rows(), help="Rows of a batch; auto: as many as fit."),
            click.option(
                "--compile", "compiled", is_flag=True, help="Compile the networks: other rounding, other cells."
            ),
        ]
    ):
        command = option(command)
    return sources(allow_code(command))


@click.command()
@selection
@where_options
@click.option("--output", "--output-path", type=click.Path(path_type=Path), help="[default: results/<suite>]")
@click.option("--trace", is_flag=True, help="Keep what each step commits and re-masks.")
@click.option("--timing", is_flag=True, help="Time each cell alone, after a warm-up, beside making its samples.")
@click.option("--dry-run", is_flag=True, help="Show the cells and what they lack; run nothing.")
def run(
    output: Path | None, trace: bool, timing: bool, dry_run: bool, include: tuple[Path, ...], data_dir: str | None,
    allow_code: bool, **flags: Any,
) -> None:  # fmt: skip
    """Run a SUITE (a name, or the path of a YAML file), or what the flags say; flags win over the suite.

    Whatever is already there is kept: run again to go on, or with a larger --limit to add documents.
    """
    from harness.catalogue import Catalogue
    from harness.executors.plan import default_output

    where, chosen = Where.split(flags)
    where.check(timing)
    catalogue = Catalogue(include, allow_code)
    suite, plan = planned(catalogue, data_dir, **chosen)
    output = output or default_output(suite)
    if dry_run:
        click.echo(_describe(plan, output, where.device))
        return

    from harness.analysis.scoring import score_run
    from harness.cli.report import fail_for, write
    from harness.executors.making import Options
    from harness.executors.work import Order

    order = Order.of(suite, include, data_dir, allow_code, trace)
    store = _make(plan, output, where, order, Options(suite.batch_size, where.device, trace), timing)
    if where.shard:
        click.echo(f"shard {where.shard} is done. When all are: the same command without --shard scores and reports.")
        return
    problems: list[str] = []
    score_run(store, catalogue, plan.tasks, data_dir, problems)
    write(store, catalogue, data_dir)
    fail_for(problems)


def _make(plan: Plan, output: Path, where: Where, order: Order, options: Options, timing: bool) -> RunStore:
    """Make what the plan lacks in the run at `output`, or a shard of it."""
    from harness.executors.distribute import execute_on
    from harness.executors.inline import execute
    from harness.executors.loader import ModelLoader, WeightlessLoader, check_capabilities
    from harness.executors.shard import execute_shard
    from harness.executors.timing import time_cells
    from harness.executors.units import Shard
    from harness.store import RunStore

    suite = plan.suite.model_dump(mode="json")
    check_capabilities(plan, WeightlessLoader())  # before weights are loaded, or workers start
    crew = where.crew(order)
    if crew is not None:
        store = RunStore.create(output, suite)
        execute_on(crew, plan, store, options.batch_size, where.patience)
        return store
    load = ModelLoader(where.device)
    check_capabilities(plan, load)
    store = RunStore.create(output, suite)
    if where.shard:
        execute_shard(plan, store, load, options, Shard.parse(where.shard))
    else:
        execute(plan, store, load, options)
    if timing:
        time_cells(plan, store, load, options)
    return store


def planned(catalogue: Catalogue, data_dir: str | None, **chosen: Any) -> tuple[SuiteFile, Plan]:
    """The suite that the flags and the SUITE argument describe, and its plan."""
    from harness.executors.plan import make_plan

    suite = _suite(catalogue, **chosen)
    return suite, make_plan(suite, catalogue, data_dir, chosen["suite"] or "command line")


def _suite(
    catalogue: Catalogue, suite: str | None, batch_size: BatchSize | None, compiled: bool, **flags: Any
) -> SuiteFile:
    from harness.spec import SuiteFile

    overrides = _overrides(**flags)
    if suite is not None:
        file = catalogue.suite(suite)
        sweeps = [sweep.model_copy(update=overrides) for sweep in file.sweeps]
        update: dict[str, Any] = {"sweeps": sweeps, "compile": compiled or file.compile}
        update |= {} if batch_size is None else {"batch_size": batch_size}
        return file.model_copy(update=update)
    missing = [flag for flag in ("models", "tasks", "samplers") if flag not in overrides]
    if missing:
        names = ", ".join("--" + {"models": "model"}.get(flag, flag) for flag in missing)
        raise UserError(f"run: give a suite (`ls suites`), or {names} as well")
    content = {"name": "adhoc", "batch_size": batch_size or 32, "compile": compiled, "sweeps": [overrides]}
    return SuiteFile.model_validate(content)


def _overrides(
    model: str | None, model_args: str | None, tasks: str | None, samplers: str | None, budgets: str | None,
    seeds: str | None, temperature: str | None, guidance: str | None, limit: int | None, samples: int | None,
) -> dict[str, Any]:  # fmt: skip
    if model_args and not model:
        raise UserError("--model-args needs --model")
    given: dict[str, Any] = {
        "models": f"{model}:{model_args.replace(',', ':')}" if model_args else model,
        "tasks": tasks,
        "samplers": samplers,
        "budgets": whole_numbers(budgets, "--budgets") or None,
        "seeds": whole_numbers(seeds, "--seeds") or None,
        "limit": limit,
        "samples": samples,
        "temperature": numbers(temperature, "--temperature"),
        "guidance": numbers(guidance, "--guidance"),
    }
    return {name: value for name, value in given.items() if value is not None}


def _describe(plan: Plan, output: Path, device: str) -> str:
    """One line a cell: what it is, how many of its samples are there, and what all of them take; then the whole."""
    from harness.executors.estimate import describe
    from harness.executors.loader import ModelLoader
    from harness.store import RunStore

    ModelLoader(device)  # is there such a device
    taken, whole = describe(plan, device)

    present = {}
    if (output / "run.json").exists():
        present = {cell.id: len(cell.done()) for cell in RunStore(output).cells()}
    lines = [f"{len(plan.cells)} cells -> {output}"]
    for cell in plan.cells:
        spec, wanted = cell.spec, len(cell.documents) * cell.samples
        args = ",".join(f"{name}={value}" for name, value in spec.sampler.args.items())
        budget = "" if spec.budget is None else f" steps={spec.budget}"
        lines.append(
            f"{spec.id}  {spec.model.name} x {spec.task.name} x {spec.sampler.name}({args}){budget} seed={spec.seed}  "
            f"{min(present.get(spec.id, 0), wanted)}/{wanted} samples  {taken[spec.id]}".rstrip()
        )
    reported = [number for sweep in plan.suite.sweeps for number in sweep.published]
    lines += [f"published: {number.metric} {number.value:g} ({number.source})" for number in reported]
    return "\n".join([*lines, *whole])
