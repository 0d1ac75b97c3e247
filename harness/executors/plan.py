"""From a suite to cells: everything is resolved and checked here, before any compute."""

from __future__ import annotations

import fnmatch
import importlib.util
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.catalogue import Catalogue, validated
from harness.components import compiled, identify, make_sampler, resolve_model, resolve_sampler
from harness.engine.generator import Job
from harness.errors import UserError
from harness.grammar import Grid, read_grids
from harness.models import models
from harness.samplers import samplers
from harness.spec import CellSpec, Component, Decoding, ModelSpec, SamplerSpec, SuiteFile, Sweep, TaskSpec
from harness.task import Document, Request, Task

ENGINE_SEMANTICS = 1
"""Raised by hand whenever the engine begins to make other tokens of the same cell."""


GROUP_SIZE = 256
"""Every cell of a group is locked while the group runs, and a process may open some 1,000 files."""


@dataclass(frozen=True)
class PlannedCell:
    """A cell with what it is to hold: these documents, so many samples of each."""

    spec: CellSpec
    task: Task
    documents: Sequence[Document]
    samples: int

    def jobs(self, requests: dict[str, Request] | None = None) -> Iterator[Job]:
        """One job for each document and sample. `requests` are those already made of the same task, by document; those
        that it lacks are added, so that cells of one task share them."""
        requests = {} if requests is None else requests
        sampler = make_sampler(self.spec.sampler)
        info = samplers[self.spec.sampler.name].info
        for document in self.documents:
            if document.id not in requests:
                requests[document.id] = self.task.request(document)
            request = requests[document.id]
            for sample in range(self.samples):
                yield Job(
                    self.spec.id, request, sample, sampler, info, self.spec.decoding, self.spec.budget, self.spec.seed
                )


@dataclass(frozen=True)
class Plan:
    """All cells of a suite, each once, those of one model and task together."""

    suite: SuiteFile
    cells: Sequence[PlannedCell]
    tasks: Sequence[TaskSpec]

    def groups(self) -> list[list[PlannedCell]]:
        """The cells that share a model and a task, at most `GROUP_SIZE` together."""
        groups: dict[str, list[PlannedCell]] = {}
        for cell in self.cells:
            key = cell.spec.model.model_dump_json() + cell.spec.task.model_dump_json()
            groups.setdefault(key, []).append(cell)
        return [
            cells[start : start + GROUP_SIZE] for cells in groups.values() for start in range(0, len(cells), GROUP_SIZE)
        ]


def make_plan(suite: SuiteFile, catalogue: Catalogue, data_dir: str | None, where: str) -> Plan:
    """Resolve a suite; raises UserError for unknown names, wrong parameters, missing data or scorer dependencies."""
    cells: dict[str, PlannedCell] = {}
    tasks: dict[str, TaskSpec] = {}
    known: dict[str, tuple[Task, Sequence[Document], str]] = {}
    for number, sweep in enumerate(suite.sweeps):
        label = f"{where}: sweeps.{number}" if len(suite.sweeps) > 1 else where
        for model in _models(sweep, suite.compile, label):
            for task_spec in task_specs(sweep.tasks, f"{label}: tasks"):
                task, documents, data = _open_task(catalogue, task_spec, model, data_dir, known)
                tasks[task_spec.model_dump_json()] = task_spec
                for spec in _cells(sweep, model, task_spec, task, data, label):
                    cell = PlannedCell(spec, task, documents[: sweep.limit], sweep.samples)
                    cells[spec.id] = _larger(cells.get(spec.id), cell)
    _check_requests(cells.values())
    for cell in cells.values():
        _check_kind(cell)
    return Plan(suite, list(cells.values()), list(tasks.values()))


def _check_requests(cells: Iterable[PlannedCell]) -> None:
    """What the documents of cells show a model, once for the same data: of several models, and of a task's forms."""
    largest: dict[tuple[str, str], PlannedCell] = {}
    for cell in cells:
        key = cell.spec.task.name, cell.spec.data
        largest[key] = max(largest.get(key, cell), cell, key=lambda one: len(one.documents))
    for cell in largest.values():
        cell.task.check_requests(cell.documents)


def _check_kind(cell: PlannedCell) -> None:
    """Raise UserError where texts are to be scored by a sampler that writes, or written by one that scores."""
    name, task = cell.spec.sampler.name, cell.spec.task.name
    estimates = samplers[name].info.estimates
    for document in cell.documents[:1]:
        scored = cell.task.request(document).rows[0].continuation is not None
        if estimates and not scored:
            raise UserError(f"task {task!r} wants something made, and sampler {name!r} scores texts that are given")
        if scored and not estimates:
            raise UserError(f"task {task!r} asks how likely given texts are; its sampler is 'likelihood', not {name!r}")


def _models(sweep: Sweep, compile_them: bool, where: str) -> list[ModelSpec]:
    where = f"{where}: models"
    found = [identify(resolve_model(each.name, each.args, where)) for each in _expand(sweep.models, where)]
    return [compiled(spec, where) for spec in found] if compile_them else found


