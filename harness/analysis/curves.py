"""From a table of cells to the points of quality-versus-compute curves.

The table has one row per cell (model x task x sampler x budget x seed), as the store makes it:

    cell, model, model_args, task, protocol, sampler, params, knob, budget, seed, temperature, guidance,
    documents                                               how many
    cost.depth, cost.nfe, cost.nfe_nominal, cost.token_forwards, cost.flops, cost.output_tokens
                                                            means per sample
    cost.seconds, cost.joules                               the same, where the cell was timed
    metric.<key>, metric.<key>.stderr, metric.<key>.floor   one triple per metric
    task_args, revision, dtype, data, semantics             optional: the rest of a cell's identity

Costs and metrics that are unknown are NaN, or their column is absent. A setting is what remains of a cell
without its seed; a point is the mean of one setting over its seeds; a curve is the points of one sampler,
ordered by cost. Nothing assumes that a curve is monotone.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from harness.errors import UserError, did_you_mean
from harness.spec import MetricSpec, TaskFile

TIMED = ("seconds", "joules")
"""Costs that only a timing run tells, of whole cells."""

COSTS = ("nfe", "nfe_nominal", "depth", "token_forwards", "flops", "output_tokens", *TIMED)
"""The cost columns (`cost.<name>`) of the store, each of which can be the axis of a curve."""

AXES = (*COSTS, "steps")
"""What a curve can be drawn against; `cost.steps`, the number of steps, is known from traces only."""

VERSIONS = ("task_args", "revision", "dtype", "data", "semantics")
"""Columns that may set apart cells which would otherwise look the same."""

FINISHED = 0.5
"""The share of the documents of its panel's fullest cell that a cell must have to be compared: one with fewer was cut
short, and would cost the others theirs."""

SETTING = ["task", "model", "sampler", "label", "setting"]
"""The columns that name a setting, in the order of sorting."""


@dataclass(frozen=True)
class Panel:
    """The curves of one model on one task: what one set of axes, or one small table, shows.

    task    name, with `@protocol` where the protocol is not `default`
    model   name, with its arguments
    metric  the task's primary metric, unless another was asked for
    points  rows of `points`, at least one
    axis    the cost against which they are drawn
    """

    task: str
    model: str
    metric: MetricSpec
    points: pd.DataFrame
    axis: str = "nfe"

    @property
    def floor(self) -> float:
        """Mean floor of the metric, NaN if there is none."""
        return float(self.points["floor"].mean())

    @property
    def floor_name(self) -> str:
        """What reaches the floor: samples of the known joint, or real data."""
        return "exact samples" if self.model.startswith("exact/") else "real data"


def points(table: pd.DataFrame, task: str, metric: str, axis: str = "nfe") -> pd.DataFrame:
    """The points of a task: one row per model x sampler x knob value where `metric` is known, of finished cells.

    Columns: task, model, sampler, label (the sampler, and those of its non-knob parameters that differ within
    the task), setting (`steps=8`, `gamma=0.1`, or "" without a knob), seeds, documents (the fewest of any
    seed), value, stderr, floor, cost (mean of `cost.<axis>`; NaN, sorted last, where unknown). Ordered by
    cost within a label. Raises UserError for an unknown axis.
    """
    if axis not in AXES:
        raise UserError(f"unknown cost axis {axis!r}.{did_you_mean(axis, AXES)}")
    cells = name_cells(table[table["task"] == task])
    known = cells["finished"] & ~np.isnan(_column(cells, f"metric.{metric}"))
    found = settings(cells[known], [metric], [axis]).drop(columns="finished")
    names = dict(zip(metric_columns(metric), ("value", "stderr", "floor"), strict=True))
    found = found.rename(columns={**names, axis: "cost"})
    ordered: pd.DataFrame = found.sort_values([*SETTING[:-1], "cost"], kind="stable", ignore_index=True)
    return ordered


def panels(
    table: pd.DataFrame,
    tasks: Mapping[str, TaskFile],
    axis: str = "nfe",
    metrics: Mapping[str, str | list[str]] | None = None,
    together: Mapping[str, str] | None = None,
) -> list[Panel]:
    """One panel per task x model with a known metric, in order of task and model.

    The metric is the task's primary one, unless `metrics` names another key or several for the task; UserError if it
    has none. The models of a task that `together` names share a panel; it says what each is called there.
    """
    found = []
    for task in sorted(set(table["task"])):
        file = task_file(tasks, task)
        keys = (metrics or {}).get(task, file.primary)
        for metric in [declared_metric(file, key) for key in ([keys] if isinstance(keys, str) else keys)]:
            known = _joined(points(table, task, metric.key, axis), together or {})
            for (name, model), rows in known.groupby(["task", "model"]):
                found.append(Panel(str(name), str(model), metric, rows.reset_index(drop=True), axis))
    return found


def _joined(found: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    """The points of a task, in which those of the named models are of one model and have its name in their label."""
    shared = found["model"].isin(names)
    labels = [f"{label}, {names.get(model)}" for label, model in zip(found["label"], found["model"], strict=True)]
    title = " and ".join(sorted(set(found.loc[shared, "model"]), key=list(names).index))
    joined: pd.DataFrame = found.assign(
        label=found["label"].mask(shared, pd.Series(labels, index=found.index)),
        model=found["model"].mask(shared, title),
    )
    return joined


def declared_metric(file: TaskFile, key: str) -> MetricSpec:
    """A metric of a task; raises UserError if it declares none of this key."""
    known = {metric.key: metric for metric in file.metrics}
    if key not in known:
        raise UserError(f"task {file.name!r} has no metric {key!r}.{did_you_mean(key, known)}")
    return known[key]


def task_file(tasks: Mapping[str, TaskFile], task: str) -> TaskFile:
    """The declaration of a task in the table; raises UserError if there is none."""
    if task not in tasks:
        raise UserError(f"the results hold task {task!r}, which is not known.{did_you_mean(task, tasks)}")
    return tasks[task]


def name_cells(table: pd.DataFrame) -> pd.DataFrame:
    """The cells with the columns of `SETTING` filled in, and `finished`: whether they have enough documents to be
    compared; missing cost columns become NaN."""
    cells: pd.DataFrame = table.copy()
    for cost in AXES:
        if f"cost.{cost}" not in cells:
            cells[f"cost.{cost}"] = np.nan
    rows = [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]
    protocols: dict[Any, set[str]] = {}
    for row in rows:
        if isinstance(row["protocol"], str):  # None or NaN: not scored yet
            protocols.setdefault(row["task"], set()).add(row["protocol"])
    cells["task"] = [_task_name(row, protocols.get(row["task"], set())) for row in rows]
    cells["model"] = [
        f"{row['model']} ({row['model_args']})" if row["model_args"] else str(row["model"]) for row in rows
    ]
    options = [_options(row) for row in rows]
    versions = [{key: _none_if_nan(row.get(key)) for key in VERSIONS} for row in rows]
    varied_options = _varied(options, cells[["task", "sampler"]])
    own = _own_arguments([version["task_args"] for version in versions], cells["task"])
    versions = [{**version, "task_args": arguments} for version, arguments in zip(versions, own, strict=True)]
    varied_versions = _varied(versions, cells[["task", "model", "sampler"]])
    cells["setting"] = [_setting(row) for row in rows]
    lengths = [version.pop("task_args", None) for version in varied_versions]
    cells["label"] = [
        _label(row["sampler"], option | version)
        for row, option, version in zip(rows, varied_options, varied_versions, strict=True)
    ]
    documents = cells["documents"].fillna(0)
    cells["finished"] = documents >= FINISHED * documents.groupby([cells["task"], cells["model"]]).transform("max")
    return _name_lengths(cells, lengths)


def _name_lengths(cells: pd.DataFrame, lengths: Sequence[str | None]) -> pd.DataFrame:
    """The cells with those arguments of their task that differ, such as the length of the answer: a part of the setting
    where they move with the knob, so that together they are one way from cheap to dear; else a part of the label."""
    given = pd.Series([*lengths], index=cells.index, dtype=object)
    for _, rows in cells.groupby(["task", "model", "sampler", "label"]):
        of = given[rows.index].dropna()
        if of.empty:
            continue
        ways = set(zip(rows["setting"], given[rows.index], strict=True))
        settings_of, lengths_of = ({way[i] for way in ways} for i in (0, 1))
        if len(settings_of) == len(lengths_of) == len(ways):
            cells.loc[of.index, "setting"] = [
                ", ".join(filter(None, pair)) for pair in zip(cells.loc[of.index, "setting"], of, strict=True)
            ]
        else:
            cells.loc[of.index, "label"] = [_with_option(str(rows["label"].iloc[0]), length) for length in of]
    return cells


def settings(cells: pd.DataFrame, metrics: Sequence[str], costs: Sequence[str] = COSTS) -> pd.DataFrame:
    """One row per setting of the named cells: `SETTING`, seeds, documents, finished, the costs by their plain names,
    and for each metric its `metric_columns`. NaN where unknown. Seeds that are not finished count where none is."""
    records = []
    for key, of_setting in cells.groupby(SETTING, sort=True):
        finished = bool(of_setting["finished"].any())
        rows = of_setting[of_setting["finished"]] if finished else of_setting
        record: dict[str, Any] = {**dict(zip(SETTING, key, strict=True)), "finished": finished}
        record["seeds"] = int(rows["seed"].nunique())
        record["documents"] = int(rows["documents"].fillna(0).min())
        record |= {cost: float(rows[f"cost.{cost}"].mean()) for cost in costs}
        for metric in metrics:
            names = metric_columns(metric)
            values, stderrs, floors = (_column(rows, name) for name in names)
            floors = _known(floors)
            floor = float(floors.mean()) if len(floors) else math.nan
            record |= dict(zip(names, (*mean_over_seeds(values, stderrs), floor), strict=True))
        records.append(record)
    triples = [name for metric in metrics for name in metric_columns(metric)]
    found: pd.DataFrame = pd.DataFrame(records, columns=[*SETTING, "seeds", "documents", "finished", *costs, *triples])
    return found


def metric_columns(metric: str) -> tuple[str, str, str]:
    """The columns of a metric's value, standard error and floor, in the cells and in the leaderboard."""
    return f"metric.{metric}", f"metric.{metric}.stderr", f"metric.{metric}.floor"


