"""The batched loop: fixed slots, rows of any budget side by side, a finished row's slot refilled at once.

Where answers are shared, several batches take turns, and go through the documents together."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from harness.canvas import Canvas, Edit, StepView
from harness.engine import rng
from harness.engine.cost import Cost, Meter
from harness.engine.edits import apply_edit, check_form, first_violation, violations
from harness.engine.generator import Generation, Job, Trace
from harness.engine.proxy import CountingProxy, Known
from harness.engine.recall import Recaller
from harness.engine.rows import RowEncoder, group_jobs, nothing, until_end
from harness.engine.sharing import Sharing
from harness.models.base import Denoiser
from harness.samplers.base import stack
from harness.task import Output

ABREAST = 4
"""Batches that take turns where answers are shared: of more, more rows were lost when a run is killed."""


class CanvasEngine:
    """Runs samplers on masked diffusion models.

    batch_size  slots of a batch. A batch keeps its shape to the end, idle slots included, so that a row's logits do
                not depend on how many neighbours are left
    trace       keep what each step committed and re-masked
    sharing     answers that serve several rows; None = each row asks for itself, as a timed one must
    """

    def __init__(
        self, denoiser: Denoiser, batch_size: int = 32, trace: bool = False, sharing: Sharing | None = None
    ) -> None:
        self._denoiser = denoiser
        self._batch_size = batch_size
        self._trace = trace
        self._sharing = sharing

    def generate(self, jobs: Sequence[Job], done: Callable[[Job], bool] = lambda job: False) -> Iterator[Generation]:
        """See `Engine.generate`."""
        encoder = RowEncoder(self._denoiser)
        empty = [job for job in jobs if not encoder.generates(job) and not done(job)]
        yield from (nothing(job, self._denoiser, self._trace) for job in empty)
        groups = []
        for group in group_jobs([job for job in jobs if encoder.generates(job)], encoder):
            if left := [job for job in group if not done(job)]:
                groups.append((left, min(self._batch_size, len(group))))
        if self._sharing is not None:
            # What a model with a memory answers is of one row's past.
            alike = [] if "memory" in self._denoiser.capabilities else [job for left, _ in groups for job in left]
            self._sharing.begin([encoder.outline(job.request).number for job in alike])
        abreast = ABREAST if self._shares() else 1
        try:
            for start in range(0, len(groups), abreast):
                some = groups[start : start + abreast]
                yield from _by_turns([self._batch(encoder, left, slots) for left, slots in some])
        finally:
            if self._sharing is not None:
                self._sharing.clear()

    def _shares(self) -> bool:
        return self._sharing is not None and self._sharing.useful

    def _batch(self, encoder: RowEncoder, jobs: Sequence[Job], slots: int) -> _Batch:
        # Where answers are shared, so many documents at a time as fill the slots: all samplers and budgets of them.
        together = slots if self._shares() else len(jobs)
        return _Batch(self._denoiser, encoder, _in_order(jobs, together), slots, self._trace, self._sharing)


def _by_turns(batches: list[_Batch]) -> Iterator[Generation]:
    """What the batches make: the next tick is that of the one with the most left to begin, so that they come to the
    same documents at about the same time."""
    while batches:
        batch = max(batches, key=lambda batch: (batch.left, -batch.ticks))
        made = batch.tick()
        if made is None:
            batches.remove(batch)
        else:
            yield from made


class _Batch:
    """One run of the loop over jobs that share a batch: same sampler class, canvas length, and shared parameters."""

    def __init__(
        self,
        denoiser: Denoiser,
        encoder: RowEncoder,
        jobs: Sequence[Job],
        slots: int,
        trace: bool,
        sharing: Sharing | None,
    ) -> None:
        self.denoiser = denoiser
        self.encoder = encoder
        self.sharing = sharing
        self.queue = deque(jobs)
        self.count, self.ticks = len(jobs), 0
        self.info = jobs[0].info
        # What is being looked over is not finished because it ends with an EOS.
        self.revises = self.info.may_remask or self.info.may_overwrite or self.info.estimates
        self.name = type(jobs[0].sampler).__name__
        self.ends = torch.tensor(sorted(denoiser.eos_ids), device=denoiser.device)
        self.slots: list[Job | None] = [None] * slots
        # An idle slot holds a copy of the first job's row, which nothing reads.
        self.filler = self.queue[0]
        self.running = torch.zeros(slots, dtype=torch.bool, device=denoiser.device)
        self.meter = Meter(slots, denoiser.device)
        self.facts: list[bytes] = []
        self.canvas = encoder.canvas([self.filler] * slots)
        self.recall = Recaller.of(denoiser, self.canvas, fitted=self.info.knob == "steps")
        self.ask = CountingProxy(denoiser, self.meter, jobs[0].decoding.guidance != 0, sharing, self.recall)
        self.sampler = stack([self.filler.sampler] * slots, denoiser.device)
        self.state = self.sampler.init(self.canvas)
        self.fewest = self.canvas.masked.sum(dim=1)
        self.masks = [0] * slots  # that are left in each, as the host knows
        self.stalled = torch.zeros_like(self.fewest)
        self.traces: list[Trace] | None = [[] for _ in range(slots)] if trace else None

    @property
    def left(self) -> float:
        """Share of the rows that have not begun."""
        return len(self.queue) / self.count

    @torch.inference_mode()
    def tick(self) -> list[Generation] | None:
        """One step, and what it finished; None where nothing is left to do."""
        self._refill()
        if not any(self.slots):
            return None
        self.ticks += 1
        edit = self._step()
        finished = self._apply(edit)
        return list(self._collect(finished)) if finished else []

    def _refill(self) -> None:
        """Put queued jobs into empty slots."""
        fresh = []
        for slot, job in enumerate(self.slots):
            if job is None and self.queue:
                self.slots[slot] = job = self.queue.popleft()
                self.masks[slot] = self.encoder.masks(job)
                fresh.append(slot)
        if not fresh:
            return
        occupants = [job or self.filler for job in self.slots]
        new = torch.zeros_like(self.running)
        new[fresh] = True
        canvas = self.encoder.canvas(occupants)
        if self.sharing is not None and self.sharing.useful:
            self.facts = [self.encoder.facts(job) for job in occupants]
        self.canvas = self.canvas.with_rows(new, canvas)
        self.sampler = stack([job.sampler for job in occupants], self.denoiser.device)
        initial = self.sampler.init(canvas)
        self.state = {name: _where(new, initial[name], old) for name, old in self.state.items()}
        self.running = self.running | new
        self.fewest = torch.where(new, canvas.masked.sum(dim=1), self.fewest)
        self.stalled = self.stalled.masked_fill(new, 0)
        self.meter.reset(new)
        if self.recall is not None:
            self.recall.begin(new)

    def _step(self) -> Edit:
        canvas = self.canvas

        def random(purpose: str, ahead: Tensor | int = 0) -> Tensor:
            length = canvas.tokens.shape[1]
            return rng.uniform(canvas.seed, purpose, canvas.document, canvas.sample, canvas.step + ahead, length)

        jobs = [(job, masks) for job, masks in zip(self.slots, self.masks, strict=True) if job is not None]
        temperatures = frozenset(job.decoding.temperature for job, _ in jobs)
        self.ask.bind(canvas, self.running, self.facts, Known(sum(masks for _, masks in jobs), temperatures))
        view = StepView(canvas, self.state, random)
        if self.recall is not None:
            self.recall.bind(view, self.sampler)
        try:
            edit: Edit = self.sampler.step(view, self.ask)
        except Exception:
            self.ask.refuse()  # what a sampler makes of NaN is not its own fault
            raise
        return edit

    def _apply(self, edit: Edit) -> list[int]:
        """Check and apply the edit; return the slots that are finished. What the engine waits for in a step, it
        waits for here, once."""
        before, served = self.canvas, self.ask.running
        check_form(edit, before, self.state, self.name)
        broken = violations(edit, before, served, self.info, self.denoiser.vocab_size)
        self.canvas = apply_edit(edit, before, served)
        state = edit.state
        if self.ask.narrowed:
            state = {name: _where(served, new, self.state[name]) for name, new in state.items()}
        self.state = state
        left = self.canvas.masked.sum(dim=1)
        moved, finished = left < self.fewest, left == 0
        if self.info.knob == "steps":
            moved |= self.canvas.step > before.step
        if edit.unfinished is not None:
            finished &= ~edit.unfinished
        self.stalled = torch.where(moved, 0, self.stalled + served)
        self.fewest = torch.minimum(left, self.fewest)
        endless = self.stalled > self.info.patience
        if self.info.knob == "steps":
            spent = self.canvas.step >= self.canvas.budget
            endless |= spent & ~finished
            finished &= spent | (not self.revises)
        finished = (finished | self._text_is_final()) & served
        broken = torch.cat([broken, (endless & ~finished & served).any()[None]])
        facts = torch.cat([self.ask.unfit[None], broken, finished, left])
        unfit, *rest = facts.tolist()
        wrong, done, self.masks = rest[: len(broken)], rest[len(broken) : -len(left)], rest[-len(left) :]
        if unfit:
            self.ask.refuse()
        if any(wrong):
            raise first_violation(wrong, self.name, self.info)
        if self.traces is not None:
            self._record(before, served.tolist())
        return [slot for slot, flag in enumerate(done) if flag]

    def _text_is_final(self) -> Tensor:
        """(B,) bool: everything up to the first EOS is unmasked and can no longer change."""
        if not self.denoiser.eos_ids or self.revises:
            return torch.zeros_like(self.running)
        canvas = self.canvas
        is_end = canvas.visible & torch.isin(canvas.tokens, self.ends)
        return (is_end & (canvas.masked.cumsum(dim=1) == 0)).any(dim=1)

    def _record(self, before: Canvas, served: list[bool]) -> None:
        assert self.traces is not None
        old, new = before.tokens.tolist(), self.canvas.tokens.tolist()
        for slot, job in enumerate(self.slots):
            if job is None or not served[slot]:
                continue
            start = self.encoder.start(job)
            pairs = list(enumerate(zip(old[slot], new[slot], strict=True)))
            changed = [i for i, (was, now) in pairs if was != now]
            commit = [i for i in changed if new[slot][i] != before.mask_id]
            remask = [i - start for i in changed if new[slot][i] == before.mask_id]
            entry = {"commit": [i - start for i in commit], "tokens": [new[slot][i] for i in commit]}
            self.traces[slot].append({**entry, "remask": remask} if remask else entry)

    def _collect(self, finished: list[int]) -> Iterator[Generation]:
        """Yield the finished rows and free their slots."""
        rows = torch.tensor(finished, device=self.running.device)
        # Each list waits for the device.
        tokens, editable = torch.stack([self.canvas.tokens, self.canvas.editable.long()])[:, rows].tolist()
        counts = torch.stack([self.meter.depth, self.meter.nfe, self.meter.token_forwards])
        depth, nfe, forwards = counts[:, rows].tolist()
        flops = self.meter.flops[rows].tolist()
        estimates = self.state["estimate"][rows].tolist() if self.info.estimates else []
        self.running = self.running.index_fill(0, rows, False)
        for i, slot in enumerate(finished):
            job = self.slots[slot]
            assert job is not None
            self.slots[slot] = None
            generated = [token for token, mine in zip(tokens[i], editable[i], strict=True) if mine]
            complete = self.denoiser.mask_id not in generated
            generated = until_end(generated, self.denoiser.eos_ids)
            cost = Cost(
                depth=depth[i],
                nfe=nfe[i],
                nfe_nominal=self._nominal(job, nfe[i], complete),
                token_forwards=forwards[i],
                flops=flops[i] + self.encoder.outline(job.request).flops if flops[i] == flops[i] else None,
                output_tokens=len(generated),
            )
            trace = None
            if self.traces is not None:
                trace, self.traces[slot] = self.traces[slot], []
            output = Output(logp=(estimates[i],)) if estimates else self.denoiser.decode(generated)
            yield Generation(job, output, cost, trace)

    def _nominal(self, job: Job, nfe: int, complete: bool) -> int | None:
        """Sequence-forwards of the published loop: it runs its whole budget, stops at no EOS, and skips nothing."""
        if self.info.knob != "steps":
            return nfe if complete else None
        if self.info.calls is None or job.budget is None:
            return None
        return job.budget * self.info.calls * (2 if job.decoding.guidance else 1)


def _in_order(jobs: Sequence[Job], together: int) -> list[Job]:
    """So many documents at a time; of these, long rows first: a batch then drains together."""
    documents = {name: i for i, name in enumerate(sorted({job.request.document for job in jobs}))}
    return sorted(jobs, key=lambda job: (documents[job.request.document] // together, -(job.budget or 0)))


def _where(rows: Tensor, new: Tensor, old: Tensor) -> Tensor:
    return torch.where(rows.view(-1, *[1] * (old.dim() - 1)), new, old)
