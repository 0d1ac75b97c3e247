"""Leaderboard and summaries as text: Markdown for the report, plain for the console."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence

import pandas as pd
from tabulate import tabulate

from harness.analysis.curves import COSTS, metric_columns
from harness.analysis.leaderboard import Entry, Summary, leaderboard, primary_first, summaries
from harness.spec import MetricSpec, Reported, TaskFile

CONSOLE_WIDTH = 100

HEADINGS = {
    "nfe": "NFE",
    "nfe_nominal": "nominal NFE",
    "depth": "depth",
    "token_forwards": "token-forwards",
    "flops": "FLOPs",
    "output_tokens": "output tokens",
    "seconds": "seconds",
    "joules": "joules",
}
MARKDOWN_MARKS = {"best": "**{}**", "tie": "*{}*", "": "{}"}
CONSOLE_MARKS = {"best": "{}*", "tie": "{}~", "": "{} "}


def markdown(
    table: pd.DataFrame,
    tasks: Mapping[str, TaskFile],
    ranking: str = "",
    problems: Sequence[str] = (),
    published: Sequence[Reported] = (),
) -> str:
    """The whole leaderboard as a Markdown document: what is not in it, the summaries, the section `ranking` where there
    is one, what others `published`, then all settings task by task."""
    found = summaries(table, tasks)
    parts = ["# Leaderboard"]
    if problems:
        parts += ["## Not shown", "\n".join(f"* {escape(problem)}" for problem in problems)]
    if found:
        parts += ["## Best within a number of NFE", _LEGEND]
    for summary in found:
        parts += [f"### {escape(_heading(summary))}", _grid(summary, escape, MARKDOWN_MARKS, "pipe")]
        parts.append(escape(_sample_note(summary)))
    parts += [ranking] if ranking else []
    if published:
        reported = [f"| {escape(each.metric)} | {each.value:g} | {escape(each.source)} |" for each in published]
        head = ["| metric | value | source |", "| --- | --- | --- |"]
        parts += ["## Published numbers", _PUBLISHED_LEGEND, "\n".join([*head, *dict.fromkeys(reported)])]
    parts += ["## All settings", _SETTINGS_LEGEND]
    board = leaderboard(table, tasks)
    for name, rows in board.groupby("task", sort=True):
        parts += [f"### {escape(str(name))}", _all_settings(rows, tasks[str(name).partition("@")[0]])]
    parts += map(escape, timing_note(table))
    return "\n\n".join(parts) + "\n"


def timing_note(table: pd.DataFrame) -> list[str]:
    """How the cells were timed that were, and a warning where this differs."""
    ways = sorted(set(table["timed"].dropna())) if "timed" in table else []
    if not ways:
        return []
    told = f"Seconds and joules are those of timing runs: {'; '.join(ways)}."
    return [told + " These differ: do not compare across them." * (len(ways) > 1)]


def summary_text(table: pd.DataFrame, tasks: Mapping[str, TaskFile]) -> str:
    """The summaries for the end of a run on the console, at most `CONSOLE_WIDTH` characters wide."""
    blocks = []
    for summary in summaries(table, tasks):
        heading = cut(_printable(_heading(summary)), CONSOLE_WIDTH)
        blocks.append(f"{heading}\n{_narrow_grid(summary)}\n{_sample_note(summary)}")
    if not blocks:
        return "No scores of a primary metric yet.\n"
    legend = "Best setting within so many NFE, as measured on the same documents. * best, ~ within one stderr."
    return "\n\n".join([*blocks, legend]) + "\n"


def escape(text: str) -> str:
    """Text that Markdown shows as it is, in a table cell too: no markup, no line break, no HTML."""
    text = re.sub(r"([\\`*\[\]<>|#])", r"\\\1", _printable(text))
    return re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", text)  # an underscore inside a word is no markup


def number(value: float, digits: int = 3) -> str:
    """A value to so many significant digits, without an exponent where that stays readable; "–" if unknown."""
    if not math.isfinite(value):
        return "–"
    if value != 0 and not 1e-5 <= abs(value) < 1e7:
        return f"{value:.{digits - 1}e}"
    return f"{value:.{decimals(value, digits)}f}"


def with_error(value: float, stderr: float) -> str:
    """`0.123 ± 0.012`: the standard error to two digits, the value to the same place."""
    if not math.isfinite(stderr) or not math.isfinite(value):
        return number(value, 4)
    if not 1e-5 <= stderr < 1e7:
        return f"{number(value, 4)} ± {number(stderr, 2) if stderr else 0}"
    places = decimals(stderr, 2)
    return f"{value:.{places}f} ± {stderr:.{places}f}"


_ROWS = 16
"""Samplers in a table of the console, where there are more."""

_PUBLISHED_LEGEND = (
    "What the literature reports for these evaluations, to compare with: not measured here. Prompts, lengths and the "
    "reading of answers differ where the source says so."
)
_SETTINGS_LEGEND = (
    "Costs are means per sample; metrics are means over seeds ± one standard error. ✓: on the Pareto frontier of NFE "
    "and the first metric, so that every better setting of the model costs more. Settings with less than half of the "
    "documents of the fullest one are listed here, and are in no other table and on no curve."
)
_LEGEND = (
    "Each entry is the best setting of a sampler within so many NFE (sequence-forwards per sample), chosen by the "
    "primary metric as measured on the same documents, so a sampler with more settings has more chances. "
    "**Bold**: best of the column; *italic*: within one standard error of it; –: no setting fits."
)


def _heading(summary: Summary) -> str:
    metric = summary.panel.metric
    better = "higher is better" if metric.direction == "higher" else "lower is better"
    unit = f", {metric.unit}" if metric.unit else ""
    return f"{summary.panel.task} · {summary.panel.model}: {metric.label}{unit} ({better})"


def _sample_note(summary: Summary) -> str:
    """How much was measured, and a warning where the settings differ in it."""
    points = summary.panel.points
    documents, seeds = (_span(points[name]) for name in ("documents", "seeds"))
    uneven = " The settings differ in what was measured: compare with care." if "–" in documents + seeds else ""
    return f"Documents: {documents}. Seeds: {seeds}.{uneven}"


def _span(counts: pd.Series[int]) -> str:
    low, high = int(counts.min()), int(counts.max())
    return str(low) if low == high else f"{low}–{high}"


def _grid(summary: Summary, clean: Callable[[str], str], marks: Mapping[str, str], style: str) -> str:
    """The small table of a summary, the floor as its last row."""

    def show(entry: Entry | None) -> str:
        return marks["" if entry is None else entry.mark].format("–" if entry is None else number(entry.value))

    headers = ["sampler", *(f"≤ {ceiling:g}" if ceiling < math.inf else "any" for ceiling in summary.ceilings)]
    rows = [[clean(label), *map(show, entries)] for label, entries in summary.rows.items()]
    if not math.isnan(summary.panel.floor):
        floor = marks[""].format(number(summary.panel.floor))
        rows.append([summary.panel.floor_name, *[floor] * len(summary.ceilings)])
    return _tabulate(rows, headers, style, texts=1)


def _narrow_grid(summary: Summary) -> str:
    """The small table within the console's width: every second, third, … ceiling where they are too many."""
    for stride in range(1, len(summary.ceilings) + 1):
        kept = range((len(summary.ceilings) - 1) % stride, len(summary.ceilings), stride)
        grid = _grid(_take(summary, kept), lambda text: cut(_printable(text), 40), CONSOLE_MARKS, "simple")
        if max(map(len, grid.splitlines())) <= CONSOLE_WIDTH:
            break
    more = len(summary.rows) - _ROWS
    return f"{grid}\n… and {more} more in leaderboard.md" if more > 0 else grid


