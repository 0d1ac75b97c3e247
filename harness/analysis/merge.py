"""Several runs as one table of cells, which are the same cells where they have the same id."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from harness.errors import UserError
from harness.store import CellStore, RunStore, table
from harness.store.gather import content


def merged_table(runs: Sequence[RunStore], problems: list[str] | None = None) -> pd.DataFrame:
    """`harness.store.table` of all runs; each cell once per protocol.

    Of a cell that is in several runs, the fullest counts. Raises UserError where two runs hold different outputs for
    the same sample, documents of which neither has all, or scores that different scorers gave under one protocol.
    """
    tables = [table(run, problems) for run in runs]
    if len(runs) == 1:
        return tables[0]
    _check_scorers(tables)
    joined = pd.concat([frame for frame in tables if len(frame)] or tables[:1], ignore_index=True)
    for _, folders in joined.groupby("cell")["folder"]:
        _check_outputs([Path(folder) for folder in folders.unique()])
    joined = joined.sort_values("samples", ascending=False, kind="stable").drop_duplicates(["cell", "protocol"])
    scored = joined.groupby("cell")["scorer"].transform("count") > 0
    joined = joined[joined["scorer"].notna() | ~scored]
    result: pd.DataFrame = joined.sort_values(["cell", "protocol"], ignore_index=True)
    return result


def _check_scorers(tables: Sequence[pd.DataFrame]) -> None:
    """One scorer for each task and protocol, over all runs."""
    seen: dict[tuple[str, str], tuple[str, str]] = {}
    for frame in tables:
        for row in frame[frame["scorer"].notna()].to_dict("records"):
            key = (row["task"], row["protocol"])
            scorer, folder = seen.setdefault(key, (row["scorer"], row["folder"]))
            if scorer != row["scorer"] and Path(folder).parents[1] != Path(row["folder"]).parents[1]:
                raise UserError(
                    f"{folder} and {row['folder']} were scored for task {key[0]!r}, protocol {key[1]!r}, by different "
                    f"scorers ({scorer}, {row['scorer']}): other settings, or another version. Score both runs again "
                    "(`score RUN`) in the same way."
                )


def _check_outputs(folders: Sequence[Path]) -> None:
    """The same cell from several runs: the same output for each sample, and one that has all that the others have."""
    cells = sorted((CellStore.open(folder) for folder in folders), key=lambda cell: len(cell.done()), reverse=True)
    if len(cells) == 1:
        return
    fullest = cells[0].generations()
    for other in cells[1:]:
        for key, output in other.generations().items():
            if key not in fullest:
                raise UserError(
                    f"{other.folder} has document {key.document!r}, sample {key.sample}, and {cells[0].folder}, which "
                    "has more, does not. Put shards of a run together with `merge`, or run one of them again with a "
                    "--limit that covers both."
                )
            if content(output) != content(fullest[key]):
                raise UserError(
                    f"{cells[0].folder} and {other.folder} are the same cell, and hold different outputs for document "
                    f"{key.document!r}, sample {key.sample}. One of them was changed, or made by a device or version "
                    "that rounds otherwise: report them apart, or leave one out."
                )
