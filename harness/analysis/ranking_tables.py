"""Rankings as Markdown, CSV, JSON and LaTeX, and in words."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd
from tabulate import tabulate

from harness.analysis.paired.estimators import Estimate
from harness.analysis.paired.ranking import Ranking, Standing
from harness.analysis.ranking_words import words
from harness.analysis.tables import CONSOLE_WIDTH, HEADINGS, escape, number
from harness.analysis.units import Units
from harness.store.files import encode

SCHEMA = 2
"""Raised by hand whenever `ranking.json` changes its form."""


def ranking_markdown(rankings: Sequence[Ranking]) -> str:
    """The section of the leaderboard: all tasks at once, a table for each ranking, and what it says in words."""
    parts = ["## Ranking", legend(rankings[0])]
    if across := across_table(rankings):
        parts += ["### All tasks", _ACROSS_LEGEND, _markdown(across)]
    for ranking in rankings:
        parts += [f"### {escape(_title(ranking))}", _markdown(ranking_table(ranking))]
        parts.append(escape(" ".join(words(ranking))))
    return "\n\n".join(parts)


def ranking_text(rankings: Sequence[Ranking]) -> str:
    """What each ranking says, for the console."""
    parts = []
    for ranking in rankings:
        told = textwrap.fill(" ".join(words(ranking)), CONSOLE_WIDTH, initial_indent="  ", subsequent_indent="  ")
        parts.append(f"{_title(ranking)}\n{told}")
    return "\n\n".join(parts) + "\n"


def ranking_latex(rankings: Sequence[Ranking]) -> str:
    """A booktabs table for each ranking, ready to be included."""
    parts = []
    for ranking in rankings:
        title = escape(f"{ranking.task}, {ranking.model}: {ranking.metric.label}").replace("\\", "")
        found = ranking_table(ranking)
        table = tabulate(found.rows, found.headers, tablefmt="latex_booktabs", disable_numparse=True,
                         colalign=found.alignment)  # fmt: skip
        table = re.sub(r"(?<!\w)-(?=\d)", "$-$", table)  # a hyphen is no minus
        parts.append(f"% {title}\n{table}\n")
    return "\n".join(parts)


def ranking_frame(rankings: Sequence[Ranking]) -> pd.DataFrame:
    """One row for each ranked sampler; of the others, `ranking_json` has the reason."""
    rows = [_record(ranking, standing) for ranking in rankings for standing in ranking.standings]
    frame: pd.DataFrame = pd.DataFrame(rows)
    return frame


def ranking_json(rankings: Sequence[Ranking]) -> str:
    """All rankings, with what is left out and the differences of all pairs; unknown is null."""
    return encode({"schema": SCHEMA, "rankings": ranking_data(rankings)}, indent=True).decode() + "\n"


def ranking_data(rankings: Sequence[Ranking]) -> list[dict[str, Any]]:
    """The rankings as plain data."""
    return [
        {
            "task": ranking.task,
            "model": ranking.model,
            "metric": ranking.metric.model_dump(),
            "axis": ranking.axis,
            "span": ranking.span,
            "at": ranking.at,
            "documents": ranking.documents,
            "seeds": ranking.seeds,
            "intervals_from": ranking.basis,
            "standings": [
                vars(each) | {"quality": vars(each.quality), "gain": vars(each.gain)} for each in ranking.standings
            ],
            "effect": ranking.effect and vars(ranking.effect) | {"difference": vars(ranking.effect.difference)},
            "pairs": [vars(each) for each in ranking.pairs],
            "unranked": dict(ranking.unranked),
            "left_out": dict(ranking.left_out),
        }
        for ranking in rankings
    ]


def legend(ranking: Ranking) -> str:
    """What the columns of `ranking_table` are."""
    what = (
        "By area: the mean of the metric over the logarithm of cost, on the range of costs that all ranked samplers "
        "share. "
        if ranking.at is None
        else f"By quality at {HEADINGS[ranking.axis]} {ranking.at:g}, interpolated in the logarithm of cost; a sampler "
        "that ends below it keeps the quality of its most expensive setting. "
    )
    return (
        what + "Intervals are 95 %, over resamples of the documents, the same for all samplers; samplers that share a "
        "letter are not significantly different (5 %, Holm over all pairs). Gain: from a sampler's cheapest to its "
        "most expensive setting. AUP: accuracy under parallelism (Qian et al. 2026, arXiv 2601.07568)."
    )


_ACROSS_LEGEND = (
    "Rank on each task, with its 95 % interval; –: not ranked there. Sorted by the number of tasks that rank a "
    "sampler, then by its mean rank on them."
)


class Table(NamedTuple):
    """Headers, alignments (`left`, `right`), rows of texts, and what rows are sorted by: numbers, or the texts."""

    headers: list[str]
    alignment: list[str]
    rows: list[list[str]]
    values: list[list[Any]]


def across_table(rankings: Sequence[Ranking]) -> Table | None:
    """All tasks: one row for each sampler that is ranked against others anywhere; None for fewer than two tasks."""
    rankings = [ranking for ranking in rankings if ranking.pairs]
    if len(rankings) < 2:
        return None
    places = [{each.label: each for each in ranking.standings} for ranking in rankings]
    ranks = {
        label: [place[label].rank for place in places if label in place]
        for label in dict.fromkeys(label for place in places for label in place)
    }
    order = sorted(ranks, key=lambda label: (-len(ranks[label]), sum(ranks[label]) / len(ranks[label]), label))
    models = {ranking.model for ranking in rankings}
    tasks = {ranking.task for ranking in rankings}
    names = [
        ranking.task if len(models) == 1 else ranking.model if len(tasks) == 1 else f"{ranking.task} · {ranking.model}"
        for ranking in rankings
    ]
    rows, values = [], []
    for label in order:
        mean = sum(ranks[label]) / len(ranks[label])
        found = [place.get(label) for place in places]
        rows.append(
            [label, f"{mean:.1f}", str(len(ranks[label]))]
            + [f"{each.rank} ({_rank_interval(each)})" if each else "–" for each in found]
        )
        values.append([label, mean, len(ranks[label]), *(each.rank if each else None for each in found)])
    return Table(["sampler", "mean rank", "tasks", *names], ["left"] + ["right"] * (2 + len(names)), rows, values)


def ranking_table(ranking: Ranking) -> Table:
    """One row for each ranked sampler, best first."""
    units = Units(ranking.fraction, ranking.metric.unit)
    quality = "area" if ranking.at is None else f"at {HEADINGS[ranking.axis]} {ranking.at:g}"
    headers = ["rank", "95 % interval", "sampler", quality, "95 % interval", "tied", "gain", "95 % interval", "AUP"]
    alignment = ["right", "right", "left", "right", "right", "left", "right", "right", "right"]
    rows, values = [], []
    for each in ranking.standings:
        rows.append(
            [
                str(each.rank),
                _rank_interval(each),
                each.label,
                units.value(each.quality.value, each.quality.stderr),
                units.interval(each.quality),
                each.group,
                units.signed(each.gain.value, each.gain.stderr),
                units.bounds(each.gain),
                number(each.aup, 4),
            ]
        )
        quality_of, gain = each.quality.value, each.gain.value
        values.append([each.rank, each.low, each.label, quality_of, quality_of, each.group, gain, gain, each.aup])
    kept = len(headers) - all(math.isnan(standing.aup) for standing in ranking.standings)
    return Table(headers[:kept], alignment[:kept], [row[:kept] for row in rows], [row[:kept] for row in values])


def _title(ranking: Ranking) -> str:
    metric = ranking.metric
    better = "higher is better" if metric.direction == "higher" else "lower is better"
    return f"{ranking.task} · {ranking.model}: {metric.label}{' in percent' * ranking.fraction} ({better})"


def _markdown(table: Table) -> str:
    rows = [[escape(text) for text in row] for row in table.rows]
    text: str = tabulate(
        rows, [*map(escape, table.headers)], tablefmt="pipe", disable_numparse=True, colalign=table.alignment
    )
    return text


def _rank_interval(standing: Standing) -> str:
    return f"{standing.low}–{standing.high}" if standing.low < standing.high else str(standing.low)


def _record(ranking: Ranking, standing: Standing) -> dict[str, Any]:
    def spread(name: str, estimate: Estimate) -> dict[str, float]:
        return {name: estimate.value, f"{name}_low": estimate.low, f"{name}_high": estimate.high}

    return {
        "schema": SCHEMA,
        "task": ranking.task,
        "model": ranking.model,
        "metric": ranking.metric.key,
        "axis": ranking.axis,
        "at": ranking.at,
        "cost_low": ranking.span[0],
        "cost_high": ranking.span[1],
        "documents": ranking.documents,
        "seeds": ranking.seeds,
        "sampler": standing.label,
        "rank": standing.rank,
        "rank_low": standing.low,
        "rank_high": standing.high,
        **spread("quality", standing.quality),
        "tied": standing.group,
        **spread("gain", standing.gain),
        "aup": standing.aup,
    }
