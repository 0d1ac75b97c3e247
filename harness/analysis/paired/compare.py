"""Two curves against each other: at the same settings, at the same cost, over all costs, and at the same quality."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from harness.analysis.paired.bootstrap import Array, seed_variance
from harness.analysis.paired.estimators import (
    Curve,
    Estimate,
    first_cost,
    mean_quality,
    quality_at,
    support,
)
from harness.analysis.paired.load import Paired
from harness.analysis.paired.resample import Resampled
from harness.analysis.paired.significance import holm, mcnemar, sign_flips, wald


@dataclass(frozen=True)
class Selection:
    """A curve, or the one `setting` of it that was asked for."""

    label: str
    setting: str | None = None

    def places(self, paired: Paired) -> list[int]:
        """The places of what is selected among the K settings."""
        return [k for k in paired.of(self.label) if self.setting in (None, paired.settings[k])]

    def __str__(self) -> str:
        return self.label if self.setting is None else f"{self.label}@{self.setting}"


@dataclass(frozen=True)
class AtSetting:
    """A and B at one setting each: their costs, qualities, B − A, and what that is tested by.

    test     `McNemar` (verdicts on independent documents, one seed), `sign flips` (means on documents, clusters), or
             `normal` (a metric of the whole set)
    p, holm  two-sided p, and adjusted for the number of settings
    unpaired standard error of the difference if the documents were not the same
    """

    setting_a: str
    setting_b: str
    cost_a: float
    cost_b: float
    a: Estimate
    b: Estimate
    difference: Estimate
    unpaired: float
    test: str
    p: float
    holm: float = math.nan


@dataclass(frozen=True)
class AtCost:
    """A at a cost; B at the same measured cost, interpolated; and what B needs for A's quality there.

    setting   A's setting of this cost; None at a cost that was asked for
    b, difference   None where B's curve does not span this cost
    speed_up  B's cost / A's cost at equal quality; infinite where B's interpolated curve does not reach that quality
    reached   share of resamples in which it does
    at_start  share in which B's cheapest setting has it already, so that the ratio is an upper bound
    """

    setting: str | None
    cost: float
    a: Estimate
    b: Estimate | None
    difference: Estimate | None
    speed_up: Estimate
    reached: float
    at_start: float


@dataclass(frozen=True)
class Comparison:
    """Everything that is known about B against A.

    higher      whether higher is better
    at_costs    at A's settings, from the cheapest on, or at the one cost asked for
    best        the place among these of A's best quality, the cheapest of equals
    span, area  the costs that both curves cover, and the mean of B − A over their logarithm; None where there are none
    seed_share  of the variance between seeds, the part that the noise of documents does not explain; NaN for one seed,
                or for a metric of the whole set
    """

    a: Selection
    b: Selection
    higher: bool
    at_settings: tuple[AtSetting, ...]
    at_costs: tuple[AtCost, ...]
    best: int
    span: tuple[float, float] | None
    area: Estimate | None
    seed_share: float

    @property
    def stderr(self) -> float:
        """The largest standard error of a difference at a setting, or else at a cost; NaN where there is none."""
        found = [row.difference.stderr for row in self.at_settings]
        found = found or [row.difference.stderr for row in self.at_costs if row.difference]
        return max(found, default=math.nan)


def compare(found: Resampled, a: Selection, b: Selection, higher: bool, at: float | None = None) -> Comparison:
    """B against A; `at` asks for one cost, within A's curve, in place of A's own settings."""
    curve_a, curve_b = (found.curve(each.places(found.paired)) for each in (a, b))
    low, high = support([curve_a, curve_b])
    wide = high[0] > low[0] * (1 + 1e-9)
    area = mean_quality(curve_b, low, high) - mean_quality(curve_a, low, high) if wide else None
    sign = 1 if higher else -1
    places = _by_cost(found, a)
    if at is None:
        at_costs = [
            _at_cost(found.paired.settings[k], found.cost[:, k], found.quality[:, k], curve_b, sign) for k in places
        ]
    else:
        cost = np.full(len(found.cost), at)
        at_costs = [_at_cost(None, cost, quality_at(curve_a, cost), curve_b, sign)]
    between, noise = seed_variance(found.paired.values) if found.paired.stderrs is None else (0.0, 0.0)
    return Comparison(
        a,
        b,
        higher,
        _at_settings(found, a, b),
        tuple(at_costs),
        int(np.argmax([sign * row.a.value for row in at_costs])),
        (float(low[0]), float(high[0])) if wide else None,
        None if area is None else Estimate.of(area),
        max(0.0, 1 - noise / between) if between > 0 else math.nan,
    )


def _by_cost(found: Resampled, selection: Selection) -> list[int]:
    """The places of the selected settings, from the cheapest on."""
    return sorted(selection.places(found.paired), key=lambda k: float(found.cost[0, k]))


def _at_settings(found: Resampled, a: Selection, b: Selection) -> tuple[AtSetting, ...]:
    """Where A and B have a setting of the same name, or only one each."""
    settings = found.paired.settings
    places_a, places_b = _by_cost(found, a), _by_cost(found, b)
    of_b = {settings[k]: k for k in places_b}
    pairs = [(k, of_b[settings[k]]) for k in places_a if settings[k] in of_b]
    if len(places_a) == len(places_b) == 1:
        pairs = [(places_a[0], places_b[0])]
    rows = [_at_setting(found, *pair) for pair in pairs]
    adjusted = holm([row.p for row in rows])
    return tuple(AtSetting(**{**vars(row), "holm": p}) for row, p in zip(rows, adjusted, strict=True))


def _at_setting(found: Resampled, a: int, b: int) -> AtSetting:
    paired, quality, cost = found.paired, found.quality, found.cost
    of_a, of_b = Estimate.of(quality[:, a]), Estimate.of(quality[:, b])
    difference = Estimate.of(quality[:, b] - quality[:, a])
    test, p = _test(found, a, b, difference)
    return AtSetting(
        paired.settings[a], paired.settings[b], float(cost[0, a]), float(cost[0, b]),
        of_a, of_b, difference, math.hypot(of_a.stderr, of_b.stderr), test, p,
    )  # fmt: skip


def _test(found: Resampled, a: int, b: int, difference: Estimate) -> tuple[str, float]:
    paired = found.paired
    if paired.of_set is not None:
        return "normal", wald(difference.value, difference.stderr)
    first, second = paired.values[a].mean(axis=0), paired.values[b].mean(axis=0)
    independent = len(paired.design.stratum) == len(paired.documents)
    if independent and np.isin(paired.values[[a, b]], (0, 1)).all() and paired.values.shape[1] == 1:
        return "McNemar", mcnemar(second, first)
    return "sign flips", sign_flips(second - first, paired.design)


def _at_cost(setting: str | None, cost: Array, quality: Array, b: Curve, sign: int) -> AtCost:
    """A's `quality` at its `cost` (1 + R,), against B's curve."""
    spanned = b.cost[0, 0] * (1 - 1e-9) <= cost[0] <= b.cost[0, -1] * (1 + 1e-9)
    of_b = quality_at(b, cost)
    better = Curve(b.cost, sign * b.quality)
    ratio = first_cost(better, sign * quality) / cost
    return AtCost(
        setting,
        float(cost[0]),
        Estimate.of(quality),
        Estimate.of(of_b) if spanned else None,
        Estimate.of(of_b - quality) if spanned else None,
        Estimate.of(ratio),
        float(np.isfinite(ratio[1:]).mean()),
        float((better.quality[1:, 0] >= sign * quality[1:]).mean()),
    )
