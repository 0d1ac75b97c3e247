"""`check`: whether a sampler keeps the contract."""

from __future__ import annotations

from pathlib import Path

import click

from harness.catalogue import Catalogue
from harness.cli.options import include_path
from harness.errors import RunError


@click.command()
@click.argument("kind", type=click.Choice(["sampler"]))
@click.argument("name")
@include_path
def check(kind: str, name: str, include: tuple[Path, ...]) -> None:
    """Run the conformance checks on the sampler NAME, or on `all`; one line for each check, exit code 1 if one fails.

    They run on a small random model that offers what the sampler declares to need, at the sampler's default and over
    its sweep.
    """
    Catalogue(include)
    from harness.conformance import check_sampler
    from harness.samplers import samplers

    names = [entry.name for entry in samplers if entry.info.writes] if name == "all" else [samplers[name].name]
    failed = []
    for one in names:
        for verdict in check_sampler(one):
            reason = f": {verdict.reason}" if verdict.reason else ""
            click.echo(f"{one}  {verdict.outcome.ljust(4)}  {verdict.claim}{reason}")
            if verdict.outcome == "fail":
                failed.append(one)
    if failed:
        raise RunError(f"{len(failed)} checks failed, of {', '.join(dict.fromkeys(failed))}")