def task_specs(value: object, where: str) -> list[TaskSpec]:
    """Tasks as a suite or a flag names them; `protocol` is the one parameter that is no setting of the task."""
    specs = []
    for component in _expand(value, where):
        args = dict(component.args)
        protocol = args.pop("protocol", None)
        specs.append(TaskSpec(name=component.name, args=args, protocol=None if protocol is None else str(protocol)))
    return specs


def _expand(value: object, where: str) -> list[Component]:
    return [component for grid in read_grids(value, where) for component in grid.components()]


def _open_task(
    catalogue: Catalogue,
    spec: TaskSpec,
    model: ModelSpec,
    data_dir: str | None,
    known: dict[str, tuple[Task, Sequence[Document], str]],
) -> tuple[Task, Sequence[Document], str]:
    """The task with its documents and their hash; checked once for each model."""
    key = spec.model_dump_json() + model.model_dump_json()
    if key not in known:
        task = catalogue.task(spec, data_dir, model)
        patterns = task.file.models
        if patterns and not any(fnmatch.fnmatch(model.name, pattern) for pattern in patterns):
            raise UserError(f"task {spec.name!r} is for models {', '.join(patterns)}, not for {model.name!r}")
        _check_requirements(task)
        task.check()
        task.check_observers()
        known[key] = task, task.documents(), task.data_hash()
    return known[key]


def _check_requirements(task: Task) -> None:
    missing = [name for name in task.file.requires if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(f"task {task.file.name!r} needs Python packages that are not installed: {', '.join(missing)}")


def _cells(
    sweep: Sweep, model: ModelSpec, task_spec: TaskSpec, task: Task, data: str, where: str
) -> Iterator[CellSpec]:
    for grid in read_grids(sweep.samplers, f"{where}: samplers"):
        info = samplers[grid.name].info
        if not (info.generator or models[model.name].info.canvas):
            raise UserError(
                f"{where}: model {model.name!r} is no token canvas: sampler {grid.name!r} cannot run it, but a "
                "generator can (`ls samplers` marks them)."
            )
        if models[model.name].info.approximate and not info.cacheable:
            able = ", ".join(sorted(entry.name for entry in samplers if entry.info.cacheable))
            raise UserError(
                f"{where}: model {model.name!r} remembers what it computed: sampler {grid.name!r} cannot run on "
                f"it, as its steps ask about other canvases or read outside their block. Those that can are {able}."
            )
        for sampler, budget in _settings(grid, sweep.budgets, where):
            for decoding, seed in itertools.product(_decodings(sweep, task, where), sweep.seeds):
                yield CellSpec(
                    model=model,
                    task=task.identity(),
                    data=data,
                    sampler=sampler,
                    decoding=decoding,
                    budget=budget,
                    seed=_checked_seed(seed, where),
                    semantics={
                        "engine": ENGINE_SEMANTICS,
                        "model": models[model.name].info.semantics,
                        "task": task.file.semantics,
                        "sampler": info.semantics,
                    },
                )


def _settings(grid: Grid, budgets: Sequence[int], where: str) -> Iterator[tuple[SamplerSpec, int | None]]:
    """Sampler and budget of each setting: the suite's budgets for knob `steps`, else the knob's own values."""
    info = samplers[grid.name].info
    if info.knob not in (None, "steps") and info.knob not in grid.values:
        grid = replace(grid, values={**grid.values, info.knob: info.sweep})
    if info.knob == "steps" and not budgets:
        raise UserError(f"{where}: sampler {grid.name!r} takes a number of steps: give budgets, such as 4,8,16")
    if wrong := [budget for budget in budgets if budget < 1]:
        raise UserError(f"{where}: budgets: {wrong[0]} is not a number of steps; it must be at least 1")
    steps: Sequence[int | None] = budgets if info.knob == "steps" else [None]
    for component in grid.components():
        sampler = resolve_sampler(component.name, component.args, f"{where}: samplers")
        yield from ((sampler, budget) for budget in steps)


def _decodings(sweep: Sweep, task: Task, where: str) -> list[Decoding]:
    def several(value: float | list[float] | None, default: float) -> list[float]:
        return [default] if value is None else value if isinstance(value, list) else [value]

    default = task.file.decoding
    temperatures = several(sweep.temperature, default.temperature)
    scales = several(sweep.guidance, default.guidance)
    if infinite := [value for value in (*temperatures, *scales) if not math.isfinite(value)]:
        raise UserError(f"{where}: temperature or guidance is {infinite[0]}; it must be a finite number")
    return [
        validated({"temperature": temperature, "guidance": scale}, Decoding, where)
        for temperature, scale in itertools.product(temperatures, scales)
    ]


def _checked_seed(seed: int, where: str) -> int:
    if not 0 <= seed < 2**32:
        raise UserError(f"{where}: seeds: {seed} is not a seed; it must be at least 0 and below 2**32")
    return seed


def _larger(one: PlannedCell | None, other: PlannedCell) -> PlannedCell:
    """A cell that is declared twice holds the documents and samples of both."""
    if one is None:
        return other
    documents = max(one.documents, other.documents, key=len)
    return replace(other, documents=documents, samples=max(one.samples, other.samples))


def default_output(suite: SuiteFile) -> Path:
    """`results/<suite name>` in the working directory."""
    return Path("results") / suite.name
