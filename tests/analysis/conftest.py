"""Synthetic tables of cells with known answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from harness.spec import MetricSpec, TaskFile


@pytest.fixture
def tasks() -> dict[str, TaskFile]:
    tv = MetricSpec(key="pair_tv", label="pair TV", direction="lower", level="set")
    validity = MetricSpec(key="validity", label="validity", direction="higher")
    accuracy = MetricSpec(key="accuracy", label="accuracy", direction="higher", unit="fraction")
    return {
        "exact": TaskFile(name="exact", summary="", code="task.py:Exact", metrics=[validity, tv], primary="pair_tv"),
        "quiz": TaskFile(name="quiz", summary="", code="task.py:Quiz", metrics=[accuracy], primary="accuracy"),
    }


@pytest.fixture
def cell() -> Callable[..., dict[str, Any]]:
    """One row of the table; keyword arguments replace the defaults, `tv`, `err`, `floor` name the metric."""

    def make(sampler: str = "random", nfe: float = 8, tv: float = 0.5, **given: Any) -> dict[str, Any]:
        row = {
            "cell": "c",
            "model": "exact/chain",
            "model_args": "",
            "task": "exact",
            "protocol": "default",
            "sampler": sampler,
            "params": {},
            "knob": "steps",
            "budget": nfe,
            "seed": 0,
            "temperature": 1.0,
            "guidance": 0.0,
            "documents": 100,
            "cost.depth": nfe,
            "cost.nfe": nfe,
            "cost.nfe_nominal": nfe,
            "cost.token_forwards": 16.0 * nfe,
            "cost.flops": float("nan"),
            "cost.output_tokens": 16.0,
            "metric.pair_tv": tv,
            "metric.pair_tv.stderr": given.pop("err", float("nan")),
            "metric.pair_tv.floor": given.pop("floor", float("nan")),
        }
        return {**row, **given}

    return make


@pytest.fixture
def table_of() -> Callable[..., pd.DataFrame]:
    return lambda *rows: pd.DataFrame(list(rows))