def _take(summary: Summary, columns: Sequence[int]) -> Summary:
    """The summary with some of its columns, and its first rows."""
    return Summary(
        summary.panel,
        tuple(summary.ceilings[i] for i in columns),
        {label: tuple(entries[i] for i in columns) for label, entries in [*summary.rows.items()][:_ROWS]},
    )


def _all_settings(rows: pd.DataFrame, file: TaskFile) -> str:
    """The long table of one task, without the columns that nothing is known of."""
    costs = [cost for cost in COSTS if rows[cost].notna().any()]
    metrics = [metric for metric in primary_first(file) if rows[metric_columns(metric.key)[0]].notna().any()]
    names = ["model", "sampler", "setting"]
    headers = [
        *names,
        "Pareto",
        "seeds",
        "documents",
        *(HEADINGS[cost] for cost in costs),
        *map(_metric_heading, metrics),
    ]
    body = [
        [
            *(escape(row[name]) or "–" for name in names),
            "✓" * bool(row["pareto"]),
            str(row["seeds"]),
            str(row["documents"]),
            *(_count(row[cost]) for cost in costs),
            *(with_error(*(row[name] for name in metric_columns(metric.key)[:2])) for metric in metrics),
        ]
        for row in rows.to_dict("records")
    ]
    for model, its_rows in rows.groupby("model", sort=True):
        floors = [float(its_rows[metric_columns(metric.key)[2]].mean()) for metric in metrics]
        if not all(map(math.isnan, floors)):
            blank = [""] * (len(headers) - len(floors) - 2)
            body.append([escape(str(model)), "floor", *blank, *map(number, floors)])
    return _tabulate(body, headers, "pipe", texts=len(names))


def _metric_heading(metric: MetricSpec) -> str:
    unit = f" ({metric.unit})" if metric.unit else ""
    return escape(f"{metric.label}{unit} {'↑' if metric.direction == 'higher' else '↓'}")


def _tabulate(rows: Sequence[Sequence[str]], headers: Sequence[str], style: str, texts: int) -> str:
    align = ["left"] * texts + ["right"] * (len(headers) - texts)
    text: str = tabulate(rows, headers, tablefmt=style, disable_numparse=True, colalign=align if rows else None)
    return text


def _count(value: float) -> str:
    return f"{value:.0f}" if value < 1e7 and value == round(value) else number(value, 4)


def decimals(value: float, digits: int) -> int:
    """Decimal places that show so many significant digits of a value."""
    return 0 if value == 0 else max(0, digits - 1 - math.floor(math.log10(abs(value))))


def _printable(text: str) -> str:
    """No control characters, so no line break and no terminal escape."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", text)


def cut(text: str, width: int) -> str:
    """No longer than `width`, its end replaced by … where it was."""
    return text if len(text) <= width else text[: width - 1] + "…"
