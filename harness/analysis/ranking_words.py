"""What a ranking says, in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from harness.analysis.paired.ranking import Ranking, Standing
from harness.analysis.tables import HEADINGS
from harness.analysis.units import Units

_MOST = 6
"""Names in a list; beyond, their number is told."""


def words(ranking: Ranking) -> list[str]:
    """Sentences: who is first, what more compute does, what the ranking rests on, and who is not in it."""
    gains = _gains(ranking)
    told = [
        _first(ranking),
        *_effect(ranking),
        *[f"From the cheapest to the most expensive setting: {gains}."] * bool(gains),
    ]
    told.append(_basis(ranking))
    if ranking.basis == "resampled parts of documents":
        told.append("The metric belongs to the whole set: intervals are from each document's part in it, paired.")
    if ranking.basis == "stored standard errors":
        told.append("The metric belongs to the whole set: intervals are from its stored standard errors, NOT paired.")
    if ranking.unranked:
        told.append(f"Not ranked: {_by_reason(ranking.unranked, 'samplers')}.")
    if ranking.left_out:
        told.append(f"Left out: {_by_reason(ranking.left_out, 'cells')}.")
    return told


def _first(ranking: Ranking) -> str:
    first, *others = ranking.standings
    if not others:
        return f"There is no other sampler to rank {first.label} against."
    tied = [each.label for each in others if set(each.group.split()) & set(first.group.split())]
    return f"{first.label} is first" + (f", tied with {_listed(tied)}." if tied else ", ahead of all others.")


def _effect(ranking: Ranking) -> list[str]:
    """How much the choice of the sampler matters, where there is one."""
    effect = ranking.effect
    if effect is None:
        return []
    if effect.best == effect.worst:
        return ["Sampler effect, best minus worst: none, all samplers are equal."]
    units = Units(ranking.fraction, ranking.metric.unit)
    return [
        f"Sampler effect, best minus worst: {units.difference(effect.difference)} ({effect.best} over {effect.worst}); "
        f"chance alone makes it up to {units.amount(effect.chance)}."
    ]


def _gains(ranking: Ranking) -> str:
    """What the most expensive setting of each sampler has over its cheapest one."""
    sign = 1 if ranking.metric.direction == "higher" else -1
    known = [each for each in ranking.standings if not math.isnan(each.gain.value)]
    moving = [each for each in known if each.gain.excludes_zero]
    told = {
        "significantly better": [each for each in moving if sign * each.gain.value > 0],
        "significantly worse": [each for each in moving if sign * each.gain.value < 0],
        "no difference shown": [each for each in known if each not in moving],
    }
    return "; ".join(
        f"{how} for {_listed([each.label for each in of])}" if len(known) > 1 else f"{how}, {_gain(ranking, of[0])}"
        for how, of in told.items()
        if of
    )


def _gain(ranking: Ranking, standing: Standing) -> str:
    return Units(ranking.fraction, ranking.metric.unit).difference(standing.gain)


def _basis(ranking: Ranking) -> str:
    low, high = ranking.span
    cost = HEADINGS[ranking.axis]
    span = f"Over {cost} {low:.4g} to {high:.4g}." if ranking.at is None else f"At {cost} {ranking.at:g}."
    return f"{span} Documents in common: {ranking.documents}. Seeds in common: {ranking.seeds}."


def _by_reason(reasons: Mapping[str, str], what: str) -> str:
    """`first_hitting, sequential (one cost only)`; of many for one reason, their number."""
    names: dict[str, list[str]] = {}
    for name, why in reasons.items():
        names.setdefault(why, []).append(name)
    return _listed([f"{', '.join(of) if len(of) <= 3 else f'{len(of)} {what}'} ({why})" for why, of in names.items()])


def _listed(items: Sequence[str]) -> str:
    more = f" and {len(items) - _MOST} more" if len(items) > _MOST else ""
    return ", ".join(items[:_MOST]) + more
