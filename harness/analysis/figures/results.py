"""What a figure draws, out of the store: the cells of its suite, with their steps and traces."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from harness.analysis.curves import Panel, knob_value, name_cells, panels
from harness.analysis.figures.spec import Form
from harness.analysis.frame import cell_frame
from harness.analysis.traces import Trace, mean_steps, traces_of
from harness.errors import UserError
from harness.grammar import parse_grids
from harness.samplers import samplers
from harness.spec import Scalar, TaskFile
from harness.store import CellStore, RunStore


@dataclass(frozen=True)
class Results:
    """The cells of one figure.

    table    as `frame.cell_frame`, with `cost.steps`
    tasks    the declarations of their tasks, in the order of the suite
    metrics  task to the keys of the metrics that are drawn, where that is not the primary one
    models   model to what it is called, for models whose curves share a panel
    """

    table: pd.DataFrame
    tasks: Mapping[str, TaskFile]
    metrics: Mapping[str, str | list[str]]
    models: Mapping[str, str]

    def panels(self, axis: str = "nfe") -> list[Panel]:
        """One panel for each task, metric and model, or group of models, tasks in the order of the suite."""
        found = panels(self.table, self.tasks, axis, self.metrics, self.models)
        return sorted(found, key=lambda panel: self.place(panel.task))

    def place(self, task: str) -> int:
        """The place of a task in the suite; its protocols and forms have the same."""
        return list(self.tasks).index(task.partition("@")[0])

    def along(self, argument: str, values: Collection[int]) -> Iterator[tuple[int, Results]]:
        """The results for each value of an argument of model or task, by whose names they then no longer differ."""
        given = [_argument(row["folder"], argument) for row in self.table.to_dict("records")]
        for value in values:
            chosen = self.table[[each == value for each in given]]
            if not chosen.empty:
                kept = [
                    ",".join(part for part in str(args).split(",") if part.partition("=")[0] != argument)
                    for args in chosen["model_args"]
                ]
                yield value, replace(self, table=chosen.assign(model_args=kept, task_args=""))

    def compared(self, groups: Mapping[str, str], as_models: bool = False) -> Results:
        """The results of models in `groups`, with groups in the place of samplers, and samplers in that of models; or
        with groups in the place of models.

        The models of a group, which differ by the seed of their training, count as seeds. Raises UserError where a
        group has no cell.
        """
        found = set()
        members = [
            (label, number, member)
            for label, models in groups.items()
            for grid in parse_grids(models, "groups")
            for number, member in enumerate(grid.components())
        ]
        rows = []
        for row in self.table.to_dict("records"):
            model = CellStore.open(Path(row["folder"])).spec.model
            for label, number, member in members:
                if member.name == model.name and member.args.items() <= model.args.items():
                    found.add(label)
                    named: dict[str, Any] = (
                        {"model": label} if as_models else {"model": row["sampler"], "sampler": label}
                    )
                    named |= {"model_args": "", "revision": None, "seed": (row["seed"], number)}
                    rows.append(dict(row) | named)
        absent = set(groups) - found
        if absent or not groups:
            raise UserError(f"groups: no cell of the suite is of {', '.join(sorted(absent)) or 'none at all'}")
        return replace(self, table=pd.DataFrame(rows, columns=self.table.columns))

    def traces(self, settings: Sequence[str] = ()) -> dict[tuple[str, str], dict[tuple[str, str, str], list[Trace]]]:
        """Task and model -> sampler, label and setting -> the traces of all its samples, over all seeds."""
        found: dict[tuple[str, str], dict[tuple[str, str, str], list[Trace]]] = {}
        cells = name_cells(self.table)
        cells["knob_value"] = [knob_value(setting) for setting in cells["setting"]]
        cells = cells.sort_values(["task", "model", "label", "knob_value", "seed"], kind="stable")
        for row in cells.to_dict("records"):
            if not settings or row["setting"] in settings:
                of_panel = found.setdefault((row["task"], row["model"]), {})
                key = (row["sampler"], row["label"], row["setting"])
                of_panel.setdefault(key, []).extend(traces_of(CellStore.open(Path(row["folder"]))))
        return found


def read(run: RunStore, cells: Collection[str], tasks: Mapping[str, TaskFile], form: Form) -> Results:
    """The cells of a run that belong to a figure; raises UserError where a sample of theirs has no trace, which only
    generators do not leave."""
    table = cell_frame(run)
    table = table[table["cell"].isin(cells)].reset_index(drop=True)
    table["cost.steps"] = [_steps(CellStore.open(Path(folder))) for folder in table["folder"]]
    return Results(table, tasks, form.metrics, form.models)


def _steps(cell: CellStore) -> float:
    if samplers[cell.spec.sampler.name].info.generator:
        return math.nan if cell.spec.budget is None else cell.spec.budget
    return mean_steps(traces_of(cell))


def _argument(folder: str, name: str) -> Scalar:
    spec = CellStore.open(Path(folder)).spec
    return spec.model.args.get(name, spec.task.args.get(name))
