"""A comparison of two curves in words and two small tables, at most a console wide."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import asdict
from typing import TypeVar

from tabulate import tabulate

from harness.analysis.paired.bootstrap import RESAMPLES
from harness.analysis.paired.compare import AtCost, AtSetting
from harness.analysis.paired.estimators import Estimate
from harness.analysis.paired.panels import PanelComparison
from harness.analysis.paired.significance import documents_needed, minimum_detectable
from harness.analysis.tables import CONSOLE_WIDTH, HEADINGS, number
from harness.analysis.units import Units
from harness.store.files import encode
from harness.store.spelling import spell

SCHEMA = 1
"""Raised by hand whenever the JSON changes its form."""

_Row = TypeVar("_Row")

_SHOWN = 8
"""Rows of a table; beyond, every second, third, …"""

_CENSORED = 0.025
"""Share of resamples beyond which a bound of an interval is only known to be at most, or not reached."""


def comparison_text(panel: PanelComparison, resamples: int = RESAMPLES) -> str:
    """One screen: what was compared, the verdict in words, the numbers, and what more data would give."""
    return _Text(panel, resamples).render()


def comparison_json(panels: Sequence[PanelComparison], problems: Sequence[str], resamples: int = RESAMPLES) -> str:
    """All numbers of all panels, infinities spelt out; unknown is null."""
    content = {
        "schema": SCHEMA,
        "resamples": resamples,
        "panels": [
            {
                "task": panel.task,
                "model": panel.model,
                "metric": panel.metric.key,
                "axis": panel.axis,
                "documents": len(panel.paired.documents),
                "seeds": list(panel.paired.seeds),
                "left_out": dict(panel.paired.left_out),
                **asdict(panel.comparison),
            }
            for panel in panels
        ],
        "problems": list(problems),
    }
    return encode(_known(spell(content)), indent=True).decode()


def _known(value: object) -> object:
    """`value` with null for NaN."""
    if isinstance(value, dict):
        return {key: _known(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_known(item) for item in value]
    return None if value == "NaN" else value


class _Text:
    def __init__(self, panel: PanelComparison, resamples: int) -> None:
        self.panel, self.found, self.resamples = panel, panel.comparison, resamples
        self.cost = HEADINGS[panel.axis]
        self.units = Units(panel.fraction, panel.metric.unit)
        self.points = all(len(each.places(panel.paired)) == 1 for each in (self.found.a, self.found.b))

    def render(self) -> str:
        paragraphs = [self._heading(), "\n".join(map(_wrap, self._verdict()))]
        if self.found.at_settings:
            title = "At one setting each" if self.points else "At the same setting"
            paragraphs.append(f"{title}\n{self._settings_table()}")
        if not self.points:
            title = f"At the same measured {self.cost}, interpolated in its logarithm"
            paragraphs.append(f"{title}\n{self._costs_table()}")
        paragraphs.append("\n".join(map(_wrap, self._notes())))
        return "\n\n".join(paragraphs) + "\n"

    def _heading(self) -> str:
        panel, paired = self.panel, self.panel.paired
        better = "higher" if self.found.higher else "lower"
        metric = f"{panel.metric.label} in percent" if panel.fraction else panel.metric.label
        seeds = len(paired.seeds)
        seeds_told = f"{seeds} seed{'s' * (seeds > 1)} in common" if seeds else "no seed in common"
        return "\n".join(
            [
                _wrap(f"{panel.task} · {panel.model}: {metric} ({better} is better)"),
                _wrap(f"A = {self.found.a}"),
                _wrap(f"B = {self.found.b}"),
                f"{len(paired.documents)} documents that both have, {seeds_told}",
            ]
        )

    # In words

    def _verdict(self) -> list[str]:
        if self.points:
            return [self._of_settings()]
        return [line for line in (self._of_area(), self._of_settings(), self._of_speed()) if line]

    def _of_area(self) -> str:
        area, span = self.found.area, self.found.span
        if area is None or span is None:
            return f"A and B share no range of {self.cost}: no comparison over all costs."
        over = f"over {self.cost} {_cost(span[0])} to {_cost(span[1])}"
        return f"{self._better(area)} on average {over}: {self.units.difference(area)}."

    def _of_settings(self) -> str:
        rows = self.found.at_settings
        if not rows:
            return ""
        if len(rows) == 1:
            only = rows[0].difference
            where = "" if self.points else f" at {_setting(rows[0])}"
            return f"{self._better(only)}{where}: {self.units.difference(only)}."
        decided = [self._sign(row.difference.value) for row in rows if row.holm < 0.05]
        better, worse = decided.count(1), decided.count(-1)
        return f"At the same setting, B is better at {better} and worse at {worse} of {len(rows)} (5 %, Holm)."

    def _of_speed(self) -> str:
        row = self.found.at_costs[self.found.best]
        where = "A's best quality" if len(self.found.at_costs) > 1 else "A's quality"
        at = f"{self.units.value(row.a.value)} at {self.cost} {_cost(row.cost)}"
        if row.speed_up.value == math.inf:
            return f"B as measured does not reach {where} ({at}); in {row.reached:.0%} of the resamples it does."
        if row.at_start > 0.5:
            return (
                f"B's cheapest setting has {where} ({at}) already, at {number(row.speed_up.value, 2)}x the {self.cost}."
            )
        interval = f"[{self._interval_of_ratio(row)}]"
        return f"For {where} ({at}), B needs {number(row.speed_up.value, 2)}x the {self.cost} {interval}."

    def _better(self, difference: Estimate) -> str:
        if not difference.excludes_zero:
            return "No difference is shown"
        return "B is better" if self._sign(difference.value) > 0 else "B is worse"

    def _sign(self, value: float) -> int:
        return (1 if value > 0 else -1) * (1 if self.found.higher else -1)

    # Tables

    def _settings_table(self) -> str:
        headers = [
            "setting",
            f"A's {self.cost}",
            f"B's {self.cost}",
            "A",
            "B",
            "B − A",
            "95 % interval",
            "p",
            "p (Holm)",
        ]
        rows = [
            [
                _setting(row),
                _cost(row.cost_a),
                _cost(row.cost_b),
                self.units.value(row.a.value, row.a.stderr),
                self.units.value(row.b.value, row.b.stderr),
                self.units.signed(row.difference.value, row.difference.stderr),
                self.units.bounds(row.difference),
                _p(row.p),
                _p(row.holm),
            ]
            for row in _thinned(self.found.at_settings)
        ]
        return _table(headers, rows)

    def _costs_table(self) -> str:
        headers = [self.cost, "A", "B", "B − A", "95 % interval", "B needs", "95 % interval", "reached"]
        rows = []
        for row in _thinned(self.found.at_costs):
            known = row.b is not None and row.difference is not None
            rows.append(
                [
                    _cost(row.cost),
                    self.units.value(row.a.value, row.a.stderr),
                    self.units.value(row.b.value, row.b.stderr) if row.b else "–",
                    self.units.signed(row.difference.value, row.difference.stderr) if row.difference else "–",
                    self.units.bounds(row.difference) if row.difference and known else "–",
                    self._ratio(row) + "x" * (row.speed_up.value < math.inf),
                    self._interval_of_ratio(row),
                    f"{row.reached:.0%}",
                ]
            )
        return _table(headers, rows)

    def _ratio(self, row: AtCost) -> str:
        return _ratio(row.speed_up.value, row.at_start > 0.5)

    def _interval_of_ratio(self, row: AtCost) -> str:
        low = _ratio(row.speed_up.low, row.at_start > _CENSORED)
        return f"{low}, {_ratio(row.speed_up.high, row.at_start > 1 - _CENSORED)}"

    # What it rests on

    def _notes(self) -> list[str]:
        cost, paired = self.cost, self.panel.paired
        needs = f"“B needs”: the {cost} at which B first has A's quality, over A's; “reached”: in so many resamples."
        notes = [*[needs] * (not self.points), self._method(), *self._power()]
        if not math.isnan(self.found.seed_share):
            own = f"{self.found.seed_share:.0%}"
            notes.append(f"Of the variance between seeds, {own} is more than the noise of documents explains.")
        left_out = [f"{name} ({why})" for name, why in paired.left_out.items()]
        if left_out:
            more = f", and {len(left_out) - 3} more" if len(left_out) > 3 else ""
            notes.append(f"Left out: {', '.join(left_out[:3])}{more}.")
        return notes

    def _method(self) -> str:
        if self.panel.paired.basis == "resampled parts of documents":
            return (
                f"{self.panel.metric.label} belongs to the whole set: intervals are from {self.resamples:,} resamples "
                "of each document's part in it, the same for A and B; p is normal."
            )
        if self.panel.paired.basis == "stored standard errors":
            return (
                f"{self.panel.metric.label} belongs to the whole set: intervals and p are from the standard errors "
                "stored with it (normal, A and B as if independent), not from documents."
            )
        tests = {row.test for row in self.found.at_settings}
        told = {"McNemar": "p is of the exact McNemar test.", "sign flips": "p is of random sign flips of documents."}
        tested = " ".join(told[test] for test in sorted(tests) if test in told)
        return f"Intervals are from {self.resamples:,} resamples of documents, the same for A and B. {tested}".strip()

    def _power(self) -> list[str]:
        stderr = self.found.stderr
        if math.isnan(stderr) or stderr == 0:
            return []
        seen = f"A difference of {self.units.amount(minimum_detectable(stderr))} would be found with 80 % power"
        if not self.panel.fraction or self.panel.paired.of_set is not None:
            return [seen + "."]
        needed = documents_needed(stderr, len(self.panel.paired.documents))
        return [f"{seen}; ±1 point at 95 % takes {needed:,} documents."]


def _setting(row: AtSetting) -> str:
    return row.setting_a or "–" if row.setting_a == row.setting_b else "A → B"


def _cost(value: float) -> str:
    return f"{value:.4g}" if value < 1e4 else number(value)


def _ratio(value: float, at_most: bool) -> str:
    if value == math.inf:
        return "not reached"
    return f"{'≤ ' * at_most}{number(value, 2)}"


def _p(value: float) -> str:
    if math.isnan(value):
        return "–"
    return "< 0.0001" if value < 1e-4 else number(value, 2)


def _thinned(rows: Sequence[_Row]) -> Sequence[_Row]:
    """Not more rows than a screen has, the last one kept."""
    stride = math.ceil(len(rows) / _SHOWN)
    return rows[(len(rows) - 1) % stride :: stride] if rows else rows


def _table(headers: list[str], rows: list[list[str]]) -> str:
    align = ["left"] + ["right"] * (len(headers) - 1)
    return str(tabulate(rows, headers, tablefmt="simple", disable_numparse=True, colalign=align))


def _wrap(text: str) -> str:
    return textwrap.fill(text, CONSOLE_WIDTH)