def mean_over_seeds(values: np.ndarray[Any, Any], stderrs: np.ndarray[Any, Any]) -> tuple[float, float]:
    """Mean of S cells that differ by seed, and its standard error; NaN where unknown.

    A cell's own variance s² over documents has a part that all seeds share, the choice of documents, and a
    part that each draws anew, which is the variance v between the seeds. Only the second shrinks with S: the
    variance of the mean is (s² − v) + v / S, and at least v / S. With few seeds v is uncertain, and this errs
    to the large side.
    """
    stderrs = _known(stderrs[~np.isnan(values)])
    values = _known(values)
    count = len(values)
    if count == 0:
        return math.nan, math.nan
    within = float(np.mean(stderrs**2)) if len(stderrs) else math.nan
    if count == 1:
        return float(values[0]), math.sqrt(within)
    between = float(np.var(values, ddof=1))
    shared = 0.0 if math.isnan(within) else max(0.0, within - between)
    return float(np.mean(values)), math.sqrt(shared + between / count)


def knob_value(setting: str) -> float:
    """The number in `steps=8` or `steps=64, max_tokens=128`; 0 for a sampler that has one setting."""
    return float(setting.partition("=")[2].partition(",")[0] or 0)


def plain(value: Any) -> str:
    """A parameter's value as a user writes it: `0.1`, `8`, `true`, `none`."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        short = f"{value:g}"
        return short if float(short) == value else repr(value)
    return str(value)


def _task_name(row: Mapping[str, Any], protocols: Collection[str]) -> str:
    """With the protocol; of a cell that is not scored yet, that of the others where they have one only. The long form
    of a question is another task than the short one, its control."""
    protocol = row["protocol"]
    if not isinstance(protocol, str):
        protocol = next(iter(protocols)) if len(protocols) == 1 else ""
    long = "form=long" in str(row.get("task_args")).split(",")
    parts = [*[protocol] * (protocol not in ("", "default")), *["long"] * long]
    return "@".join([str(row["task"]), *[" ".join(parts)] * bool(parts)])


def _options(row: Mapping[str, Any]) -> dict[str, Any]:
    """What a user may set on a sampler beside its knob."""
    options = {**row["params"], "temperature": row["temperature"], "guidance": row["guidance"]}
    return {key: _none_if_nan(value) for key, value in options.items() if key != row["knob"]}


def _own_arguments(texts: Sequence[str | None], tasks: pd.Series) -> list[str | None]:
    """The arguments `name=value,name=value` of each cell without those that all cells of its task have."""
    parts = [set((text or "").split(",")) for text in texts]
    shared: dict[str, set[str]] = {}
    for task, own in zip(tasks, parts, strict=True):
        shared[task] = shared.get(task, own) & own
    return [
        text and ",".join(part for part in text.split(",") if part not in shared[task])
        for task, text in zip(tasks, texts, strict=True)
    ]


def _varied(options: Sequence[Mapping[str, Any]], scopes: pd.DataFrame) -> list[dict[str, Any]]:
    """The options of each cell that have more than one value among the cells of its scope."""
    keys = list(scopes.itertuples(index=False, name=None))
    values: dict[tuple[Any, str], set[Any]] = {}
    for scope, choice in zip(keys, options, strict=True):
        for name, value in choice.items():
            values.setdefault((scope, name), set()).add(value)
    return [
        {name: value for name, value in choice.items() if len(values[scope, name]) > 1}
        for scope, choice in zip(keys, options, strict=True)
    ]


def _label(sampler: str, options: Mapping[str, Any]) -> str:
    """`sampler (random, tau=0.5)`: a text speaks for itself, a number needs its name."""
    parts = [
        value if isinstance(value, str) and value else f"{name}={plain(value)}"
        for name, value in sorted(options.items())
    ]
    for part in parts:
        sampler = _with_option(sampler, part)
    return sampler


def _with_option(label: str, option: str) -> str:
    return f"{label[:-1]}, {option})" if label.endswith(")") else f"{label} ({option})"


def _setting(row: Mapping[str, Any]) -> str:
    knob = row["knob"]
    if isinstance(knob, str) and knob != "steps":
        return f"{knob}={plain(row['params'].get(knob))}"
    # Budgets tell cells apart even where the knob is not known: the sampler is not installed here.
    return "" if pd.isna(row["budget"]) else f"steps={int(row['budget'])}"


def _none_if_nan(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


def _column(rows: pd.DataFrame, name: str) -> np.ndarray[Any, Any]:
    """A column as float64, NaN if it is absent."""
    return rows[name].to_numpy(dtype=float) if name in rows else np.full(len(rows), np.nan)


def _known(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    known: np.ndarray[Any, Any] = values[~np.isnan(values)]
    return known
