"""What the sample browser shows of a cell: a small index of all its samples, and their contents page by page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from harness.store import CellStore, SampleKey
from harness.store.spelling import spell
from harness.task import Metrics, Output

Step = tuple[list[int], list[int], list[int]]
"""Positions committed, the tokens there, positions re-masked."""


@dataclass(frozen=True)
class CellSamples:
    """The samples of a cell, all lists in the same order: by document, then sample index.

    keys     document ids and sample indices
    columns  (kind, name) with kind `cost` or `metric`, to one number per sample, None where unknown
    outputs  what each sample is: `text`, or `tokens` where it is no text, `image` (a name in the site), and `detail`,
             the metrics that are no single number
    traces   the steps of each sample, None where there is no trace
    images   where the pictures are now: name in the site to file
    """

    keys: list[SampleKey]
    columns: dict[tuple[str, str], list[Any]]
    outputs: list[dict[str, Any]]
    traces: list[list[Step] | None]
    images: dict[str, Path] = field(default_factory=dict)

    @property
    def largest_token(self) -> int:
        """0 where no sample lists tokens."""
        return max((max(output["tokens"], default=0) for output in self.outputs if "tokens" in output), default=0)


def read_samples(cell: CellStore) -> CellSamples:
    """All samples of a cell; raises UserError where a file of it is damaged."""
    found = cell.generations()
    keys = sorted(found)
    costs, scores, traces = cell.costs(), _scores(cell), cell.traces()
    images = {f"images/{cell.id}/{out.image.name}": out.image for out in found.values() if isinstance(out.image, Path)}
    return CellSamples(
        keys=keys,
        columns={
            **_columns("metric", [scores.get(key, {}) for key in keys]),
            **_columns("cost", [costs.get(key, {}) for key in keys]),
        },
        outputs=[_content(cell.id, found[key], scores.get(key, {})) for key in keys],
        traces=[steps(traces.get(key)) for key in keys],
        images=images,
    )


def steps(trace: Any) -> list[Step] | None:
    """A stored trace in short, or None if it is not what the engine writes (another generator's may be anything)."""
    try:
        found = [(step["commit"], step["tokens"], step.get("remask", [])) for step in trace]
    except (AttributeError, KeyError, TypeError):
        return None
    lists = [part for step in found for part in step]
    if not lists or not set(map(type, lists)) <= {list}:
        return None
    numbers = list(chain.from_iterable(lists))
    whole = set(map(type, numbers)) <= {int} and 0 <= min(numbers, default=0) <= max(numbers, default=0) < 2**31
    return found if whole and all(len(commit) == len(tokens) for commit, tokens, _ in found) else None


def _scores(cell: CellStore) -> dict[SampleKey, Metrics]:
    """Metrics by sample, from the newest scores under each protocol; `name@protocol` beside the default's `name`."""
    merged: dict[SampleKey, Metrics] = {}
    seen: set[str | None] = set()
    for summary in cell.summaries():
        if summary.protocol in seen:
            continue
        seen.add(summary.protocol)
        suffix = "" if summary.protocol in (None, "default") else f"@{summary.protocol}"
        for key, metrics in cell.read_scores(summary.scorer).items():
            named = {name if "@" in name else name + suffix: value for name, value in metrics.items()}
            merged.setdefault(key, {}).update(named)
    return merged


def _columns(kind: str, rows: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], list[Any]]:
    """The names that are numbers wherever they are known, in the order of their first appearance."""
    names = dict.fromkeys(name for row in rows for name in row)
    columns = {name: [row.get(name) for row in rows] for name in names}
    kinds = {name: set(map(type, column)) for name, column in columns.items()}
    return {
        (kind, name): spell(column) if float in kinds[name] else column
        for name, column in columns.items()
        if kinds[name] <= {bool, int, float, type(None)} and kinds[name] != {type(None)}
    }


def _content(cell: str, output: Output, metrics: Metrics) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if output.text is not None:
        content["text"] = "\n\n— next turn —\n\n".join([*output.before, output.text])
    elif output.logp is not None:
        content["text"] = f"log-likelihoods in nats: {', '.join(f'{value:.2f}' for value in output.logp)}"
    else:
        content["tokens"] = list(output.tokens)
    if isinstance(output.image, Path):
        content["image"] = f"images/{cell}/{output.image.name}"
    detail = {name: value for name, value in metrics.items() if not isinstance(value, (bool, int, float, type(None)))}
    return {**content, "detail": spell(detail)} if detail else content
