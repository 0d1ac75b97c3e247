"""`bench`: measurements that are no runs of cells; one file each, imported when it is asked for."""

from __future__ import annotations

import importlib

import click

from harness.errors import UserError, did_you_mean

_KINDS = {
    "samplers": "Time what samplers add to the model's forward pass.",
    "corrections": "Find known errors by each correction score.",
}


class _Kinds(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_KINDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command:
        if name not in _KINDS:
            raise UserError(f"bench: unknown {name!r}.{did_you_mean(name, _KINDS)}")
        command: click.Command = getattr(importlib.import_module(f"harness.cli.bench_{name}"), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Benchmarks"):
            formatter.write_dl(list(_KINDS.items()))


@click.command(cls=_Kinds)
def bench() -> None:
    """Measure the harness and the parts of samplers."""
