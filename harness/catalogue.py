"""Where tasks and suites are: the bundled folders, and whatever `--include-path` adds."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

import yaml

from harness.errors import UserError, did_you_mean
from harness.lm_tasks.find import is_lm_eval

if TYPE_CHECKING:
    from harness.spec import ModelSpec, Scalar, Spec, SuiteFile, TaskFile, TaskSpec
    from harness.task import Task

    SpecType = TypeVar("SpecType", bound=Spec)

_PACKAGE = Path(__file__).parent

# The safe loader (in C, where PyYAML was built with it, which is several times as fast), to which 1e-3 is a number.
_LOADER = type("_Loader", (getattr(yaml, "CSafeLoader", yaml.SafeLoader),), {})
_EXPONENT = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$")
_LOADER.add_implicit_resolver("tag:yaml.org,2002:float", _EXPONENT, list("-+.0123456789"))  # type: ignore[attr-defined]


def bundled(folder: str) -> Path:
    """`tasks` or `suites` as installed: beside the package in a source tree, inside it in a wheel."""
    inside = _PACKAGE / "_bundled" / folder
    return inside if inside.is_dir() else _PACKAGE.parent / folder


class Catalogue:
    """All tasks and suites by name.

    An included folder may hold `*/task.yaml` or `task.yaml`, suites (`*.yaml`), and Python files whose decorators
    register samplers and models; these are imported here.
    """

    def __init__(self, include: Sequence[Path] = (), allow_code_execution: bool = False) -> None:
        for path in include:
            if not path.is_dir():
                raise UserError(f"--include-path {path}: no such folder")
            for file in sorted(path.glob("*.py")):
                if file.name != "task.py":
                    _import_file(file)
        self._include = tuple(include)
        self._allow_code_execution = allow_code_execution
        self._tasks = _named("task", _task_paths(bundled("tasks"), include))
        self._suites = _named("suite", _suite_paths(bundled("suites"), include))

    def tasks(self) -> Mapping[str, Path]:
        """Task name to its `task.yaml`."""
        return self._tasks

    def suites(self) -> Mapping[str, Path]:
        """Suite name to its YAML file."""
        return self._suites

    def task_file(self, name: str) -> TaskFile:
        """The validated `task.yaml` of a task; that of `lm_eval:…` is made from lm-eval's own files."""
        from harness.spec import TaskFile

        if is_lm_eval(name):
            from harness.lm_tasks.declare import declare

            return declare(name, self._include)
        if name not in self._tasks:
            raise UserError(f"unknown task {name!r}.{did_you_mean(name, self._tasks)}")
        return read_spec(self._tasks[name], TaskFile)

    def suite(self, name_or_path: str) -> SuiteFile:
        """A suite by name, or by the path of its YAML file."""
        from harness.spec import SuiteFile

        path = Path(name_or_path)
        if path.suffix in (".yaml", ".yml"):
            return read_spec(path, SuiteFile)
        if name_or_path not in self._suites:
            raise UserError(
                f"unknown suite {name_or_path!r}.{did_you_mean(name_or_path, self._suites)} "
                "A suite of your own is given by the path of its .yaml file."
            )
        return read_spec(self._suites[name_or_path], SuiteFile)

    def task(self, spec: TaskSpec, data_dir: str | None, model: ModelSpec | None) -> Task:
        """The task with its settings checked and defaults filled; nothing is read or downloaded yet."""
        file = self.task_file(spec.name)
        settings = {**file.settings, **_settings(file, spec.args)}
        protocol = spec.protocol or file.protocols[0]
        if protocol not in file.protocols:
            raise UserError(f"task {spec.name!r}: protocol is {protocol!r}.{did_you_mean(protocol, file.protocols)}")
        task = self._class(spec.name, file.code)(file, settings, protocol, data_dir, model)
        task.allow_code_execution = self._allow_code_execution
        return task

    def _class(self, name: str, code: str) -> type[Task]:
        if is_lm_eval(name):
            from harness.lm_tasks.task import LmEvalTask

            return LmEvalTask
        filename, _, attribute = code.partition(":")
        path = self._tasks[name]
        module = _import_file(path.parent / filename)
        if not hasattr(module, attribute):
            raise UserError(f"{path}: code is {code!r}: {filename} has no class {attribute!r}")
        cls: type[Task] = getattr(module, attribute)
        return cls


