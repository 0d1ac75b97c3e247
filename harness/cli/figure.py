"""`figure`: one figure of a paper, from the runs that it needs to the picture."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.catalogue import Catalogue, bundled, read_spec
from harness.cli.options import sources
from harness.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from harness.analysis.figures.spec import Corrections, FigureFile, Form
    from harness.spec import SuiteFile


def figures() -> dict[str, Path]:
    """Name to the YAML file of every figure."""
    return {path.stem: path for path in sorted(bundled("figures").glob("*.yaml"))}


@click.command()
@click.argument("name")
@click.option("--form", type=click.Choice(["mini", "paper"]), default="mini", show_default=True,
              help="On built-in models, or on the models of the paper.")  # fmt: skip
@click.option("--limit", type=click.IntRange(min=1), help="First documents of each task only.")
@click.option("--device", default="cpu", show_default=True, help="Where the model runs: cpu, cuda, cuda:1.")
@click.option("--output", type=click.Path(path_type=Path), help="Folder of the run. [default: results/<suite>]")
@sources
def figure(
    name: str, form: str, limit: int | None, device: str, output: Path | None, include: tuple[Path, ...],
    data_dir: str | None,
) -> None:  # fmt: skip
    """Draw a figure of a paper: NAME as `ls figures` shows it, or the path of a YAML file.

    What its suite still lacks is run first. The pictures are in the folder `figures` of the run.
    """
    path = _path(name)
    file = _read(path)
    if form not in file.forms:
        raise UserError(f"{path}: there is no form {form!r}; draw --form {' or '.join(file.forms)}")
    chosen = file.forms[form]
    catalogue = Catalogue(include)
    if chosen.corrections is not None:
        written = _corrections(chosen.corrections, device, output or Path("results") / f"{file.name}_{form}")
    else:
        assert chosen.suite is not None
        suite_path = path.parent / chosen.suite
        suite = catalogue.suite(str(suite_path))
        logs = {label: [str(path.parent / log) for log in logs] for label, logs in chosen.logs.items()}
        chosen = chosen.model_copy(update={"logs": logs})
        _check_names(suite, catalogue, suite_path)
        written = _suite(file, chosen, _limited(suite, limit), catalogue, device, output, data_dir)
    click.echo("Written: " + ", ".join(str(each) for each in written))


def _path(name: str) -> Path:
    if Path(name).suffix in (".yaml", ".yml"):
        return Path(name)
    known = figures()
    if name not in known:
        raise UserError(
            f"unknown figure {name!r}.{did_you_mean(name, known)} A figure of your own is given by the path of its "
            ".yaml file."
        )
    return known[name]


def _read(path: Path) -> FigureFile:
    from harness.analysis.figures.spec import FigureFile

    file = read_spec(path, FigureFile)
    file.check(str(path))
    return file


def _check_names(suite: SuiteFile, catalogue: Catalogue, path: Path) -> None:
    """Say all at once which models and tasks a suite needs that are not here."""
    from harness.grammar import read_grids
    from harness.models import models

    missing = []
    for sweep in suite.sweeps:
        wanted = read_grids(sweep.models, f"{path}: models")
        missing += [f"model {grid.name!r}" for grid in wanted if grid.name not in models]
        wanted = read_grids(sweep.tasks, f"{path}: tasks")
        missing += [f"task {grid.name!r}" for grid in wanted if grid.name not in catalogue.tasks()]
    if missing:
        raise UserError(
            f"{path} needs {', '.join(dict.fromkeys(missing))}, not known here. Add them by --include-path "
            "(docs/add_a_model.md, docs/add_a_task.md), or draw --form mini, which runs on built-in models."
        )


def _limited(suite: SuiteFile, limit: int | None) -> SuiteFile:
    if limit is None:
        return suite
    sweeps = [sweep.model_copy(update={"limit": min(limit, sweep.limit or limit)}) for sweep in suite.sweeps]
    return suite.model_copy(update={"sweeps": sweeps})


def _suite(
    file: FigureFile, form: Form, suite: SuiteFile, catalogue: Catalogue, device: str, output: Path | None,
    data_dir: str | None,
) -> list[Path]:  # fmt: skip
    """Run what the suite lacks, with traces, score it, and draw."""
    from harness.analysis.figures.results import read
    from harness.analysis.figures.write import write
    from harness.analysis.scoring import score_run
    from harness.executors.inline import execute
    from harness.executors.loader import ModelLoader, check_capabilities
    from harness.executors.making import Options
    from harness.executors.plan import default_output, make_plan
    from harness.store import RunStore

    plan = make_plan(suite, catalogue, data_dir, suite.name)
    load = ModelLoader(device)
    check_capabilities(plan, load)
    store = RunStore.create(output or default_output(suite), suite.model_dump(mode="json"))
    execute(plan, store, load, Options(suite.batch_size, device, trace=True))
    score_run(store, catalogue, plan.tasks, data_dir)
    tasks = {spec.name: catalogue.task_file(spec.name) for spec in plan.tasks}
    results = read(store, {cell.spec.id for cell in plan.cells}, tasks, form)
    written, problems = write(file, form, results, store.root / "figures")
    for problem in problems:
        click.echo(f"warning: {problem}", err=True)
    return written


def _corrections(wanted: Corrections, device: str, folder: Path) -> list[Path]:
    """Measure by `bench corrections`, unless the folder has the same measurement, and draw."""
    import pandas as pd

    from harness.analysis.corrections import write
    from harness.bench.corrections import Options, measure
    from harness.components import resolve_model
    from harness.executors.loader import ModelLoader
    from harness.grammar import parse_grids
    from harness.store.files import read_json, write_json

    settings, table = folder / "settings.json", folder / "corrections.csv"
    asked = wanted.model_dump(mode="json")
    if table.exists() and read_json(settings) == asked:
        return write(pd.read_csv(table), folder)
    load, records = ModelLoader(device), []
    options = Options(wanted.mask_ratios, wanted.error_shares, wanted.seeds, wanted.documents, wanted.steps)
    for model in wanted.models:
        for item in (item for grid in parse_grids(model, "models") for item in grid.components()):
            records += measure(load(resolve_model(item.name, item.args, "models")), model, options, click.echo)
    # What is drawn is what the file says, so that it is drawn alike when the file is read.
    written = write(pd.read_csv(StringIO(pd.DataFrame(records).to_csv(index=False, float_format="%.6g"))), folder)
    write_json(settings, asked)
    return written
