"""Scores as they are stored: a summary knows which samples it is of, and a metric may be infinite."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from harness.store.files import encode
from harness.store.records import SampleKey
from harness.store.spelling import spell, unspell


@dataclass(frozen=True)
class MetricValue:
    """A metric of a cell over `n` samples, its standard error and its floor where known (see `SetMetric`)."""

    value: float
    n: int
    stderr: float | None = None
    floor: float | None = None


@dataclass(frozen=True)
class ScoreSummary:
    """The metrics of a cell by key, as one scorer found them under one protocol.

    documents, samples, keys_hash  tell which samples it is of
    """

    scorer: str
    protocol: str | None
    metrics: Mapping[str, MetricValue]
    documents: int
    samples: int
    keys_hash: str

    def covers(self, keys: Iterable[SampleKey]) -> bool:
        """Whether the summary is of exactly these samples; if not, the cell has grown, and needs scoring."""
        return self.keys_hash == hash_keys(keys)

    def to_json(self) -> dict[str, Any]:
        """Plain data for a JSON file."""
        metrics = {key: spell(asdict(value)) for key, value in self.metrics.items()}
        return {**vars(self), "metrics": metrics}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> ScoreSummary:
        """The inverse of `to_json`; raises TypeError or KeyError for other data."""
        metrics = {key: MetricValue(**unspell(value)) for key, value in data["metrics"].items()}
        return cls(**{**data, "metrics": metrics})


def hash_keys(keys: Iterable[SampleKey]) -> str:
    """16 hex digits that name a set of sample keys, whatever its order."""
    return hashlib.sha256(encode(list(map(list, sorted(keys))))).hexdigest()[:16]
