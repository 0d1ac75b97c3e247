"""The table of `bench corrections` as CSV, Markdown and a figure; it only reads what was measured."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure
from tabulate import tabulate

from harness.analysis.plots import COLORS, PAGE, RC, save
from harness.analysis.tables import escape, with_error
from harness.errors import UserError

_TITLES = {
    "auroc": ("AUROC", "Higher is better; chance is 0.5."),
    "average_precision": (
        "Average precision",
        "Higher is better; a constant score has the share of errors, a random order a little more.",
    ),
    "harm_rate": ("Harm rate", "Lower is better; chance is one minus the share of errors."),
}

# Some scores coincide on some models: open markers and broken lines let the one below show.
_OPEN = {"markerfacecolor": "none", "markersize": 6}
_LOOKS: dict[str, dict[str, Any]] = {
    "visible": {"color": COLORS[0], "marker": "o"},
    "time_averaged": {"color": COLORS[1], "marker": "^"},
    "leave_one_out": {"color": COLORS[4], "marker": "s", "linestyle": "--", **_OPEN},
    "shadow": {"color": COLORS[3], "marker": "D", "linestyle": ":", **_OPEN},
    "memory": {"color": COLORS[5], "marker": "v"},
    "random": {"color": "0.6", "marker": "x", "linestyle": ":"},
}


def write(records: pd.DataFrame, folder: Path) -> list[Path]:
    """Write `corrections.csv`, `.md`, `.png` and `.pdf` into `folder`, and return their paths; UserError if they cannot
    be written."""
    table, text, *pictures = paths = [folder / f"corrections.{suffix}" for suffix in ("csv", "md", "png", "pdf")]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        records.to_csv(table, index=False, float_format="%.6g", lineterminator="\n")
        text.write_text(markdown(records), encoding="utf-8")
        for path in pictures:
            save(figure(records), path)
    except OSError as error:
        raise UserError(f"--output {folder}: cannot write {error.filename}: {error.strerror}") from error
    return paths


def markdown(records: pd.DataFrame) -> str:
    """Every metric for every share of errors, mask ratios side by side, and what a score costs."""
    parts = ["# How well correction scores find errors"]
    parts.append("Means over rows ± one standard error clustered by document; n/a: the model does not offer it.")
    for metric, (title, meaning) in _TITLES.items():
        parts += [f"## {title}", meaning]
        for share, rows in records.groupby("error_share", sort=True):
            cells = [_cell(*pair) for pair in zip(rows[metric], rows[f"{metric}_stderr"], strict=True)]
            parts += [f"### {share:.0%} of the visible tokens wrong", _grid(rows.assign(cell=cells))]
    parts += ["## Cost", "Sequence-forwards for one row, made from nothing: the decoding's own calls are included."]
    rows = records[records["error_share"] == records["error_share"].min()]
    parts.append(_grid(rows.assign(cell=[_cell(nfe) for nfe in rows["nfe"]])))
    return "\n\n".join(parts) + "\n"


def figure(records: pd.DataFrame) -> Figure:
    """AUROC against mask ratio at the middle share of errors, one panel a model, at page width."""
    shares = sorted(records["error_share"].unique())
    share = shares[len(shares) // 2]
    chosen = records[records["error_share"] == share]
    models = list(dict.fromkeys(chosen["model"]))
    columns = min(3, len(models))
    lines = math.ceil(len(models) / columns)
    with mpl.rc_context(RC):
        result = Figure(figsize=(PAGE, 1.9 * lines + 0.4), layout="constrained")
        grid = list(result.subplots(lines, columns, squeeze=False, sharey=True, sharex=True).flat)
        for axes, model in zip(grid, models, strict=False):
            for score, curve in chosen[chosen["model"] == model].groupby("score", sort=False):
                curve = curve.sort_values("mask_ratio")
                axes.errorbar(
                    curve["mask_ratio"], curve["auroc"], curve["auroc_stderr"], label=str(score), **_LOOKS[str(score)]
                )
            axes.set_title(model, fontsize=7)
            axes.set_xticks(sorted(chosen["mask_ratio"].unique()))
        for axes in grid[len(models) :]:
            axes.set_axis_off()
        for axes in grid[len(models) - columns : len(models)]:
            axes.set_xlabel("share of masked positions", fontsize=7)
        result.supylabel(f"AUROC, {share:.0%} of visible tokens wrong", fontsize=8)
        handles, labels = grid[0].get_legend_handles_labels()
        result.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return result


def _grid(rows: pd.DataFrame) -> str:
    """The column `cell`: a line for each model and score, a column for each mask ratio."""
    wide = rows.pivot(index=["model", "score"], columns="mask_ratio", values="cell")
    wide = wide.reindex(rows[["model", "score"]].drop_duplicates().itertuples(index=False))
    body = [[escape(model), escape(score), *cells] for (model, score), cells in wide.iterrows()]
    headers = ["model", "score", *(f"{ratio:.0%} masked" for ratio in wide.columns)]
    return str(tabulate(body, headers, tablefmt="pipe", disable_numparse=True, colalign=["left", "left"]))


def _cell(value: float, stderr: float | None = None) -> str:
    if math.isnan(value):
        return "n/a"
    return f"{value:g}" if stderr is None else with_error(value, stderr)
