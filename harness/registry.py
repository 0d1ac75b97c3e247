"""One generic registry for samplers and models: plain metadata now, the code behind it on first use.

An entry is a name, metadata, and a target, either an object or a lazy `"module:attribute"` string, so that listing
what exists imports no torch. Other packages add entries through an entry-point group (loaded when a registry is first
read) or through Python files under `--include-path`; a duplicate name is refused with both origins.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar

from harness.errors import UserError, did_you_mean

Info = TypeVar("Info")
Target = TypeVar("Target")


@dataclass(frozen=True)
class Entry(Generic[Info]):
    """A registered name: `info` is plain data, `target` the object or a `"module:attribute"` path to it."""

    name: str
    info: Info
    target: Any
    origin: str

    def load(self) -> Any:
        """Import and return the registered object."""
        if not isinstance(self.target, str):
            return self.target
        module, _, attribute = self.target.partition(":")
        return getattr(importlib.import_module(module), attribute)


class Registry(Generic[Info]):
    """Names to entries of one kind, such as `sampler`."""

    def __init__(self, kind: str, group: str) -> None:
        self.kind = kind
        self._group = group
        self._entries: dict[str, Entry[Info]] = {}
        self._plugins_loaded = False

    def add(self, name: str, target: Any, info: Info, origin: str | None = None) -> None:
        """Register `target` under `name`; raises UserError if another object already has it."""
        origin = origin or (target.partition(":")[0] if isinstance(target, str) else _where(target))
        if name in self._entries:
            raise UserError(
                f"{self.kind} {name!r} is registered twice: in {self._entries[name].origin} and in {origin}. "
                "Rename one of them."
            )
        self._entries[name] = Entry(name, info, target, origin)

    def register(self, name: str, info: Info) -> Callable[[Target], Target]:
        """Decorator form of `add`."""

        def decorate(target: Target) -> Target:
            self.add(name, target, info)
            return target

        return decorate

    def __getitem__(self, name: str) -> Entry[Info]:
        self._load_plugins()
        if name not in self._entries:
            raise UserError(f"unknown {self.kind} {name!r}.{did_you_mean(name, self._entries)}")
        return self._entries[name]

    def __iter__(self) -> Iterator[Entry[Info]]:
        self._load_plugins()
        return iter(sorted(self._entries.values(), key=lambda entry: entry.name))

    def __contains__(self, name: str) -> bool:
        self._load_plugins()
        return name in self._entries

    def _load_plugins(self) -> None:
        # Importing a plug-in module runs its `register` decorators.
        if self._plugins_loaded:
            return
        self._plugins_loaded = True
        for point in entry_points(group=self._group):
            try:
                point.load()
            except Exception as error:
                raise UserError(
                    f"the plug-in {point.value!r} ({self._group}) of an installed package cannot be imported: "
                    f"{type(error).__name__}: {error}. Mend or uninstall it."
                ) from error


def _where(target: Any) -> str:
    try:
        return inspect.getsourcefile(target) or str(target.__module__)
    except TypeError:
        return str(getattr(target, "__module__", "?"))
