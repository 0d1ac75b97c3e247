"""`import`: outputs that were made elsewhere."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.options import include_path


@click.command("import")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--format", "kind", required=True, type=click.Choice(["d1", "geneval", "lm-eval"]), help="What wrote the files."
)
@click.option("--output", required=True, type=click.Path(path_type=Path), help="The run to add the outputs to.")
@click.option("--task", help="Task of the outputs, where file names do not tell it; of a folder, the only one to take.")
@click.option("--model", help="Name of the model, instead of what the files say.")
@include_path
def import_(
    path: Path, kind: str, output: Path, task: str | None, model: str | None, include: tuple[Path, ...]
) -> None:
    """Bring the outputs in PATH, a file or a folder of files, into a run; then `score` and `report` it.

    d1: *_generations.json of d1's evaluation. lm-eval: samples_*.jsonl of lm-evaluation-harness (--log_samples).
    geneval: results*.jsonl of GenEval's official script, with the pictures where they are there; needs --model.
    """
    from harness.analysis.importing import read_files, write_cells
    from harness.catalogue import Catalogue

    files = read_files(kind, path, Catalogue(include), task, model)
    for cell in write_cells(output, files):
        spec = cell.spec
        budget = "" if spec.budget is None else f" steps={spec.budget}"
        click.echo(f"{spec.id}  {spec.model.name} x {spec.task.name} x {spec.sampler.name}{budget}  "
                   f"{len(cell.done())} samples")  # fmt: skip
    for file in files:
        for name, value in file.origin.get("reported", {}).items():
            click.echo(f"{file.path.name}: {name} {value:.4f}")
    click.echo(f"Next: mdm-eval score {output}")
