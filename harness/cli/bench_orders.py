"""`bench orders`: what trainings with a learned order reached beside their controls."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("trainings", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--output", type=click.Path(path_type=Path), default=Path("results/orders"), show_default=True)
def orders(trainings: tuple[Path, ...], output: Path) -> None:
    """Compare the folders of finished TRAININGS of the recipe learned_order, by table, method and seed.

    The control is the method `uniform`: the same network, steps and two masks a row.
    """
    from harness.analysis.orders import markdown, read, write

    frame = read(trainings)
    paths = write(frame, output)
    click.echo(markdown(frame))
    click.echo("Written: " + ", ".join(str(path) for path in paths))
