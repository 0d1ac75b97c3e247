"""A group of commands, each imported when it is asked for."""

from __future__ import annotations

import importlib
import keyword
from collections.abc import Mapping
from typing import Any

import click

from harness.errors import UserError, did_you_mean


class LazyGroup(click.Group):
    """Commands by name with one line on each; the command NAME is the attribute NAME of the module `prefix` + NAME.

    Module and attribute have underscores for hyphens, and one at the end where NAME is a word of Python (`import`).
    """

    def __init__(self, *args: Any, commands_help: Mapping[str, str], prefix: str, heading: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._help, self._prefix, self._heading = commands_help, prefix, heading

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._help)

    def get_command(self, ctx: click.Context, name: str) -> click.Command:
        if name not in self._help:
            raise UserError(f"unknown {self._heading.lower()} {name!r}.{did_you_mean(name, self._help)}")
        attribute = f"{name}_" if keyword.iskeyword(name) else name.replace("-", "_")
        command: click.Command = getattr(importlib.import_module(self._prefix + attribute), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section(f"{self._heading}s"):
            formatter.write_dl(list(self._help.items()))
