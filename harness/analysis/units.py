"""How the values of a metric are told: shares of right answers in points of a hundred, others in significant digits."""

from __future__ import annotations

import math
from dataclasses import dataclass

from harness.analysis.paired.estimators import Estimate
from harness.analysis.tables import decimals, number


@dataclass(frozen=True)
class Units:
    """fraction: the values lie in [0, 1] and are told in points of a hundred; name: the metric's unit otherwise."""

    fraction: bool
    name: str = ""

    def value(self, value: float, stderr: float = math.nan) -> str:
        """`61.2`; of no fraction, to the second digit of its standard error, or else to three digits."""
        if self.fraction and math.isfinite(value):
            return f"{100 * value:.1f}"
        if math.isfinite(value) and 1e-5 <= stderr < 1e7:
            return f"{value:.{decimals(stderr, 2)}f}"
        return number(value)

    def signed(self, value: float, stderr: float = math.nan) -> str:
        """`+3.4`"""
        text = self.value(value, stderr)
        return text if text.startswith("-") or not math.isfinite(value) else f"+{text}"

    def amount(self, value: float) -> str:
        """`3.4 points`"""
        return self._named(self.value(value))

    def interval(self, estimate: Estimate) -> str:
        """`1.2–5.6`, that of a value."""
        return "–".join(self.value(end, estimate.stderr) for end in (estimate.low, estimate.high))

    def bounds(self, estimate: Estimate) -> str:
        """`+1.2, +5.6`, the interval of a difference."""
        if math.isnan(estimate.low):
            return "unknown"
        return ", ".join(self.signed(end, estimate.stderr) for end in (estimate.low, estimate.high))

    def difference(self, estimate: Estimate) -> str:
        """`+3.4 points [+1.2, +5.6]`"""
        return f"{self._named(self.signed(estimate.value, estimate.stderr))} [{self.bounds(estimate)}]"

    def _named(self, text: str) -> str:
        return f"{text} {'points' if self.fraction else self.name}".strip()