def read_yaml(path: Path) -> Any:
    """The content of a YAML file, by the safe loader."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text: {error}") from None
    try:
        return yaml.load(text, Loader=_LOADER)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date that is none
        raise UserError(f"{path} is not valid YAML: {error}") from None


def read_spec(path: Path, kind: type[SpecType]) -> SpecType:
    """A YAML file as a specification; every mistake is named with file, key and value."""
    content = read_yaml(path)
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected keys and values, found {type(content).__name__}")
    return validated(content, kind, str(path))


def validated(content: Mapping[str, Any], kind: type[SpecType], where: str) -> SpecType:
    """`content` as a specification, no value turned into another type; `where` stands first in the error message."""
    from pydantic import ValidationError

    try:
        return kind.model_validate(content, strict=True)
    except ValidationError as error:
        raise UserError("\n".join(_explain(where, problem, kind) for problem in error.errors())) from None


def _explain(where: str, problem: Mapping[str, Any], kind: type[Spec]) -> str:
    key = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        known = _keys_at(kind, problem["loc"][:-1])
        return f"{where}: unknown key {key!r}.{did_you_mean(str(problem['loc'][-1]), known)}"
    if problem["type"] == "missing":
        return f"{where}: key {key!r} is missing"
    return f"{where}: {key} is {problem['input']!r}: {problem['msg'].lower()}"


def _keys_at(kind: type[Spec], location: Iterable[Any]) -> list[str]:
    """The keys that a specification knows at a nested location; those of all alternatives where it has several."""
    kinds: list[Any] = [kind]
    for part in location:
        hints = [each.model_fields[part].annotation for each in kinds if part in each.model_fields]
        if hints:  # else it is a place in a list, a key of a mapping, or the name of an alternative
            kinds = [each for hint in hints for each in _specs_in(hint)]
    return [key for each in kinds for key in each.model_fields]


def _specs_in(hint: Any) -> list[Any]:
    """The specifications in a type such as `list[Sweep]` or `dict[str, Form]`."""
    import typing

    if hasattr(hint, "model_fields"):
        return [hint]
    return [each for part in typing.get_args(hint) for each in _specs_in(part)]


def _settings(file: TaskFile, args: Mapping[str, Scalar]) -> dict[str, Scalar]:
    for name, value in args.items():
        where = f"task {file.name!r}"
        if name not in file.settings:
            raise UserError(f"{where} has no setting {name!r}.{did_you_mean(name, file.settings)}")
        default = file.settings[name]
        wanted = (int, float) if isinstance(default, float) else type(default)
        wrong = not isinstance(value, wanted) or isinstance(value, bool) != isinstance(default, bool)
        if default is not None and wrong:
            raise UserError(f"{where}: {name} is {value!r}; it must be of the kind of its default, {default!r}")
    return dict(args)


def _task_paths(root: Path, include: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    for folder in (root, *include):
        for path in sorted([*folder.glob("task.yaml"), *folder.glob("*/task.yaml")]):
            content = read_yaml(path)
            yield str(content.get("name", path.parent.name)) if isinstance(content, dict) else path.parent.name, path


def _suite_paths(root: Path, include: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    for folder in (root, *include):
        for path in sorted(folder.glob("*.yaml")):
            if path.name != "task.yaml":
                yield path.stem, path


def _named(kind: str, found: Iterator[tuple[str, Path]]) -> dict[str, Path]:
    names: dict[str, Path] = {}
    for name, path in found:
        if name in names:
            raise UserError(f"{kind} {name!r} is defined twice: in {names[name]} and in {path}. Rename one of them.")
        names[name] = path
    return names


def _import_file(path: Path) -> ModuleType:
    """Import a Python file once, under a name made from its path."""
    path = path.resolve()
    name = f"_mdm_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise UserError(f"{path}: no such Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
