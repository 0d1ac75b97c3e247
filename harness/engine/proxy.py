"""The one door to the model: runs a query, applies guidance, refuses NaN, and charges every row it serves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from harness.canvas import Canvas
from harness.engine.cost import Meter
from harness.engine.recall import Recaller
from harness.engine.sharing import Sharing, questions
from harness.models.base import Denoiser, Inputs
from harness.prediction import Prediction, Query


class ModelError(RuntimeError):
    """The model's output is unusable, or a query asks for what the model cannot do."""


@dataclass(frozen=True)
class Known:
    """What the host knows of a canvas's running rows; None where it does not.

    masks         of all of them together
    temperatures  that any of them has
    """

    masks: int | None = None
    temperatures: frozenset[float] | None = None


@dataclass(frozen=True)
class _Answer:
    """The highest logit `peak` (N,) at each of the flat positions `index` (N,) of a query of rows `width` long, which
    are copies of the canvas's rows `of`."""

    peak: Tensor
    index: Tensor
    width: int
    of: Tensor

    @property
    def bad(self) -> Tensor:
        """(N,) bool: where there is no distribution. The highest logit is NaN where any is, and one that is all −inf is
        none either."""
        return ~torch.isfinite(self.peak)


class CountingProxy:
    """`ask` for one canvas: bind it to the current canvas and to the rows that are running, then call it.

    With `sharing`, rows whose answers are there are served first, without a forward pass, where a step is one call: the
    others' turn comes in the next step. With `recall`, it answers in place of the denoiser's exact forward pass.

    What the host knows of the canvas it need not wait for. Nor does it wait to hear whether the logits are numbers: the
    caller reads `unfit` with whatever else it reads after the step, and lets `refuse` say what is wrong.

    narrowed  whether only some of the running rows were served since the last `bind`: `running`
    """

    def __init__(
        self,
        denoiser: Denoiser,
        meter: Meter,
        guided: bool,
        sharing: Sharing | None = None,
        recall: Recaller | None = None,
    ) -> None:
        self._denoiser = denoiser
        self._meter = meter
        self._recall = recall
        self._guided = guided
        self._sharing = sharing
        self._canvas: Canvas | None = None
        self._running: Tensor | None = None
        self._facts: Sequence[bytes] = ()
        self._known = Known()
        self._answers: list[_Answer] = []  # of this step
        self._calls = self._most = 0  # of this step, and of any step before
        self._fused = "compiled" in denoiser.capabilities
        self.narrowed = False

    def bind(self, canvas: Canvas, running: Tensor, facts: Sequence[bytes] = (), known: Known | None = None) -> None:
        """Serve `canvas`; only `running` (B,) bool rows are charged and answered. `facts` of each row are for sharing
        alone (`RowEncoder.facts`)."""
        self._canvas, self._running, self._facts = canvas, running, facts
        self._known, self._answers = known or Known(), []
        self._most, self._calls = max(self._most, self._calls), 0
        self.narrowed = False

    @property
    def running(self) -> Tensor:
        """(B,) bool: the rows that are served in this step."""
        assert self._running is not None
        return self._running

    @torch.inference_mode()
    def __call__(self, query: Query | None = None) -> Prediction:
        """One model call for all rows of `query`; see `harness.canvas.Ask`."""
        canvas, running = self._canvas, self._running
        assert canvas is not None
        assert running is not None
        count = self._known.masks if query is None else None
        query = Query(canvas.tokens, canvas.masked) if query is None else query
        # From here on the first axis is that of the query, which may hold several copies of each canvas row.
        of = torch.arange(len(running), device=running.device).repeat_interleave(query.copies)
        rows = running[of] if query.rows is None else running[of] & query.rows
        need = query.need & rows[:, None]
        rows = rows & need.any(dim=1)
        temperature, temperatures = canvas.temperature[of], self._known.temperatures
        index = _places(need, count)
        if index.numel() == 0:
            empty = torch.empty(0, self._denoiser.vocab_size, device=need.device)
            return Prediction(empty, need, temperature, temperatures=temperatures)
        self._check_capabilities(query)
        inputs = _inputs(query, canvas, of)
        if self._recall is not None:
            return self._recalled(self._recall, inputs, need & self._recall.block, temperature)
        asked = questions(query, need, self._facts) if self._sharing is not None and self._sharing.useful else {}
        served = self._served(asked, query.copies)
        self._calls += 1
        if served:
            assert self._sharing is not None
            rows = rows & _mask(list(served), rows)
            need = need & rows[:, None]
            logits = self._sharing.take(list(served.values()))
            prediction = Prediction(logits, need, temperature, temperatures=temperatures, fused=self._fused)
            forwards = 1 + (canvas.guidance[of] != 0).to(torch.int64)
        else:
            logits, extra, forwards = self._forward(inputs, index, self._guidance(query, canvas, of))
            prediction = Prediction(logits, need, temperature, extra, index, temperatures, self._fused)
            self._answers.append(_Answer(prediction.peak, index, need.shape[1], of))
            self._remember(asked, logits)
        if self._sharing is not None:
            self._sharing.count(torch.where(rows, forwards, 0), bool(served))
        tokens = inputs.valid.sum(dim=1)
        flops = self._denoiser.flops(tokens, need.sum(dim=1))
        self._meter.charge(rows, forwards, tokens, flops, query.copies)
        return prediction

    def _recalled(self, recall: Recaller, inputs: Inputs, need: Tensor, temperature: Tensor) -> Prediction:
        """The answer of a model that remembers at `need` (B, L), charged with what was computed."""
        rows = need.any(dim=1)
        made = recall(inputs, need)
        prediction = Prediction(made.logits, need, temperature, temperatures=self._known.temperatures)
        each = torch.arange(len(rows), device=rows.device)
        self._answers.append(_Answer(prediction.peak, prediction.index, need.shape[1], each))
        if self._sharing is not None:
            self._sharing.count(rows.long(), False)
        self._meter.charge(rows, rows.long(), made.tokens, made.flops)
        return prediction

    @property
    def unfit(self) -> Tensor:
        """() bool: whether any logits since the last `bind` were no distribution."""
        return torch.stack([answer.bad.any() for answer in self._answers] or [torch.zeros_like(self.running[0])]).any()

    def refuse(self) -> None:
        """Raise ModelError for the first logits since the last `bind` that were no distribution; waits for the
        device."""
        canvas = self._canvas
        for answer in self._answers:
            if bool(answer.bad.any()):
                assert canvas is not None
                one = int(answer.bad.nonzero()[0, 0])
                copy, position = divmod(int(answer.index[one]), answer.width)
                row = int(answer.of[copy])
                raise ModelError(
                    f"the model's logits at row {row}, position {position} have maximum {float(answer.peak[one])}: "
                    f"document key {int(canvas.document[row])}, sample {int(canvas.sample[row])}, "
                    f"step {int(canvas.step[row])}"
                )

    def _served(self, asked: Mapping[int, tuple[bytes, int]], copies: int) -> dict[int, bytes]:
        """The questions to serve without a forward pass, by row. Where a step is more than one call, or a row several
        copies, it is all or none: the forward passes that follow are made for the whole batch."""
        if self._sharing is None:
            return {}
        known = {i: key for i, (key, _) in asked.items() if key in self._sharing}
        if len(known) == len(asked):
            return known
        if not known or copies > 1 or self._calls > 0 or self._most != 1:
            return {}
        self._running = self.running & _mask(list(known), self.running)
        self.narrowed = True
        return known

    def _remember(self, asked: Mapping[int, tuple[bytes, int]], logits: Tensor) -> None:
        if self._sharing is not None and asked:
            parts = logits.split_with_sizes([count for _, count in asked.values()])
            self._sharing.keep({key: part for (key, _), part in zip(asked.values(), parts, strict=True)})

    def _forward(
        self, inputs: Inputs, index: Tensor, guidance: Tensor | None
    ) -> tuple[Tensor, Mapping[str, Tensor], Tensor]:
        """Guided logits (N, V), further outputs, and sequence-forwards per row (B,)."""
        if guidance is None:
            logits, extra = self._denoiser.logits(inputs, index)
            return logits, extra, torch.ones_like(inputs.tokens[:, 0])
        count, length = inputs.tokens.shape
        both = _join(inputs, self._denoiser.unconditional(inputs))
        logits, extra = self._denoiser.logits(both, torch.cat([index, index + count * length]))
        conditional, unconditional = logits.chunk(2)
        scale = guidance[index // length, None].to(logits.dtype)
        mixed = unconditional + (1 + scale) * (conditional - unconditional)
        # −inf − (−inf) is NaN: a token outside the vocabulary stays outside.
        keep = (scale == 0) | (conditional == float("-inf"))
        extra = {name: value[:count] for name, value in extra.items()}
        return torch.where(keep, conditional, mixed), extra, 1 + (guidance != 0).to(torch.int64)

    def _guidance(self, query: Query, canvas: Canvas, of: Tensor) -> Tensor | None:
        """Guidance scale of each query row, or None where no row of the batch is ever guided: the forward's shape must
        not depend on the scale that a row happens to have at this step."""
        if query.guidance is not None:
            return query.guidance
        return canvas.guidance[of] if self._guided else None

    def _check_capabilities(self, query: Query) -> None:
        names = ("positions", "attention_bias", "time", "guidance", "start")
        wanted = {name for name in names if getattr(query, name) is not None}
        if self._guided:
            wanted.add("guidance")
        missing = (wanted | set(query.outputs)) - self._denoiser.capabilities
        if missing:
            raise ModelError(f"the run needs {', '.join(sorted(missing))}, which this model does not offer")


def _places(need: Tensor, count: int | None) -> Tensor:
    """(N,) int64: the flat positions of `need` (B, L), of which there are `count`; None = the device must be asked."""
    flat = need.flatten()
    return (flat.nonzero() if count is None else torch.nonzero_static(flat, size=count)).squeeze(1)


def _mask(rows: Sequence[int], like: Tensor) -> Tensor:
    """Bool like `like` (B,), True at `rows`."""
    mask = torch.zeros_like(like)
    mask[rows] = True
    return mask


def _inputs(query: Query, canvas: Canvas, of: Tensor) -> Inputs:
    return Inputs(
        tokens=query.tokens,
        valid=canvas.valid[of] if query.valid is None else query.valid,
        positions=canvas.positions[of] if query.positions is None else query.positions,
        condition={name: value[of] for name, value in canvas.condition.items()},
        attention_bias=query.attention_bias,
        time=query.time,
        start=query.start,
        outputs=query.outputs,
    )


def _join(first: Inputs, second: Inputs) -> Inputs:
    """Both batches as one, so that guidance costs one call."""

    names = ("tokens", "valid", "positions", "attention_bias", "time")
    present = [name for name in names if getattr(first, name) is not None]
    columns: dict[str, Any] = {name: torch.cat([getattr(first, name), getattr(second, name)]) for name in present}
    condition = {name: torch.cat([value, second.condition[name]]) for name, value in first.condition.items()}
    start = first.start
    if start is not None:
        columns["start"] = lambda purpose, count: start(purpose, count).repeat(2, 1, 1)
    return replace(first, condition=condition, **columns)
