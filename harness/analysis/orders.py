"""What trainings with a learned order reached beside their controls, from the files that they left."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from tabulate import tabulate

from harness.analysis.plots import COLORS, PAGE, RC, picture
from harness.analysis.plots.looks import legend_below
from harness.analysis.tables import cut, escape, number, with_error
from harness.catalogue import read_yaml
from harness.errors import UserError
from harness.store.files import read_json, write_file

CONTROL = "uniform"
LEVEL = 0.95
RATE = "log_rate/"
"""What begins the name of a column's rate in a training's result."""

_NUMBERS = {
    "nats": "nats_per_row",
    "uniform_orders": "nats_per_row_uniform_orders",
    "fixed_order": "nats_per_row_fixed_order",
    "order_entropy": "order_entropy",
}
_MEASURES = {"nats": "own orders", "fixed_order": "fixed order"}
"""What is compared with the control's; of a training, row by row, under `nats` and `nats_fixed_order` in its result."""
_FREE = {"summary", "seed", "rates", "device", "workers"}
"""What trainings that are compared may differ in, besides method and split."""
_LOOKS = dict(zip(("order_space", "rloo", "genmd4"), zip(COLORS[1:], "so^", strict=False), strict=False))
_LEGEND = (
    "Nats a row on test rows, lower is better: the bound under the model's own orders, under uniform orders, and the "
    "exact value of the one order by falling rate (of the control: that of the table's columns). Means over seeds ± "
    "one standard error. Entropy: of the order, as a share of log L!. τ: Kendall's, of the rates of any two seeds, on "
    "average."
)
_VERDICTS = (
    "Learned minus control, seed by seed on the same rows, below zero where the learned order is better: the bounds "
    "under own orders, and the exact values of a fixed order, which is the control's by the table's columns. 95 % "
    "intervals: over seeds (Student's t; each has a split of its own), and over the test rows of these seeds (normal), "
    "which leaves out that another training would differ."
)


def read(folders: Sequence[Path]) -> pd.DataFrame:
    """One row for each finished training of the problem `table`: `data`, `method`, `seed`, `split`, the numbers, and
    `rates`, column name to log w. Raises UserError where one is no such training, or two cannot be compared."""
    rows = [_training(folder) for folder in folders]
    for data, group in itertools.groupby(sorted(rows, key=lambda row: str(row["data"])), lambda row: row["data"]):
        settings = {repr(row["settings"]): row["folder"] for row in group}
        if len(settings) > 1:
            one, other = list(settings.values())[:2]
            raise UserError(f"{one} and {other} trained on {data} with other settings: they are no control of another.")
    frame = pd.DataFrame(rows).drop(columns="settings")
    twice = frame[frame.duplicated(["data", "method", "seed", "split"])]
    if len(twice):
        raise UserError(f"{twice['folder'].iloc[0]}: another training has its table, method and seed.")
    ordered: pd.DataFrame = frame.sort_values(["data", "method", "seed"], ignore_index=True)
    return ordered


def _training(folder: Path) -> dict[str, Any]:
    result = read_json(folder / "result.json")
    if result is None:
        raise UserError(f"{folder} holds no finished training: there is no result.json. Finish it by the verb train.")
    recipe = read_yaml(folder / "recipe.yaml")
    if recipe.get("problem") != "table":
        raise UserError(f"{folder} holds a training of {recipe.get('problem')!r}, not of 'table'.")
    if "nats" not in result:
        raise UserError(f"{folder} holds a training by an earlier version, which kept no numbers of rows. Train again.")
    objective = recipe["objective"]
    own = {"method": objective.get("method", "order_space"), "split": objective.get("split", 0)}
    settings = {key: value for key, value in recipe.items() if key not in _FREE}
    settings["objective"] = {key: value for key, value in objective.items() if key not in own}
    return {
        "folder": str(folder),
        "data": Path(objective["data"]).stem,
        "seed": recipe["seed"],
        **own,
        **{name: result.get(key, math.nan) for name, key in _NUMBERS.items()},
        "rows_nats": result["nats"],
        "rows_fixed_order": result.get("nats_fixed_order", []),
        "rates": {key.removeprefix(RATE): value for key, value in result.items() if key.startswith(RATE)},
        "settings": settings,
    }


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """For each table and method: `seeds`, mean and `_stderr` of each number over them, and `tau`."""
    rows: list[dict[str, Any]] = []
    for (data, method), group in frame.groupby(["data", "method"], sort=True):
        row: dict[str, Any] = {"data": data, "method": method, "seeds": len(group)}
        for name in _NUMBERS:
            row |= {name: group[name].mean(), f"{name}_stderr": group[name].sem()}
        rows.append({**row, "tau": stability(group["rates"].tolist())})
    found: pd.DataFrame = pd.DataFrame(rows)
    return found


