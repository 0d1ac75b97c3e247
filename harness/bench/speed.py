"""Tokens a second of a model at several numbers of forward passes, and where the time goes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from harness.bench.overhead import now
from harness.bench.table import machine
from harness.components import make_sampler
from harness.engine.generator import Job
from harness.engine.loop import CanvasEngine
from harness.models.base import Inputs
from harness.samplers import samplers
from harness.spec import Decoding, SamplerSpec
from harness.task import Request

_HEADER = (
    "| passes | tokens a second | seconds | in the forward | beyond it | peak memory, GB | FLOP/s | of the rate |",
    "|" + " ---: |" * 8,
)


@dataclass(frozen=True)
class Speed:
    """A batch of rows made in `nfe` steps each.

    seconds  of the whole, `forward` of them inside the model
    tokens   generated, of all rows together; flops of all forward passes, None where unknown
    peak     bytes of device memory, None where the device does not tell
    """

    nfe: int
    seconds: float
    forward: float
    tokens: int
    flops: float | None
    peak: int | None


class Counted:
    """A denoiser that counts its forward passes, and their rows."""

    def __init__(self, denoiser: Any) -> None:
        self._denoiser = denoiser
        self.calls, self.rows = 0, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._denoiser, name)

    def logits(self, inputs: Inputs, index: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        """As the denoiser's."""
        self.calls += 1
        self.rows += len(inputs.tokens)
        result: tuple[Tensor, Mapping[str, Tensor]] = self._denoiser.logits(inputs, index)
        return result


class Timed(Counted):
    """A denoiser that keeps the seconds inside its forward pass, and whose texts end nowhere."""

    eos_ids = frozenset[int]()

    def __init__(self, denoiser: Any) -> None:
        super().__init__(denoiser)
        self.seconds = 0.0

    def logits(self, inputs: Inputs, index: Tensor) -> tuple[Tensor, Mapping[str, Tensor]]:
        """As the denoiser's, which is waited for."""
        start = now(self.device)
        result = super().logits(inputs, index)
        self.seconds += now(self.device) - start
        return result


def measure(denoiser: Any, nfe: int, tokens: int, prompt: int, batch: int) -> Speed:
    """`batch` rows of `tokens` tokens after `prompt` characters, unmasked in `nfe` steps by `confidence` at temperature
    0, after a warm-up of two steps."""
    timed, device = Timed(denoiser), denoiser.device
    sampler, info = make_sampler(SamplerSpec(name="confidence")), samplers["confidence"].info
    decoding = Decoding(temperature=0.0)

    def run(steps: int) -> list[Any]:
        requests = [Request(str(i), prompt="x" * prompt, length=tokens) for i in range(batch)]
        jobs = [Job("bench", request, 0, sampler, info, decoding, steps, 0) for request in requests]
        return list(CanvasEngine(timed, batch).generate(jobs))

    run(2)
    timed.seconds = 0.0
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    start = now(device)
    made = run(nfe)
    seconds = now(device) - start
    flops = [one.cost.flops for one in made]
    return Speed(
        nfe,
        seconds,
        timed.seconds,
        sum(one.cost.output_tokens for one in made),
        None if None in flops else sum(flops),
        torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None,
    )


def table(rows: Sequence[Speed], rate: float, told: Mapping[str, str], device: str) -> str:
    """Markdown; `rate` is the FLOP/s at which the device multiplies matrices."""
    facts = {**machine(device), "matrix products": f"{rate / 1e12:.4g} TFLOP/s", **told}
    lines = [_line(row, rate) for row in rows]
    return "\n".join(
        ["# Speed of a model\n", *(f"* {name}: {value}" for name, value in facts.items()), "", *_HEADER, *lines, ""]
    )


def _line(row: Speed, rate: float) -> str:
    def shown(value: float | None, form: str, scale: Callable[[float], float] = lambda x: x) -> str:
        return "" if value is None else form.format(scale(value))

    flops = None if row.flops is None else row.flops / row.seconds
    cells = (
        str(row.nfe),
        f"{row.tokens / row.seconds:.4g}",
        f"{row.seconds:.3g}",
        f"{row.forward / row.seconds:.1%}",
        f"{1 - row.forward / row.seconds:.1%}",
        shown(row.peak, "{:.3g}", lambda peak: peak / 1e9),
        shown(flops, "{:.3g}"),
        shown(flops, "{:.1%}", lambda value: value / rate),
    )
    return f"| {' | '.join(cells)} |"
