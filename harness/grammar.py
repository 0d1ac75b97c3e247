"""How components are written: `eb:gamma=0.01|0.1|1,confidence` on the command line, mappings and lists in YAML."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from harness.errors import UserError
from harness.spec import Component, Scalar

_SCALARS = (bool, int, float, str, type(None))


@dataclass(frozen=True)
class Grid:
    """A component name with the values that each of its parameters takes."""

    name: str
    values: Mapping[str, Sequence[Scalar]] = field(default_factory=dict)

    def components(self) -> list[Component]:
        """One component for each combination of values."""
        names = list(self.values)
        return [
            Component(name=self.name, args=dict(zip(names, combination, strict=True)))
            for combination in itertools.product(*self.values.values())
        ]


def parse_grids(text: str, where: str) -> list[Grid]:
    """Comma-separated `name[:parameter=value[|value…]]…`; `where` names the flag for error messages."""
    items = [item.strip() for item in text.split(",")]
    if not all(items):
        raise UserError(f"{where}: empty item in {text!r}; write name[:parameter=value|value],name…")
    return [_parse_grid(item, where) for item in items]


def read_grids(value: Any, where: str) -> list[Grid]:
    """The same from YAML: a string, `{name: …, parameter: value or [values]}`, or a list of these."""
    if isinstance(value, str):
        return parse_grids(value, where)
    if isinstance(value, Mapping):
        return [_mapping_grid(value, where)]
    if isinstance(value, Sequence):
        return [grid for item in value for grid in read_grids(item, where)]
    raise UserError(f"{where}: {value!r} is neither a name, nor a mapping with `name`, nor a list of these")


def _parse_grid(item: str, where: str) -> Grid:
    name, *parts = item.split(":")
    if name == "lm_eval" and parts and "=" not in parts[0]:  # `lm_eval:gsm8k` is one name
        name = f"{name}:{parts.pop(0)}"
    values: dict[str, Sequence[Scalar]] = {}
    for part in parts:
        parameter, equals, options = part.partition("=")
        if not equals or not parameter or not options:
            raise UserError(f"{where}: {part!r} in {item!r} is not parameter=value or parameter=value|value")
        values[parameter.strip().replace("-", "_")] = [scalar(option, where) for option in options.split("|")]
    return Grid(name.strip(), values)


def _mapping_grid(value: Mapping[Any, Any], where: str) -> Grid:
    content = dict(value)
    name = content.pop("name", None)
    if not isinstance(name, str):
        raise UserError(f"{where}: {dict(value)!r} has no `name`")
    values: dict[str, Sequence[Scalar]] = {}
    for parameter, options in content.items():
        options = options if isinstance(options, list) else [options]
        for option in options:
            if not isinstance(option, _SCALARS):
                raise UserError(f"{where}: {name}: {parameter}: {option!r} is not a number, a word, or a list of these")
        values[str(parameter)] = options
    return Grid(name, values)


def scalar(text: str, where: str) -> Scalar:
    """A scalar as YAML reads it; `1e-3` is a number as well."""
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise UserError(f"{where}: {text!r} is not a number or a word") from None
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    if not isinstance(value, _SCALARS):
        raise UserError(f"{where}: {text!r} is not a number or a word")
    return value
