"""Numbers as JSON can hold them: numpy's made plain, and what is not finite spelt out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

_NON_FINITE = ("NaN", "Infinity", "-Infinity")


def spell(value: Any) -> Any:
    """`value` with numpy scalars made plain and non-finite floats spelt out, as JSON has none.

    An infinite metric is a result (an impossible sample has infinite NLL): null, which means unknown, would hide it.
    """
    if isinstance(value, Mapping):
        return {key: spell(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        kinds = set(map(type, value))
        if kinds <= {bool, int} or (kinds == {float} and all(map(math.isfinite, value))):  # most are, and some are long
            return list(value)
        return [spell(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def unspell(value: Any) -> Any:
    """The inverse of `spell`."""
    if isinstance(value, dict):
        return {key: unspell(item) for key, item in value.items()}
    if isinstance(value, list):
        return [unspell(item) for item in value]
    return float(value) if isinstance(value, str) and value in _NON_FINITE else value
