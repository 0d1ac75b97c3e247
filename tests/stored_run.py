"""Runs on disk with scores that are given, no model and no task behind them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harness.analysis.curves import name_cells
from harness.analysis.frame import cell_frame
from harness.analysis.paired.load import Paired, align, load
from harness.metrics.clustered import clustered_mean
from harness.spec import CellSpec, Decoding, MetricSpec, ModelSpec, SamplerSpec, TaskFile, TaskSpec
from harness.store import GenerationRecord, MetricValue, RunStore, SampleKey
from harness.task import Output

ACCURACY = MetricSpec(key="accuracy", label="accuracy", direction="higher", unit="fraction")
DISTANCE = MetricSpec(key="fid", label="FID", direction="lower", level="set")
QUIZ = TaskFile(name="quiz", summary="", code="task.py:Quiz", metrics=[ACCURACY, DISTANCE], primary="accuracy")


def new_run(root: Path) -> RunStore:
    return RunStore.create(root, {})


def add_cell(
    run: RunStore,
    values: Mapping[str, Any],
    sampler: str = "random",
    steps: int | None = 8,
    nfe: float | Mapping[str, float] | None = None,
    *,
    seed: int = 0,
    groups: Mapping[str, Mapping[str, str]] | None = None,
    scorer: str = "s",
    protocol: str = "default",
    metrics: Mapping[str, MetricValue] | None = None,
    text: str = "out",
    parts: Mapping[str, Sequence[float]] | None = None,
    **args: Any,
) -> CellSpec:
    """A cell with `values` by document, a score each or a list of them (samples), and its NFE (else `steps`)."""
    spec = CellSpec(
        model=ModelSpec(name="toy"), task=TaskSpec(name="quiz"), data="d", sampler=SamplerSpec(name=sampler, args=args),
        decoding=Decoding(), budget=steps, seed=seed, semantics={"engine": 1},
    )  # fmt: skip
    cell = run.cell(spec)
    samples = {
        SampleKey(document, i): value
        for document, found in values.items()
        for i, value in enumerate(found if isinstance(found, list) else [found])
    }
    records = []
    for key in samples:
        cost = nfe[key.document] if isinstance(nfe, Mapping) else steps if nfe is None else nfe
        records.append(GenerationRecord(key, Output((1,), text), {"nfe": cost, "output_tokens": 32}))
    with cell.lock():
        cell.append(records)
    known = [float(value) for value in samples.values() if value is not None and math.isfinite(value)]
    summary = dict(metrics or {})
    if known:
        mean = clustered_mean(known, [1] * len(known))
        summary["accuracy"] = MetricValue(mean.value, len(known), mean.stderr)
    scores = {key: {"accuracy": value} for key, value in samples.items()}
    cell.write_scores(scorer, protocol, scores, summary, groups, parts)
    return spec


def named(*runs: RunStore) -> pd.DataFrame:
    return name_cells(cell_frame(*runs))


def paired(run: RunStore, metric: MetricSpec = ACCURACY, axis: str = "nfe") -> Paired | None:
    return align(load(named(run), metric, axis))


def verdicts(chance: float, documents: int = 60, seed: int = 0) -> dict[str, bool]:
    """A right or wrong answer on each document, hard documents being hard for all."""
    draws = np.random.default_rng(99).random(documents) + 0.1 * np.random.default_rng(seed).standard_normal(documents)
    return {f"d{i:03d}": bool(draw < chance) for i, draw in enumerate(draws)}
