"""Where a task of lm-eval is defined: its own YAML files, and those of the folders that the user includes.

lm-eval's index parses some fourteen thousand files, which takes seconds. A name is looked for in their text instead.
"""

from __future__ import annotations

import difflib
import functools
import importlib.util
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.errors import UserError

PREFIX = "lm_eval:"
"""What the names of lm-eval's tasks begin with here."""

_NAME = re.compile(rb"""^["']?task["']?:[ \t]*["']?([^\s"'#\[]+)""", re.MULTILINE)


def is_lm_eval(name: str) -> bool:
    """Whether the name is that of a task of lm-eval."""
    return name.startswith(PREFIX)


@functools.cache
def task_paths(include: tuple[Path, ...]) -> Mapping[str, Path]:
    """lm-eval's name of each task to its YAML file; those in `include` come before lm-eval's own."""
    found: dict[str, Path] = {}
    for path in _files(include):
        name = _NAME.search(path.read_bytes())
        if name is not None:
            found[name[1].decode()] = path
    return found


def find(name: str, include: Sequence[Path]) -> Path:
    """The YAML file of the task `name` (with its prefix); raises UserError with the closest names where there is none.

    So it does for a group or a tag, with the tasks in it.
    """
    short = name.removeprefix(PREFIX)
    known = task_paths(tuple(include))
    if short in known:
        return known[short]
    close = difflib.get_close_matches(short, known, n=3)
    hint = f" Did you mean {', '.join(map(repr, close))}?" if close else " `lm-eval ls tasks` lists them."
    members = _members(short, include)
    if members:
        hint = f" It is a group of lm-eval's; name its tasks: {','.join(PREFIX + member for member in members)}"
    raise UserError(f"lm-eval has no task {short!r}.{hint}")


def read_config(path: Path, functions: bool = False) -> dict[str, Any]:
    """The task's configuration with what it includes; `functions`: its code is imported, else named by its path.

    Raises UserError for a file that lm-eval cannot read.
    """
    from lm_eval.tasks._yaml_loader import load_yaml

    try:
        config: dict[str, Any] = load_yaml(path, resolve_func=functions)
    except ImportError as error:
        raise UserError(f"{path} needs a Python package that is not installed: {error}") from error
    except OSError as error:  # most of all a metric of the hub, which lm-eval loads beside its code
        raise UserError(
            f"{path} needs a file that is neither here nor to be had: {error} A metric is loaded once where there is a "
            "network, and then is in the cache of Hugging Face: python -c \"import evaluate; evaluate.load('NAME')\"."
        ) from error
    except Exception as error:  # the code and files of others: anything may be wrong with them
        raise UserError(f"{path} cannot be read as a task of lm-eval: {type(error).__name__}: {error}") from error
    return config


def own_folder() -> Path:
    """Where lm-eval keeps its tasks."""
    spec = importlib.util.find_spec("lm_eval")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "tasks"


def _files(include: Sequence[Path]) -> Iterator[Path]:
    for folder in (own_folder(), *include):
        yield from sorted(folder.rglob("*.yaml"))


def _members(name: str, include: Sequence[Path]) -> list[str]:
    """The tasks of a group or tag; empty where it is none."""
    from lm_eval.tasks import TaskManager

    written = re.compile(rb"""^(group:|tag:|\s*-)\s*["']?%s["']?\s*$""" % re.escape(name.encode()), re.MULTILINE)
    if not any(written.search(path.read_bytes()) for path in _files(include)):
        return []
    index = TaskManager(include_path=list(include)).task_index
    if name not in index:
        return []
    entry = index[name]
    if entry.tags and entry.yaml_path is None:
        return sorted(entry.tags)
    children = (entry.cfg or {}).get("task", [])
    names = [child if isinstance(child, str) else child.get("task") for child in children]
    return [child for child in names if isinstance(child, str)]
