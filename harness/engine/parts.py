"""Requests whose likelihoods are asked for together, such as the choices of a question, as one row each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from harness.engine.cost import Cost
from harness.engine.generator import Generation, Job
from harness.task import Output

Run = Callable[[Sequence[Job], Callable[[Job], bool]], Iterable[Generation]]


def run_parts(jobs: Sequence[Job], done: Callable[[Job], bool], run: Run) -> Iterator[Generation]:
    """What `run` makes of the parts of every job, put together again as soon as all parts of a job are there.

    The costs of a job are those of its parts added up, but for `depth`: they do not wait for one another. It has no
    output tokens, since nothing is written.
    """
    parts: list[Job] = []
    whole: dict[int, tuple[Job, int]] = {}
    for job in jobs:
        for place, request in enumerate(job.request.rows):
            parts.append(replace(job, request=request))
            whole[id(parts[-1])] = job, place
    found: dict[int, dict[int, Generation]] = {}
    for made in run(parts, lambda part: done(whole[id(part)][0])):
        job, place = whole[id(made.job)]
        there = found.setdefault(id(job), {})
        there[place] = made
        if len(there) == len(job.request.rows):
            yield _together(job, [there[i] for i in range(len(there))])
            del found[id(job)]


def _together(job: Job, made: Sequence[Generation]) -> Generation:
    logp = tuple(value for each in made for value in each.output.logp or ())
    costs = [each.cost for each in made]
    flops = [cost.flops for cost in costs if cost.flops is not None]
    cost = Cost(
        depth=max(cost.depth for cost in costs),
        nfe=sum(cost.nfe for cost in costs),
        nfe_nominal=sum(cost.nfe for cost in costs),
        token_forwards=sum(cost.token_forwards for cost in costs),
        flops=sum(flops) if len(flops) == len(costs) else None,
        output_tokens=0,
    )
    return Generation(job, Output(logp=logp), cost)
