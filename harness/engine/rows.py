"""Requests to canvas rows and back to generations, and jobs to groups whose rows can share a batch."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

import torch
from torch import Tensor

from harness.canvas import Canvas
from harness.engine.cost import Cost
from harness.engine.generator import Generation, Job
from harness.engine.rng import document_key
from harness.models.base import Model, Row
from harness.samplers.base import shared_parameters
from harness.task import Output, Request

KEPT = 2048
"""Rows that are kept: half a gigabyte of those that have the largest pictures as tokens."""


class Outline(NamedTuple):
    """What is always known of a row.

    number    the same for equal requests
    length    of its tokens
    start     index of the first position to generate, None where there is none
    grid      as in `Row`
    condition the names of what the model is conditioned on
    flops     as in `Row`
    """

    number: int
    length: int
    start: int | None
    grid: tuple[int, int] | None
    condition: tuple[str, ...]
    flops: float


class RowEncoder:
    """Encodes requests, and stacks rows into canvases of one length.

    Rows are kept while there is room, and encoded again when their turn comes: the memory that they take does not grow
    with the number of documents.
    """

    def __init__(self, denoiser: Model) -> None:
        self._denoiser = denoiser
        self._outlines: dict[tuple[Any, ...], Outline] = {}
        # By identity: what a request says is looked at once, and not in every refill. The request is kept, so that no
        # other can have its id.
        self._seen: dict[int, tuple[Request, Outline]] = {}
        self._rows: OrderedDict[int, Row] = OrderedDict()
        self._digests: dict[int, bytes] = {}

    def outline(self, request: Request) -> Outline:
        """What is known of the request's row, encoded once to that end."""
        if id(request) not in self._seen:
            self._seen[id(request)] = request, self._outlined(request)
        return self._seen[id(request)][1]

    def _outlined(self, request: Request) -> Outline:
        asked = (request.document, request.prompt, request.turns, request.until, request.continuation, request.length)
        key = (*asked, request.image, *sorted(request.condition.items()))
        if key not in self._outlines:
            row, number = self._denoiser.encode(request), len(self._outlines)
            editable = list(row.editable)
            start = editable.index(True) if True in editable else None
            self._outlines[key] = Outline(number, len(row.tokens), start, row.grid, tuple(row.condition), row.flops)
            self._keep(number, row)
        return self._outlines[key]

    def row(self, request: Request) -> Row:
        """The model's row for this request."""
        number = self.outline(request).number
        if number not in self._rows:
            self._keep(number, self._denoiser.encode(request))
        self._rows.move_to_end(number)
        return self._rows[number]

    def _keep(self, number: int, row: Row) -> None:
        self._rows[number] = row
        if len(self._rows) > KEPT:
            self._rows.popitem(last=False)

    def length(self, job: Job) -> int:
        """Canvas length of this job's row, padded to the model's length bucket."""
        bucket = self._denoiser.length_bucket
        return -(-self.outline(job.request).length // bucket) * bucket

    def generates(self, job: Job) -> bool:
        """Whether there is any position to generate."""
        return self.outline(job.request).start is not None

    def masks(self, job: Job) -> int:
        """How many positions are masked at first."""
        row, mask_id = self.row(job.request), self._denoiser.mask_id
        return sum(mine and token == mask_id for token, mine in zip(row.tokens, row.editable, strict=True))

    def start(self, job: Job) -> int:
        """Index of the first generated position."""
        start = self.outline(job.request).start
        assert start is not None
        return start

    def facts(self, job: Job) -> bytes:
        """All that shapes the network's answers to this job beside what stands on its canvas."""
        number = self.outline(job.request).number
        if number not in self._digests:
            self._digests[number] = _digest(self.row(job.request))
        return self._digests[number] + repr(job.decoding.guidance).encode()

    def canvas(self, jobs: Sequence[Job]) -> Canvas:
        """A fresh canvas, one row a job; all jobs are of one group."""
        device, mask_id = self._denoiser.device, self._denoiser.mask_id
        rows = [self.row(job.request) for job in jobs]
        length = self.length(jobs[0])
        tokens = torch.full((len(rows), length), mask_id)
        editable = torch.zeros(len(rows), length, dtype=torch.bool)
        valid = torch.zeros_like(editable)
        positions = torch.arange(length).repeat(len(rows), 1)
        schedule = None if rows[0].schedule is None else torch.zeros(editable.shape, dtype=torch.float64)
        for i, row in enumerate(rows):
            size = len(row.tokens)
            tokens[i, :size] = torch.as_tensor(row.tokens)
            editable[i, :size] = torch.as_tensor(row.editable)
            valid[i, :size] = True
            if row.positions is not None:
                positions[i, :size] = torch.as_tensor(row.positions)
            if schedule is not None:
                schedule[i, :size] = torch.as_tensor(row.schedule)

        def column(values: Iterable[Any], dtype: torch.dtype = torch.int64) -> Tensor:
            return torch.tensor(list(values), dtype=dtype, device=device)

        return Canvas(
            tokens=tokens.to(device),
            valid=valid.to(device),
            editable=editable.to(device),
            positions=positions.to(device),
            mask_id=mask_id,
            document=column(document_key(job.request.document) for job in jobs),
            sample=column(job.sample for job in jobs),
            seed=column(job.seed for job in jobs),
            step=torch.zeros(len(rows), dtype=torch.int64, device=device),
            budget=column(length if job.budget is None else job.budget for job in jobs),
            temperature=column((job.decoding.temperature for job in jobs), torch.float32),
            guidance=column((job.decoding.guidance for job in jobs), torch.float32),
            condition={
                name: torch.stack([torch.as_tensor(row.condition[name]) for row in rows]).to(device)
                for name in rows[0].condition
            },
            grid=rows[0].grid,
            eos_ids=tuple(sorted(self._denoiser.eos_ids)),
            vocab_size=self._denoiser.vocab_size,
            schedule=None if schedule is None else schedule.to(device),
        )


def _digest(row: Row) -> bytes:
    digest = sha256(repr((len(row.tokens), None if row.positions is None else tuple(row.positions))).encode())
    for name, value in row.condition.items():
        tensor = torch.as_tensor(value).detach().cpu()
        digest.update(repr((name, tensor.dtype, tensor.shape)).encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.digest()


def group_jobs(jobs: Sequence[Job], encoder: RowEncoder) -> list[list[Job]]:
    """Jobs that may share a batch: same sampler and shared parameters, canvas length, grid, and guided or not.

    The groups and the order within depend on the jobs alone, not on the order they come in.
    """
    groups: dict[tuple[Any, ...], list[Job]] = {}
    for job in sorted(jobs, key=lambda job: (job.cell, job.request.document, job.sample)):
        row = encoder.outline(job.request)
        guided = job.decoding.guidance != 0
        key = (job.info, *shared_parameters(job.sampler), encoder.length(job), row.grid, row.condition, guided)
        groups.setdefault(key, []).append(job)
    return list(groups.values())


def nothing(job: Job, model: Model, trace: bool = False) -> Generation:
    """The sample of a row without a position to generate."""
    cost = Cost(depth=0, nfe=0, nfe_nominal=0, token_forwards=0, flops=0.0, output_tokens=0)
    output = Output(logp=(0.0,)) if job.info.estimates else model.decode([])
    return Generation(job, output, cost, [] if trace else None)


def until_end(tokens: list[Any], eos_ids: frozenset[int]) -> list[Any]:
    """The tokens up to and including the first EOS."""
    for i, token in enumerate(tokens):
        if token in eos_ids:
            return tokens[: i + 1]
    return tokens
