"""Conversations of several turns: the answer to one is part of what is asked in the next."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from harness.engine.cost import Cost
from harness.engine.generator import Generation, Job
from harness.engine.proxy import ModelError
from harness.task import Request

Run = Callable[[Sequence[Job], Callable[[Job], bool]], Iterable[Generation]]


def run_turns(jobs: Sequence[Job], done: Callable[[Job], bool], run: Run, together: int) -> Iterator[Generation]:
    """The last answer of each conversation, with those before; costs are added up, traces are not kept.

    So many conversations go on `together`: what is done is handed on when these are finished.
    """
    for start in range(0, len(jobs), together):
        yield from _finish(jobs[start : start + together], done, run)


def _finish(jobs: Sequence[Job], done: Callable[[Job], bool], run: Run) -> Iterator[Generation]:
    turns = [replace(job, request=replace(job.request, then=())) for job in jobs]
    whole = {id(turn): job for turn, job in zip(turns, jobs, strict=True)}
    told: dict[int, list[Generation]] = {id(job): [] for job in jobs}
    while turns:
        following: list[Job] = []
        for made in run(turns, lambda turn: done(whole[id(turn)])):
            job = whole[id(made.job)]
            told[id(job)].append(made)
            answers = told[id(job)]
            if len(answers) <= len(job.request.then):
                question = job.request.then[len(answers) - 1]
                turn = replace(job, request=_next(made.job.request, made.output.text, question))
                whole[id(turn)] = job
                following.append(turn)
            else:
                yield _together(job, answers)
        turns = following


def _next(request: Request, answer: str | None, question: str) -> Request:
    """What is asked after an answer: the conversation so far, and the same as plain text. Its random numbers are others
    than those of the turn before."""
    if answer is None:
        raise ModelError(f"document {request.document!r} is a conversation, and the model's answer is no text")
    turns = request.turns or (("user", request.prompt or ""),)
    return replace(
        request,
        document=f"{request.document} ›",
        prompt=f"{request.prompt or ''}\n\n{answer}\n\n{question}",
        turns=(*turns, ("assistant", answer), ("user", question)),
    )


def _together(job: Job, made: Sequence[Generation]) -> Generation:
    costs = [each.cost for each in made]
    nominal = [cost.nfe_nominal for cost in costs if cost.nfe_nominal is not None]
    flops = [cost.flops for cost in costs if cost.flops is not None]
    cost = Cost(
        depth=sum(cost.depth for cost in costs),
        nfe=sum(cost.nfe for cost in costs),
        nfe_nominal=sum(nominal) if len(nominal) == len(costs) else None,
        token_forwards=sum(cost.token_forwards for cost in costs),
        flops=sum(flops) if len(flops) == len(costs) else None,
        output_tokens=sum(cost.output_tokens for cost in costs),
    )
    before = tuple(each.output.text or "" for each in made[:-1])
    return Generation(job, replace(made[-1].output, before=before), cost)
