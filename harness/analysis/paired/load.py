"""From the store to matrices: what each setting scored, and cost, on the same documents."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from harness.analysis.curves import FINISHED, TIMED, mean_over_seeds, metric_columns
from harness.analysis.paired.bootstrap import Array, Design
from harness.errors import UserError
from harness.spec import MetricSpec
from harness.store import CellStore, SampleKey

Basis = Literal["resampled documents", "resampled parts of documents", "stored standard errors"]
"""Of a metric of documents; of one of the whole set with parts, and without."""

_CELL = ["label", "setting", "seed"]


@dataclass(frozen=True)
class Scores:
    """The cells of one task, protocol and model, document by document.

    rows      label, setting, seed, document, value, cost: means over a document's samples, where both are known. Of a
              metric of the whole set, the value is the document's part of it, or where parts are not known for all
              cells the metric itself, the same in all rows of a cell
    of_set    for a metric of the whole set, its value and standard error by (label, setting, seed); else empty
    parts     whether the values are parts of such a metric
    groups    cluster and stratum of the documents that name one
    left_out  cells without rows, by name, and why
    """

    rows: pd.DataFrame
    of_set: Mapping[tuple[str, str, int], tuple[float, float]]
    parts: bool
    groups: Mapping[str, Mapping[str, str]]
    left_out: Mapping[str, str]

    def of(self, labels: list[str]) -> Scores:
        """Those of some curves only."""
        left_out = {name: why for name, why in self.left_out.items() if name.split(" @ ")[0] in labels}
        return replace(self, rows=self.rows[self.rows["label"].isin(labels)], left_out=left_out)


@dataclass(frozen=True)
class Paired:
    """What K settings scored on the D documents that all of them have, under the S seeds that all of them have.

    labels, settings  (K,) curve, and setting in it
    seeds     those in common; empty where there are none, and then S = 1: each setting is the mean over its own
    values    (K, S, D)
    costs     (K, D)
    of_set    (K,) a metric of the whole set; None where the metric is one of documents
    stderrs   (K,) its standard errors, where `values` are not its parts, by which it could be paired
    design    how the documents hang together
    left_out  cells that are not among them, and why
    """

    labels: tuple[str, ...]
    settings: tuple[str, ...]
    seeds: tuple[int, ...]
    documents: tuple[str, ...]
    values: Array
    costs: Array
    of_set: Array | None
    stderrs: Array | None
    design: Design
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def basis(self) -> Basis:
        """What intervals of the metric are from."""
        if self.stderrs is not None:
            return "stored standard errors"
        return "resampled documents" if self.of_set is None else "resampled parts of documents"

    def told_in_points(self, metric: MetricSpec) -> bool:
        """Whether the metric is a share of right answers."""
        share = metric.level == "sample" or metric.unit == "fraction"
        values = self.values if self.of_set is None else self.of_set
        return share and bool(((values >= 0) & (values <= 1)).all())

    def of(self, label: str) -> list[int]:
        """The places of a curve's settings among the K."""
        return [k for k, name in enumerate(self.labels) if name == label]


def load(cells: pd.DataFrame, metric: MetricSpec, axis: str = "nfe") -> Scores:
    """The scores of named cells (`curves.name_cells` of `frame.cell_frame`) of one task and model.

    A cell of which a file is damaged is left out, like one of unknown cost.
    """
    rows: list[tuple[str, str, int, str, float, float]] = []
    of_set: dict[tuple[str, str, int], tuple[float, float]] = {}
    parts = metric.level == "set" and all(map(bool, _all_parts(cells, metric)))
    groups: dict[str, Mapping[str, str]] = {}
    left_out: dict[str, str] = {}
    seen: set[tuple[str, str, int]] = set()
    for row in cells.to_dict("records"):
        key = (str(row["label"]), str(row["setting"]), int(row["seed"]))
        if not isinstance(row["scorer"], str):
            left_out[_name(*key)] = "not scored yet"
            continue
        if key in seen:
            left_out[f"{_name(*key)}, cell {row['cell']}"] = "another cell has the same name"
            continue
        seen.add(key)
        try:
            cell = CellStore.open(Path(row["folder"]))
            values, costs, its_groups = (
                _values(cell, row, metric, parts),
                _costs(cell, row, axis),
                cell.read_groups(row["scorer"]),
            )
        except UserError as error:
            left_out[_name(*key)] = str(error)
            continue
        means = _means(values, costs)
        if not means:
            left_out[_name(*key)] = f"{axis} is unknown" if values else f"{metric.label} is unknown"
        elif any(math.isinf(value) for _, value, _ in means):
            left_out[_name(*key)] = f"{metric.label} is infinite for some documents"
        else:
            rows += [(*key, *each) for each in means]
            groups |= its_groups
            if metric.level == "set":
                value, stderr, _ = metric_columns(metric.key)
                of_set[key] = float(row[value]), float(row[stderr])
    return Scores(pd.DataFrame(rows, columns=[*_CELL, "document", "value", "cost"]), of_set, parts, groups, left_out)


