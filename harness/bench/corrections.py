"""How well each correction score finds known errors, and what it costs."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from harness.bench.correction_scores import NEEDS, SCORES
from harness.bench.injection import Clean, Injected, Setting, clean_rows, inject
from harness.engine.cost import Meter
from harness.engine.proxy import CountingProxy
from harness.metrics.clustered import clustered_mean
from harness.metrics.detection import auroc, average_precision, harm_rate
from harness.models.base import Denoiser

METRICS = {"auroc": auroc, "average_precision": average_precision, "harm_rate": harm_rate}

Values = dict[str, NDArray[np.float64]]
Record = dict[str, str | int | float | None]


@dataclass(frozen=True)
class Options:
    """What is measured: every combination of ratios, shares and seeds, on the first `documents` clean rows; `steps`
    steps a decoding; `batch_size` rows a call, which changes no result but by rounding."""

    mask_ratios: Sequence[float] = (0.0, 0.25, 0.5, 0.75)
    error_shares: Sequence[float] = (0.05, 0.1, 0.2)
    seeds: Sequence[int] = (0, 1, 2)
    documents: int = 64
    steps: int = 8
    batch_size: int = 64


def measure(model: Denoiser, name: str, options: Options, progress: Callable[[str], None] = print) -> list[Record]:
    """One record for each score, mask ratio and error share: means over documents and seeds, with standard errors
    clustered by document, and the cost of a row. A score that the model cannot serve has None instead of numbers."""
    rows = clean_rows(model, name, options.documents)
    records = []
    for ratio, share in itertools.product(options.mask_ratios, options.error_shares):
        settings = [Setting(ratio, share, options.steps, seed) for seed in options.seeds]
        progress(f"{name}: mask ratio {ratio:g}, errors {share:g}")
        for score in SCORES:
            runs = [_scored(model, rows, setting, score, options.batch_size) for setting in settings]
            about: Record = {"model": name, "score": score, "mask_ratio": ratio, "error_share": share}
            records.append({**about, "documents": len(rows), "seeds": len(settings), **_means(runs)})
    return records


def _scored(
    model: Denoiser, rows: Sequence[Clean], setting: Setting, score: str, batch_size: int
) -> Values | None:  # fmt: skip
    """Each metric and cost, (documents,); None where the model lacks what the score needs."""
    if not NEEDS.get(score, frozenset()) <= model.capabilities:
        return None
    parts = [
        _batch(model, inject(model, rows[start : start + batch_size], setting), score)
        for start in range(0, len(rows), batch_size)
    ]
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


@torch.inference_mode()
def _batch(model: Denoiser, rows: Injected, score: str) -> Values:
    canvas = rows.canvas
    batch = len(canvas.tokens)
    meter = Meter(batch, canvas.tokens.device)
    ask = CountingProxy(model, meter, guided=False)
    ask.bind(canvas, torch.ones(batch, dtype=torch.bool, device=canvas.tokens.device))
    confidence = SCORES[score](rows, ask)[canvas.visible].view(batch, -1).cpu().numpy()
    ask.refuse()
    wrong = rows.wrong[canvas.visible].view(batch, -1).cpu().numpy()
    return {
        **{name: metric(confidence, wrong) for name, metric in METRICS.items()},
        "errors": wrong.sum(axis=1).astype(np.float64),
        "visible": np.full(batch, wrong.shape[1], dtype=np.float64),
        **{name: getattr(meter, name).double().cpu().numpy() for name in ("nfe", "depth", "token_forwards")},
    }


def _means(runs: Sequence[Values | None]) -> Mapping[str, Any]:
    """Means over documents and seeds; a standard error for each metric."""
    made = [run for run in runs if run is not None]
    if not made:
        return {}
    means: dict[str, float | None] = {}
    for key in made[0]:
        values = np.stack([run[key] for run in made])  # (seeds, documents)
        mean = clustered_mean(list(values.sum(axis=0)), [len(made)] * values.shape[1])
        means[key] = mean.value
        if key in METRICS:
            means[f"{key}_stderr"] = mean.stderr
    return means
