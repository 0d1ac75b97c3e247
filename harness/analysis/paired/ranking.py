"""Who is first, how sure that is, and who is tied: by the area under the curves, or by quality at a budget."""

from __future__ import annotations

import itertools
import math
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import rankdata  # type: ignore[import-untyped]

from harness.analysis.curves import declared_metric, name_cells, task_file
from harness.analysis.paired.aup import aup
from harness.analysis.paired.bootstrap import RESAMPLES, Array
from harness.analysis.paired.estimators import LEVEL, Curve, Estimate, mean_quality, quality_at, support
from harness.analysis.paired.load import Basis, Paired, align, load
from harness.analysis.paired.resample import Resampled, resample
from harness.analysis.paired.significance import holm, wald
from harness.spec import MetricSpec, TaskFile

OCTAVE = 2.0
"""The range of costs that the ranked curves share has at least this ratio of its ends."""


@dataclass(frozen=True)
class Standing:
    """One sampler's place.

    rank, low, high  1 is best; the bounds of its 95 % interval over resamples
    quality its mean over the logarithm of cost, on the range that all ranked samplers share; or that at the budget
    group   letters; samplers that share one are not significantly different (Wald, Holm over all pairs, 5 %)
    gain    quality of the most expensive setting minus that of the cheapest one
    aup     accuracy under parallelism; NaN where the metric is no share of right answers
    """

    label: str
    rank: int
    low: int
    high: int
    quality: Estimate
    group: str
    gain: Estimate
    aup: float


@dataclass(frozen=True)
class Pair:
    """Two ranked samplers: `difference` of qualities, above zero where `first` is better; `p` by Holm over all."""

    first: str
    second: str
    difference: float
    p: float


@dataclass(frozen=True)
class Effect:
    """How much the choice of the sampler matters: the quality of `best` minus that of `worst`, paired by document.

    chance  what the best of as many equally good samplers is above the worst of them, at most, in 95 % of resamples:
            the two are chosen by what was measured, so that `difference` is above zero by chance alone
    """

    best: str
    worst: str
    difference: Estimate
    chance: float


@dataclass(frozen=True)
class Ranking:
    """The samplers of one model on one task, best first.

    span      lowest and highest cost that all ranked samplers were measured between, or twice the budget
    at        the budget, None where samplers are ranked by area
    basis     what intervals are from
    fraction  whether it is a share of right answers
    unranked  label to the reason
    left_out  cell to the reason
    effect    None for one sampler
    """

    task: str
    model: str
    metric: MetricSpec
    axis: str
    span: tuple[float, float]
    at: float | None
    documents: int
    seeds: int
    basis: Basis
    fraction: bool
    standings: tuple[Standing, ...]
    pairs: tuple[Pair, ...]
    unranked: Mapping[str, str]
    left_out: Mapping[str, str]
    effect: Effect | None = None


def rank(
    cells: pd.DataFrame, metric: MetricSpec, axis: str = "nfe", at: float | None = None, resamples: int = RESAMPLES
) -> Ranking | None:
    """The ranking of the named cells of one task and model; None where no sampler can be ranked.

    By area, those are ranked that share at least an octave of cost: as many as possible. At a budget `at`, all that
    have a setting within it; a curve that ends below the budget keeps the quality of its end, as a sampler need not
    spend what it may.
    """
    paired = align(load(cells, metric, axis))
    if paired is None:
        return None
    found = resample(paired, resamples)
    known, unknown = _known(found)
    curves, unranked = _comparable(known) if at is None else _within(known, at)
    if not curves:
        return None
    low, high = support(list(curves.values())) if at is None else (np.full(resamples + 1, at),) * 2
    qualities = {
        label: mean_quality(curve, low, high) if at is None else quality_at(curve, low)
        for label, curve in curves.items()
    }
    sign = 1 if metric.direction == "higher" else -1
    pairs = _pairs(qualities, sign)
    accuracy = metric.level == "sample" and paired.told_in_points(metric)
    aups = _aups(cells, paired) if accuracy and sign > 0 and axis == "nfe" else {}
    return Ranking(
        str(cells["task"].iloc[0]),
        str(cells["model"].iloc[0]),
        metric,
        axis,
        (float(low[0]), float(high[0])),
        at,
        len(paired.documents),
        max(1, len(paired.seeds)),
        paired.basis,
        paired.told_in_points(metric),
        _standings(curves, qualities, sign, pairs, aups),
        pairs,
        {**unknown, **unranked},
        paired.left_out,
        _effect(qualities, sign),
    )


def rank_all(
    table: pd.DataFrame,
    tasks: Mapping[str, TaskFile],
    axis: str = "nfe",
    at: float | None = None,
    resamples: int = RESAMPLES,
) -> list[Ranking]:
    """A ranking by the primary metric for each task and model of `table` (`frame.cell_frame`) that has one."""
    found = []
    for (task, _), cells in name_cells(table).groupby(["task", "model"], sort=True):
        file = task_file(tasks, str(task).partition("@")[0])
        found.append(rank(cells, declared_metric(file, file.primary), axis, at, resamples))
    return [ranking for ranking in found if ranking is not None]


def _known(found: Resampled) -> tuple[dict[str, Curve], dict[str, str]]:
    """All curves whose error is known, and why the others are none."""
    curves = {label: found.curve(found.paired.of(label)) for label in dict.fromkeys(found.paired.labels)}
    unknown = [label for label, curve in curves.items() if np.isnan(curve.quality).any()]
    return (
        {label: curve for label, curve in curves.items() if label not in unknown},
        dict.fromkeys(unknown, "the standard error of a setting is unknown"),
    )


