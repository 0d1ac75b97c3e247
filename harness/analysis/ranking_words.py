"""What a ranking says, in words."""

from __future__ import annotations

from collections.abc import Sequence

from harness.analysis.paired.ranking import Ranking, Standing
from harness.analysis.tables import HEADINGS
from harness.analysis.units import Units

_MOST = 6
"""Names in a list; beyond, their number is told."""


def words(ranking: Ranking) -> list[str]:
    """Sentences: who is first, what more compute does, what the ranking rests on, and who is not in it."""
    told = [_first(ranking), *_gains(ranking), _basis(ranking)]
    if ranking.of_set:
        told.append("The metric belongs to the whole set: intervals are from its stored standard errors, not paired.")
    if ranking.unranked:
        told.append("Not ranked: " + _listed([f"{label} ({why})" for label, why in ranking.unranked.items()]) + ".")
    if ranking.left_out:
        told.append("Left out: " + _listed([f"{cell} ({why})" for cell, why in ranking.left_out.items()]) + ".")
    return told


def _first(ranking: Ranking) -> str:
    first, *others = ranking.standings
    if not others:
        return f"There is no other sampler to rank {first.label} against."
    tied = [each.label for each in others if set(each.group.split()) & set(first.group.split())]
    return f"{first.label} is first" + (f", tied with {_listed(tied)}." if tied else ", ahead of all others.")


def _gains(ranking: Ranking) -> list[str]:
    """What the most expensive setting of each sampler has over its cheapest one."""
    sign = 1 if ranking.metric.direction == "higher" else -1
    units = Units(ranking.fraction, ranking.metric.unit)

    def names(standings: Sequence[Standing]) -> str:
        if len(ranking.standings) == 1:
            return units.difference(standings[0].gain)
        return _listed([each.label for each in standings])

    moving = [each for each in ranking.standings if each.gain.excludes_zero]
    told = {
        "better": [each for each in moving if sign * each.gain.value > 0],
        "worse": [each for each in moving if sign * each.gain.value < 0],
    }
    sentences = [
        f"More compute makes it significantly {how}, from the cheapest to the most expensive setting: {names(of)}."
        for how, of in told.items()
        if of
    ]
    still = [each for each in ranking.standings if each not in moving and each.gain.value == each.gain.value]
    if still:
        sentences.append(f"No difference between the cheapest and the most expensive setting is shown: {names(still)}.")
    return sentences


def _basis(ranking: Ranking) -> str:
    low, high = ranking.span
    cost = HEADINGS[ranking.axis]
    span = f"Over {cost} {low:.4g} to {high:.4g}." if ranking.at is None else f"At {cost} {ranking.at:g}."
    return f"{span} Documents in common: {ranking.documents}. Seeds in common: {ranking.seeds}."


def _listed(items: Sequence[str]) -> str:
    more = f" and {len(items) - _MOST} more" if len(items) > _MOST else ""
    return ", ".join(items[:_MOST]) + more
