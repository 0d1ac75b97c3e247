"""`score`: scores without a generative model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.options import allow_code, sources
from harness.errors import UserError

if TYPE_CHECKING:
    from harness.catalogue import Catalogue


_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("run", required=False, type=click.Path(path_type=Path))
@click.option("--task", help="Of the responses, or of the cells of RUN to score: name[:setting=value].")
@click.option("--responses", type=_FILE, help='JSON lines {"key", "response"} or {"id", …}.')
@click.option("--output", type=click.Path(path_type=Path), help="Where to write one JSON line a document.")
@click.option("--protocol", help="Scoring protocol; the task's first one if not given.")
@sources
@allow_code
def score(
    run: Path | None, task: str | None, responses: Path | None, output: Path | None, protocol: str | None,
    include: tuple[Path, ...], data_dir: str | None, allow_code: bool,
) -> None:  # fmt: skip
    """Score a RUN again (a folder of results), or the responses in a file (--task, --responses, --output)."""
    from harness.catalogue import Catalogue

    catalogue = Catalogue(include, allow_code)
    if run is not None and not (responses or output):
        _score_run(run, catalogue, task, protocol, data_dir)
    elif run is None and task and responses and output:
        _score_responses(catalogue, task, protocol, data_dir, responses, output)
    else:
        raise UserError("score: give the folder of a run, or all of --task, --responses and --output")


def _score_run(run: Path, catalogue: Catalogue, task: str | None, protocol: str | None, data_dir: str | None) -> None:
    from harness.analysis.scoring import score_run
    from harness.cli.report import fail_for, write
    from harness.executors.plan import task_specs
    from harness.store import IMPORTED, RunStore

    store = RunStore(run)
    if task is not None:
        specs = task_specs(task, "--task")
    else:
        specs = [spec for sweep in store.suite.get("sweeps", []) for spec in task_specs(sweep["tasks"], "run.json")]
        specs += [
            cell.spec.task for cell in store.readable([]) if cell.spec.data == IMPORTED
        ]  # which no suite declares
    if protocol is not None:
        specs = [spec.model_copy(update={"protocol": protocol}) for spec in specs]
    problems: list[str] = []
    scored = score_run(store, catalogue, specs, data_dir, problems)
    click.echo(f"{scored} cells scored")
    write(store, catalogue, data_dir)
    fail_for(problems)


def _score_responses(
    catalogue: Catalogue, task: str, protocol: str | None, data_dir: str | None, responses: Path, output: Path
) -> None:
    from harness.analysis.responses import score_responses
    from harness.executors.plan import task_specs

    specs = task_specs(task, "--task")
    if len(specs) != 1:
        raise UserError(f"--task: {task!r} names {len(specs)} tasks; responses are scored for one")
    spec = specs[0] if protocol is None else specs[0].model_copy(update={"protocol": protocol})
    summary = score_responses(catalogue.task(spec, data_dir, None), responses, output)
    found, known = summary["documents"], summary["documents_in_task"]
    click.echo(f"{summary['task']} @ {summary['protocol']}: {found} of {known} documents")
    for key, metric in summary["metrics"].items():
        stderr = "" if metric["stderr"] is None else f" ± {metric['stderr']:.4f}"
        click.echo(f"  {key:24} {metric['value']:.4f}{stderr}")
