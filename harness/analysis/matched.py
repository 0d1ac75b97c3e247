"""Samplers at the same cost: one sampler's value at another's cost, along a knob or along the length of what is made.

Between the settings of a curve the value is linear in the logarithm of cost. Below the cheapest it is not known; above
the most expensive it stays that one's, since a sampler need not spend what it is allowed. Standard errors are those of
independent settings; `harness.analysis.paired` has the paired ones, for metrics of documents.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from harness.analysis.curves import Panel, knob_value


def value_at(points: pd.DataFrame, cost: float) -> tuple[float, float]:
    """Value and standard error of a curve (columns `cost`, `value`, `stderr`) at a cost; NaN below its settings."""
    known = points[points["cost"] > 0].sort_values("cost", kind="stable")
    costs, values, stderrs = (known[name].to_numpy(float) for name in ("cost", "value", "stderr"))
    after = int(np.searchsorted(costs, cost, side="right"))
    if after == 0:
        return math.nan, math.nan
    if after == len(costs):
        return float(values[-1]), float(stderrs[-1])
    low, high = math.log(costs[after - 1]), math.log(costs[after])
    share = (math.log(cost) - low) / (high - low)
    value = (1 - share) * values[after - 1] + share * values[after]
    return float(value), math.hypot((1 - share) * stderrs[after - 1], share * stderrs[after])


def along_knob(panel: Panel, sampler: str, baselines: Sequence[str]) -> pd.DataFrame:
    """One row for each value of a sampler's knob: `knob`, `cost`, `value`, `stderr`, and for each baseline
    `<baseline>.value` and `<baseline>.stderr` at the same cost. Empty where the sampler has no points here."""
    rows = []
    for point in _points(panel, sampler).to_dict("records"):
        row = {name: point[name] for name in ("cost", "value", "stderr")}
        row["knob"] = knob_value(point["setting"])
        for baseline in baselines:
            value, stderr = value_at(_points(panel, baseline), point["cost"])
            row |= {f"{baseline}.value": value, f"{baseline}.stderr": stderr}
        rows.append(row)
    found: pd.DataFrame = pd.DataFrame(rows).sort_values("knob", ignore_index=True) if rows else pd.DataFrame()
    return found


def gains(panels: Sequence[tuple[float, Panel]], sampler: str, setting: str, baselines: Sequence[str]) -> pd.DataFrame:
    """What one setting of a sampler gains over each baseline at the cost that it has.

    panels  pairs of length and panel. Columns: `length`, `cost`, `baseline`, `gain` (above zero where the sampler is
    better, in the unit of the metric), `stderr`; NaN where the baseline has no setting as cheap.
    """
    rows = []
    for length, panel in panels:
        sign = 1 if panel.metric.direction == "higher" else -1
        own = _points(panel, sampler)
        for point in own[own["setting"] == setting].to_dict("records"):
            for baseline in baselines:
                value, stderr = value_at(_points(panel, baseline), point["cost"])
                gain = sign * (point["value"] - value)
                rows.append((length, point["cost"], baseline, gain, math.hypot(point["stderr"], stderr)))
    columns = ["length", "cost", "baseline", "gain", "stderr"]
    found: pd.DataFrame = pd.DataFrame(rows, columns=columns).sort_values(["baseline", "length"], ignore_index=True)
    return found


def _points(panel: Panel, label: str) -> pd.DataFrame:
    found: pd.DataFrame = panel.points[panel.points["label"] == label]
    return found