def stability(rates: Sequence[dict[str, float]]) -> float:
    """Kendall's τ between the rates of two trainings, averaged over all pairs; NaN for fewer than two or none."""
    from scipy.stats import kendalltau  # type: ignore[import-untyped]

    pairs = [(list(one.values()), list(other.values())) for one, other in itertools.combinations(rates, 2) if one]
    return float(np.mean([kendalltau(*pair).statistic for pair in pairs])) if pairs else math.nan


def differences(frame: pd.DataFrame) -> pd.DataFrame:
    """For each table and learned method, under its own orders and in a fixed order (`measure`): the `mean` difference
    to the control's value of the same, its intervals over seeds, `low` to `high`, and over rows, `rows_low` to
    `rows_high`, and in how many of `seeds` it was `better`."""
    from scipy.stats import norm, t

    key = ["data", "seed", "split"]
    control = frame[frame["method"] == CONTROL].set_index(key).add_suffix("_control")
    joined = frame[frame["method"] != CONTROL].join(control, on=key, how="inner")
    rows = []
    for measure in _MEASURES:
        known = joined[joined[measure].notna()]
        for (data, method), group in known.groupby(["data", "method"], sort=True):
            found = group[measure] - group[f"{measure}_control"]
            seeds, mean = len(found), found.mean()
            error = _over_rows(group[f"rows_{measure}"], group[f"rows_{measure}_control"])
            halves = (_quantile(t, seeds - 1) * found.sem() if seeds > 1 else math.nan, _quantile(norm) * error)
            ends = [mean + sign * half for half in halves for sign in (-1, 1)]
            rows.append((data, method, measure, mean, *ends, int((found < 0).sum()), seeds))
    columns = ["data", "method", "measure", "mean", "low", "high", "rows_low", "rows_high", "better", "seeds"]
    result: pd.DataFrame = pd.DataFrame(rows, columns=columns)
    return result


def _over_rows(learned: Iterable[Sequence[float]], control: Iterable[Sequence[float]]) -> float:
    """Standard error of the mean difference that comes of the rows of each seed."""
    found = [np.subtract(one, other) for one, other in zip(learned, control, strict=True)]
    return math.sqrt(sum(each.var(ddof=1) / len(each) for each in found)) / len(found)


def _quantile(law: Any, *args: float) -> float:
    return float(law.ppf((1 + LEVEL) / 2, *args))


def write(frame: pd.DataFrame, folder: Path) -> list[Path]:
    """Write `orders.csv`, `rates.csv`, `orders.md`, `orders.png` and `.pdf` into `folder`; returns their paths."""
    rates = [
        (row["data"], row["method"], row["seed"], column, rate)
        for row in frame.to_dict("records")
        for column, rate in row["rates"].items()
    ]
    drawn = figure(frame)
    files = {
        "orders.csv": _csv(frame.drop(columns=["rates", "rows_nats", "rows_fixed_order", "folder"])),
        "rates.csv": _csv(pd.DataFrame(rates, columns=["data", "method", "seed", "column", "log_rate"])),
        "orders.md": markdown(frame).encode(),
        "orders.png": picture(drawn, ".png"),
        "orders.pdf": picture(drawn, ".pdf"),
    }
    for name, content in files.items():
        write_file(folder / name, content)
    return [folder / name for name in files]


def _csv(table: pd.DataFrame) -> bytes:
    return table.to_csv(index=False, float_format="%.6g", lineterminator="\n").encode()


def markdown(frame: pd.DataFrame) -> str:
    """What each method reached, and how it differs from the control."""
    body = [
        [
            *map(escape, (row["data"], row["method"])),
            str(row["seeds"]),
            *(_cell(row[name], row[f"{name}_stderr"]) for name in _NUMBERS),
            number(row["tau"], 2),
        ]
        for row in summary(frame).to_dict("records")
    ]
    headers = ["table", "method", "seeds", "own orders", "uniform orders", "fixed order", "entropy", "τ"]
    parts = ["# Learned orders", _LEGEND, _grid(body, headers), "## Against the control", _VERDICTS]
    body = [
        [
            *map(escape, (row["data"], row["method"])),
            _MEASURES[row["measure"]],
            f"{row['mean']:+.3f}",
            _range(row["low"], row["high"]),
            _range(row["rows_low"], row["rows_high"]),
            f"{row['better']} of {row['seeds']}",
        ]
        for row in differences(frame).to_dict("records")
    ]
    parts.append(_grid(body, ["table", "method", "measure", "difference", "over seeds", "over rows", "seeds better"]))
    return "\n\n".join(parts) + "\n"


