"""`validate`: everything `run` checks before it computes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from harness.cli.run import planned, selection


@click.command()
@selection
def validate(include: tuple[Path, ...], data_dir: str | None, allow_code: bool, **chosen: Any) -> None:
    """Check a SUITE (or what the flags say): names, parameters, types, data, scorer dependencies."""
    from harness.catalogue import Catalogue

    _, plan = planned(Catalogue(include, allow_code), data_dir, **chosen)
    samples = sum(len(cell.documents) * cell.samples for cell in plan.cells)
    click.echo(f"ok: {len(plan.cells)} cells, {samples} samples")
