"""The table of runs in the words of analysis: with each sampler's knob, and model arguments only where they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from harness.analysis.curves import name_cells
from harness.analysis.merge import merged_table
from harness.catalogue import Catalogue
from harness.errors import UserError
from harness.samplers import samplers
from harness.spec import TaskFile
from harness.store import CellStore, RunStore

if TYPE_CHECKING:
    import pandas as pd


class Frame(NamedTuple):
    """What can be read of some runs.

    table     `cell_frame`, the cells of known tasks
    tasks     the declarations of these tasks
    problems  what could not be read, and which cells are not scored as they stand
    """

    table: pd.DataFrame
    tasks: Mapping[str, TaskFile]
    problems: Sequence[str]


def read_frame(runs: Sequence[RunStore], catalogue: Catalogue) -> Frame:
    """Read what is there: a cell that is damaged, or of a task that is not known here, is left out and named.

    Raises UserError where runs cannot be merged, or nothing is left.
    """
    problems: list[str] = []
    table = cell_frame(*runs, problems=problems)
    tasks: dict[str, TaskFile] = {}
    for name, cells in table.groupby("task", sort=True):
        try:
            tasks[str(name)] = catalogue.task_file(str(name))
        except UserError as error:
            problems.append(f"{cells['cell'].nunique()} cells of task {name!r} are left out: {error}")
    table = table[table["task"].isin(tasks.keys())].reset_index(drop=True)
    if table.empty:
        raise UserError(
            "\n".join([*problems, f"{runs[0].root}: nothing to report, no cell has a finished sample yet."])
        )
    return Frame(table, tasks, [*problems, *_unscored(table)])


def cell_frame(*runs: RunStore, problems: list[str] | None = None) -> pd.DataFrame:
    """The cells of one or several runs (`merge.merged_table`), `model_args` cut down to the arguments that tell models
    of one name apart, and a column `knob`: what the registry says trades quality for compute, None for a sampler that
    is not installed. Raises UserError where runs cannot be merged, or for a damaged cell without a list for `problems`.
    """
    frame = merged_table(runs, problems)
    frame["knob"] = [samplers[name].info.knob if name in samplers else None for name in frame["sampler"]]
    models = {folder: CellStore.open(Path(folder)).spec.model for folder in frame["folder"].unique()}
    seen: dict[tuple[str, str], set[object]] = {}
    keys: dict[str, set[str]] = {}
    for model in models.values():
        keys.setdefault(model.name, set()).update(model.args)
    for model in models.values():
        for key in keys[model.name]:  # one that a model lacks tells it apart as well
            seen.setdefault((model.name, key), set()).add(model.args.get(key))
    frame["model_args"] = [
        ",".join(f"{key}={value}" for key, value in sorted(model.args.items()) if len(seen[model.name, key]) > 1)
        for model in map(models.__getitem__, frame["folder"])
    ]
    return frame


def _unscored(table: pd.DataFrame) -> list[str]:
    """What a user who sees fewer scores than cells should do."""
    cells = name_cells(table)
    problems = []
    if len(few := cells[~cells["finished"] & cells["scorer"].notna()]):
        problems.append(
            f"{_counted(few, table)} have less than half of the documents of the fullest one, such as "
            f"{few['folder'].iloc[0]}: they are listed, and not compared."
        )
    if len(waiting := table[table["stale"] & ((table["samples"] > 0) | table["scorer"].notna())]):
        first = Path(waiting["folder"].iloc[0])
        problems.append(
            f"{_counted(waiting, table)} are not scored, or have grown since, such as {first}. "
            f"`score {first.parents[1]}` scores them."
        )
    return problems


def _counted(some: pd.DataFrame, table: pd.DataFrame) -> str:
    return f"{some['cell'].nunique()} of {table['cell'].nunique()} cells"