def _comparable(curves: Mapping[str, Curve]) -> tuple[dict[str, Curve], dict[str, str]]:
    """The most curves that share an octave of cost, of equally many those that share more; why others do not."""
    if not curves:
        return {}, {}
    ends = {label: (float(curve.cost[0, 0]), float(curve.cost[0, -1])) for label, curve in curves.items()}
    groups = [
        [label for label, (low, high) in ends.items() if low <= start and high >= OCTAVE * start * (1 - 1e-9)]
        for start, _ in ends.values()
    ]
    best = max(groups, key=lambda group: (len(group), _octaves([ends[label] for label in group])))
    unranked = {
        label: "one cost only" if high <= low * (1 + 1e-9) else f"measured from {low:.3g} to {high:.3g} only"
        for label, (low, high) in ends.items()
        if label not in best
    }
    return {label: curves[label] for label in best}, unranked


def _within(curves: Mapping[str, Curve], budget: float) -> tuple[dict[str, Curve], dict[str, str]]:
    """The curves that begin within the budget, and where the others do."""
    starts = {label: float(curve.cost[0, 0]) for label, curve in curves.items()}
    fits = [label for label, start in starts.items() if start <= budget * (1 + 1e-9)]
    unranked = {label: f"measured from {start:.3g} on" for label, start in starts.items() if label not in fits}
    return {label: curves[label] for label in fits}, unranked


def _octaves(ends: Sequence[tuple[float, float]]) -> float:
    """The width of the range of costs that curves with these ends share; 0 for none."""
    return math.log(min(high for _, high in ends) / max(low for low, _ in ends), OCTAVE) if ends else 0.0


def _pairs(qualities: Mapping[str, Array], sign: int) -> tuple[Pair, ...]:
    # The normal tail, as the share of resamples beyond zero cannot be small enough for Holm over many pairs.
    names = list(itertools.combinations(qualities, 2))
    differences = [Estimate.of(sign * (qualities[first] - qualities[second])) for first, second in names]
    adjusted = holm([wald(each.value, each.stderr) for each in differences])
    return tuple(Pair(*name, each.value, p) for name, each, p in zip(names, differences, adjusted, strict=True))


def _effect(qualities: Mapping[str, Array], sign: int) -> Effect | None:
    if len(qualities) < 2:
        return None
    best, worst = (max(qualities, key=lambda name: side * qualities[name][0]) for side in (sign, -sign))
    moved = np.column_stack([quality[1:] - quality[0] for quality in qualities.values()])
    chance = float(np.quantile(np.ptp(moved, axis=1), LEVEL))
    return Effect(best, worst, Estimate.of(qualities[best] - qualities[worst]), chance)


def _standings(
    curves: Mapping[str, Curve],
    qualities: Mapping[str, Array],
    sign: int,
    pairs: Sequence[Pair],
    aups: Mapping[str, float],
) -> tuple[Standing, ...]:
    ranks = rankdata(-sign * np.column_stack(list(qualities.values())), axis=1, method="min")
    bounds = np.quantile(ranks[1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0, method="inverted_cdf")
    order = sorted(range(len(qualities)), key=lambda i: (ranks[0, i], list(qualities)[i]))
    labels = [list(qualities)[i] for i in order]
    letters = tie_groups(labels, [(pair.first, pair.second) for pair in pairs if pair.p < 1 - LEVEL])
    return tuple(
        Standing(
            label,
            int(ranks[0, i]),
            int(bounds[0, i]),
            int(bounds[1, i]),
            Estimate.of(qualities[label]),
            letters[label],
            Estimate.of(curves[label].quality[:, -1] - curves[label].quality[:, 0]),
            aups.get(label, math.nan),
        )
        for i, label in zip(order, labels, strict=True)
    )


def tie_groups(labels: Sequence[str], different: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Letters such that two labels share one exactly where they are not `different`, by insert and absorb (Piepho 2004,
    An algorithm for a letter-based representation of all-pairwise comparisons)."""
    groups = [frozenset(labels)]
    for pair in different:
        split = [group - {name} for group in groups if group >= set(pair) for name in pair]
        rest = [group for group in groups if not group >= set(pair)]
        for group in split:
            if not any(group <= other for other in rest):
                rest.append(group)
        groups = rest
    groups.sort(key=lambda group: sorted(map(labels.index, group)))
    names = [name for size in (1, 2) for name in map("".join, itertools.product(string.ascii_lowercase, repeat=size))]
    of = dict(zip(groups, names, strict=False))
    return {label: " ".join(of[group] for group in groups if label in group) for label in labels}


def _aups(cells: pd.DataFrame, paired: Paired) -> dict[str, float]:
    """AUP of each curve, in percent, from mean output tokens over mean NFE."""
    means = cells.groupby(["label", "setting"])[["cost.output_tokens", "cost.nfe"]].mean()
    tokens_per_forward = means["cost.output_tokens"] / means["cost.nfe"]
    accuracy = 100 * paired.values.mean(axis=(1, 2))
    found = {}
    for label in dict.fromkeys(paired.labels):
        places = paired.of(label)
        parallel = [float(tokens_per_forward[label, paired.settings[k]]) for k in places]
        if np.isfinite(parallel).all():
            found[label] = aup(parallel, [float(accuracy[k]) for k in places], float(accuracy.max()))
    return found
