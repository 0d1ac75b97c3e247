"""Logs of trainings: numbers that were measured on the way, averaged over trainings that differ by their seed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from harness.errors import UserError
from harness.jsonl import read_json_lines


def along_training(logs: Sequence[str], axis: str, numbers: Sequence[str]) -> pd.DataFrame:
    """One row for each step at which all `logs` (the `log.jsonl` of as many trainings) have the `numbers`.

    Columns: step, cost (mean of `axis`), seeds, and for each number its mean and, under `<number>.stderr`, the standard
    error of that over the seeds; NaN for a single one. Raises UserError where no step has them all.
    """
    frames = []
    for path in logs:
        lines = [line for _, line in read_json_lines(Path(path)) if all(name in line for name in (axis, *numbers))]
        frame = pd.DataFrame(lines, columns=list(dict.fromkeys(("step", axis, *numbers))))
        frames.append(frame.assign(cost=frame[axis]))
    groups = pd.concat(frames).groupby("step")
    whole = groups.size() == len(logs)
    if not whole.any():
        raise UserError(f"no step of {', '.join(logs)} has {', '.join((axis, *numbers))}.")
    mean, error = groups.mean()[whole], groups.sem()[whole]
    columns = {name: mean[name] for name in numbers} | {f"{name}.stderr": error[name] for name in numbers}
    found: pd.DataFrame = pd.DataFrame({"cost": mean["cost"], "seeds": len(logs), **columns}).reset_index()
    return found