def align(scores: Scores) -> Paired | None:
    """The finished cells on the documents and seeds that they have in common; None where no document is."""
    rows, left_out = _finished(scores)
    if rows.empty:
        return None
    rows = rows.sort_values(_CELL, kind="stable")
    seeds_of = rows.groupby(["label", "setting"], sort=False)["seed"].agg(set)
    seeds = sorted(set.intersection(*seeds_of))
    if seeds:
        rows = rows[rows["seed"].isin(seeds)]
    wide = rows.pivot(index="document", columns=_CELL, values=["value", "cost"]).dropna()
    if wide.empty:
        return None
    values, costs = wide["value"], wide["cost"].T.groupby(level=["label", "setting"], sort=False).mean()
    if seeds:
        cube = values.to_numpy().T.reshape(len(seeds_of), len(seeds), len(wide))
    else:
        cube = values.T.groupby(level=["label", "setting"], sort=False).mean().to_numpy()[:, None, :]
    labels, settings = zip(*seeds_of.index, strict=True)
    documents = tuple(map(str, wide.index))
    return Paired(
        labels, settings, tuple(seeds), documents, np.ascontiguousarray(cube), costs.to_numpy(),
        *_of_set(scores, values.columns), _design(documents, scores.groups), left_out,
    )  # fmt: skip


def _all_parts(cells: pd.DataFrame, metric: MetricSpec) -> Iterator[Mapping[SampleKey, float]]:
    """Of each cell that has scores and can be read, its samples' parts in a metric of the whole set."""
    value = metric_columns(metric.key)[0]
    if value not in cells:  # no cell is large enough for it
        return
    for row in cells[cells[value].notna()].to_dict("records"):
        with suppress(UserError):
            yield CellStore.open(Path(row["folder"])).read_parts(row["scorer"], metric.key)


def _values(cell: CellStore, row: Mapping[Any, Any], metric: MetricSpec, parts: bool) -> dict[SampleKey, float]:
    """The metric of the samples for which it is known, or their `parts` in it."""
    if parts:
        return cell.read_parts(row["scorer"], metric.key)
    scores = cell.read_scores(row["scorer"])
    if metric.level == "set":
        found = dict.fromkeys(scores, row.get(metric_columns(metric.key)[0]))
    else:
        found = {key: metrics.get(metric.key) for key, metrics in scores.items()}
    return {key: float(value) for key, value in found.items() if isinstance(value, int | float) and value == value}


def _costs(cell: CellStore, row: Mapping[Any, Any], axis: str) -> dict[SampleKey, float | None]:
    """The cost of the samples; what is timed is timed for the cell as a whole."""
    if axis in TIMED:
        seconds = float(row[f"cost.{axis}"])
        return dict.fromkeys(cell.done(), None if math.isnan(seconds) else seconds)
    return {key: cost.get(axis) for key, cost in cell.costs().items()}


def _means(
    values: Mapping[SampleKey, float], costs: Mapping[SampleKey, float | None]
) -> list[tuple[str, float, float]]:
    """Document, mean value and mean cost over its samples, those of unknown cost left out."""
    samples: dict[str, list[tuple[float, float]]] = {}
    for key, value in values.items():
        cost = costs.get(key)
        if cost:  # a cost of zero has no logarithm
            samples.setdefault(key.document, []).append((value, cost))
    return [
        (document, sum(value for value, _ in found) / len(found), sum(cost for _, cost in found) / len(found))
        for document, found in samples.items()
    ]


def _finished(scores: Scores) -> tuple[pd.DataFrame, dict[str, str]]:
    """The rows of the cells that have enough documents, and all cells that are left out.

    A metric of the whole set depends on how many there are, so that all must have the same.
    """
    left_out = dict(scores.left_out)
    counts = scores.rows.groupby(_CELL, sort=False)["document"].transform("size")
    enough = counts >= (1 if scores.of_set else FINISHED) * counts.max()
    for key, count in scores.rows[~enough].groupby(_CELL).size().items():
        left_out[_name(*key)] = f"has {count} of {counts.max()} documents"
    return scores.rows[enough], left_out


def _of_set(scores: Scores, cells: pd.MultiIndex) -> tuple[Array | None, Array | None]:
    """(K,) a metric of the whole set over the seeds of the cells, and its standard errors unless there are parts."""
    if not scores.of_set:
        return None, None
    found = pd.DataFrame([scores.of_set[tuple(cell)] for cell in cells], cells, ["value", "stderr"], dtype=float)
    means = np.array(
        [
            mean_over_seeds(of["value"].to_numpy(), of["stderr"].to_numpy())
            for _, of in found.groupby(level=["label", "setting"], sort=False)
        ]
    )
    return means[:, 0], None if scores.parts else means[:, 1]


def _design(documents: tuple[str, ...], groups: Mapping[str, Mapping[str, str]]) -> Design:
    """A document without a cluster is one of its own; a cluster is in the stratum of its first document."""
    names = [groups.get(document, {}) for document in documents]
    own = [("cluster", each["cluster"]) if "cluster" in each else ("document", document)
           for document, each in zip(documents, names, strict=True)]  # fmt: skip
    number = {name: i for i, name in enumerate(dict.fromkeys(own))}
    cluster = np.array([number[name] for name in own], dtype=np.int64)
    first = np.unique(cluster, return_index=True)[1]
    strata = [names[i].get("stratum", "") for i in first]
    return Design(cluster, np.unique(strata, return_inverse=True)[1].astype(np.int64))


def _name(label: str, setting: str, seed: int) -> str:
    return f"{label} @ {setting or '–'}, seed {seed}"
