"""The table of a run that analysis reads; computed from the cells, so that it can always be made again."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from harness.errors import noted
from harness.spec import CellSpec, Scalar
from harness.store.cell import CellStore
from harness.store.records import Cost, SampleKey
from harness.store.run import RunStore
from harness.store.scores import ScoreSummary

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = [
    *("cell", "model", "model_args", "revision", "dtype", "task", "task_args", "data", "protocol"),
    *("sampler", "params", "budget", "seed", "temperature", "guidance", "semantics"),
    *("scorer", "documents", "samples", "stale", "timed", "folder"),
]
"""The columns that every table has, in this order; then `cost.*` and `metric.*`."""


def table(run: RunStore, problems: list[str] | None = None) -> pd.DataFrame:
    """One row for each cell, or for each protocol where a cell was scored under several.

    Raises UserError for a folder that is no cell, or a damaged one; where there is a list for `problems`, it is noted
    there, and the others are read.

    scorer               the id of what scored it, None without scores
    documents, samples   how many are committed
    stale                whether the cell has grown since it was scored, or has no scores
    timed                device and batch size of the timing run, None without one
    folder               path of the cell
    cost.<name>          mean over the samples; missing where it is unknown for one of them. `seconds` and `joules` are
                         those of the timing run
    metric.<key>, metric.<key>.stderr, metric.<key>.floor   from the newest scores under that protocol
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for folder in run.folders():
        with noted(problems):
            rows += _rows(CellStore.open(folder))
    numbers = sorted({name for row in rows for name in row} - set(COLUMNS))
    frame = pd.DataFrame(rows, columns=[*COLUMNS, *numbers])
    typed: pd.DataFrame = frame.astype({"budget": "Int64", **dict.fromkeys(numbers, "float64")})
    return typed


def _rows(cell: CellStore) -> list[dict[str, Any]]:
    keys = cell.done()
    shared = {
        **_identity(cell.spec),
        "documents": len({key.document for key in keys}),
        "samples": len(keys),
        **_mean_costs(keys, cell.costs()),
        **_timing(cell.read_timing() or {}),
        "folder": str(cell.folder),
    }
    newest: dict[str | None, ScoreSummary] = {}
    for summary in cell.summaries():
        newest.setdefault(summary.protocol, summary)
    if not newest:
        return [{**shared, "protocol": None, "scorer": None, "stale": True}]
    return [
        {
            **shared,
            "protocol": protocol,
            "scorer": summary.scorer,
            "stale": not summary.covers(keys),
            **_metrics(summary),
        }
        for protocol, summary in newest.items()
    ]


def _identity(spec: CellSpec) -> dict[str, Any]:
    return {
        "cell": spec.id,
        "model": spec.model.name,
        "model_args": _spell_args(spec.model.args),
        "revision": spec.model.revision,
        "dtype": spec.model.dtype,
        "task": spec.task.name,
        "task_args": _spell_args(spec.task.args),
        "data": spec.data,
        "sampler": spec.sampler.name,
        "params": spec.sampler.args,
        "budget": spec.budget,
        "seed": spec.seed,
        "temperature": spec.decoding.temperature,
        "guidance": spec.decoding.guidance,
        "semantics": _spell_args(spec.semantics),
    }


def _spell_args(args: Mapping[str, Scalar]) -> str:
    return ",".join(f"{name}={args[name]}" for name in sorted(args))


def _mean_costs(keys: Collection[SampleKey], costs: Mapping[SampleKey, Cost]) -> dict[str, float | None]:
    means: dict[str, float | None] = {}
    for name in {name for cost in costs.values() for name in cost}:
        known = [value for cost in costs.values() if (value := cost.get(name)) is not None]
        means[f"cost.{name}"] = math.fsum(known) / len(known) if len(known) == len(keys) else None
    return means


def _timing(timing: Mapping[str, Any]) -> dict[str, Any]:
    samples, joules = timing.get("samples"), timing.get("joules")
    return {
        "timed": f"{timing.get('device')}, batches of {timing.get('batch_size')}" if timing else None,
        "cost.seconds": timing.get("seconds_per_sample"),
        "cost.joules": joules / samples if joules and samples else None,
    }


def _metrics(summary: ScoreSummary) -> dict[str, float | None]:
    columns: dict[str, float | None] = {}
    for key, metric in summary.metrics.items():
        columns[f"metric.{key}"] = metric.value
        columns[f"metric.{key}.stderr"] = metric.stderr
        columns[f"metric.{key}.floor"] = metric.floor
    return columns