def _cell(value: float, stderr: float) -> str:
    return "n/a" if math.isnan(value) else with_error(value, stderr)


def _range(low: float, high: float) -> str:
    return "n/a" if math.isnan(low) else f"{low:+.3f} to {high:+.3f}"


def _grid(body: list[list[str]], headers: list[str]) -> str:
    return str(tabulate(body, headers, tablefmt="pipe", disable_numparse=True))


def figure(frame: pd.DataFrame) -> Figure:
    """Above, the differences to the control; below, for each table, the learned rates of each seed."""
    found = differences(frame)
    tables = list(dict.fromkeys(frame[frame["rates"].map(bool) & (frame["method"] != CONTROL)]["data"]))
    with mpl.rc_context(RC):
        made = Figure(figsize=(PAGE, 2.2 + 1.6 * math.ceil(len(tables) / 2)), layout="constrained")
        grid = made.add_gridspec(1 + math.ceil(len(tables) / 2), 2)
        for place, (measure, title) in enumerate(_MEASURES.items()):
            axes = made.add_subplot(grid[0, place])
            _differences(axes, found[found["measure"] == measure])
            axes.set_title(f"{title}, against the control", fontsize=7)
        for place, data in enumerate(tables):
            _rates(made.add_subplot(grid[1 + place // 2, place % 2]), frame[frame["data"] == data], data)
        shown = [name for name in _LOOKS if (frame["method"] == name).any()]
        entries = {name: Line2D([], [], color=_color(name), marker=_LOOKS[name][1]) for name in shown}
        entries["95 % over seeds"] = Line2D([], [], color="0.3", linewidth=0.8)
        entries["95 % over test rows"] = Line2D([], [], color="0.3", linewidth=3, alpha=0.35)
        legend_below(made, entries)
    return made


def _color(method: str) -> str:
    return str(_LOOKS[method][0])


def _differences(axes: Axes, found: pd.DataFrame) -> None:
    tables, methods = list(dict.fromkeys(found["data"])), [name for name in _LOOKS if (found["method"] == name).any()]
    axes.axvline(0, color="0.45", linewidth=0.8, zorder=1)
    for row in found.to_dict("records"):
        place = tables.index(row["data"]) + (methods.index(row["method"]) - (len(methods) - 1) / 2) * 0.2
        color, marker = _LOOKS[row["method"]]
        axes.plot([row["low"], row["high"]], [place, place], color=color, linewidth=0.8)
        axes.plot([row["rows_low"], row["rows_high"]], [place, place], color=color, linewidth=3, alpha=0.35)
        axes.plot(row["mean"], place, color=color, marker=marker)
    axes.set_yticks(range(len(tables)), tables)
    axes.set_ylim(len(tables) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("nats a row; below zero the learned order is better", fontsize=7)


def _rates(axes: Axes, rows: pd.DataFrame, data: str) -> None:
    """Columns by falling rate of the first method, a point for each training."""
    learned = rows[rows["rates"].map(bool) & (rows["method"] != CONTROL)]
    first = learned[learned["method"] == learned["method"].iloc[0]]
    order = pd.DataFrame(first["rates"].tolist()).mean().sort_values(ascending=False, kind="stable").index
    methods = list(dict.fromkeys(learned["method"]))
    axes.axhline(0, color="0.45", linewidth=0.8, zorder=1)
    for row in learned.to_dict("records"):
        color, marker = _LOOKS[row["method"]]
        places = np.arange(len(order)) + (methods.index(row["method"]) - (len(methods) - 1) / 2) * 0.3
        axes.plot(places, [row["rates"][name] for name in order], marker, color=color, markersize=2.2, alpha=0.8)
    axes.set_xticks(range(len(order)), [cut(name, 16) for name in order], rotation=90, fontsize=5)
    axes.grid(visible=False, axis="x")
    axes.set_ylabel("log w", fontsize=7)
    axes.set_title(f"{data}: rates of its columns", fontsize=7)
