"""`ls`: what is registered. Reads metadata only."""

from __future__ import annotations

from pathlib import Path

import click

from harness.catalogue import Catalogue, read_yaml
from harness.cli.figure import figures
from harness.cli.options import sources


@click.command()
@click.argument("kind", type=click.Choice(["tasks", "samplers", "models", "suites", "figures"]))
@sources
def ls(kind: str, include: tuple[Path, ...], data_dir: str | None) -> None:
    """List what is registered, with one line on each."""
    catalogue = Catalogue(include)
    rows = {"tasks": _tasks, "samplers": _samplers, "models": _models, "suites": _suites, "figures": _figures}[kind](
        catalogue
    )
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))] if rows else []
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _samplers(catalogue: Catalogue) -> list[tuple[str, ...]]:
    from harness.samplers import samplers

    rows: list[tuple[str, ...]] = [("SAMPLER", "KNOB", "CALLS A STEP", "WHAT IT DOES", "SOURCE")]
    for entry in samplers:
        info = entry.info
        summary = f"Generator: {info.summary}" if info.generator else info.summary
        rows.append((entry.name, info.knob or "-", info.cost, summary, info.citation))
    return rows


def _models(catalogue: Catalogue) -> list[tuple[str, ...]]:
    from harness.models import models

    rows: list[tuple[str, ...]] = [("MODEL", "MAKES", "WHAT IT IS")]
    return rows + [(entry.name, entry.info.modality, entry.info.summary) for entry in models]


def _tasks(catalogue: Catalogue) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("TASK", "PRIMARY METRIC", "WHAT IT MEASURES")]
    for name, path in sorted(catalogue.tasks().items()):
        rows.append((name, _value(path, "primary"), _value(path, "summary")))
    return rows


def _suites(catalogue: Catalogue) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("SUITE", "WHAT IT RUNS")]
    for name, path in sorted(catalogue.suites().items()):
        rows.append((name, _value(path, "description")))
    return rows


def _figures(catalogue: Catalogue) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("FIGURE", "WHAT IT SHOWS", "PAPER")]
    return rows + [(name, _value(path, "summary"), _value(path, "paper")) for name, path in figures().items()]


def _value(path: Path, key: str) -> str:
    """A line of a YAML file; "?" where it has none, since `validate` says what is wrong with it."""
    content = read_yaml(path)
    return " ".join(str(content.get(key, "?")).split()) if isinstance(content, dict) else "?"
