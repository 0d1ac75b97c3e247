"""The harness against a plain loop in the manner of LLaDA's release, on one model, in turns within one run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from harness.bench.overhead import now, quartiles
from harness.bench.speed import Timed
from harness.bench.table import machine, spread
from harness.components import make_sampler
from harness.engine.generator import Job
from harness.engine.loop import CanvasEngine
from harness.models.base import Inputs
from harness.models.random_llama import RandomDenoiser
from harness.samplers import samplers
from harness.spec import Decoding, SamplerSpec
from harness.task import Request

SAMPLER = "llada"
_HEADER = (
    "| batch | temperature | as released, s | harness, s | ratio | harness / its forwards | tokens equal |\n"
    "| ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n"
)


@dataclass(frozen=True)
class Comparison:
    """Repeats of the same batch by both.

    released, ours  seconds of each repeat
    forward         seconds of `ours` inside the model
    agree           share of generated tokens that are the same (of interest at temperature 0)
    """

    batch: int
    temperature: float
    released: tuple[float, ...]
    ours: tuple[float, ...]
    forward: tuple[float, ...]
    agree: float


@torch.inference_mode()
def released_loop(denoiser: RandomDenoiser, rows: int, steps: int, temperature: float) -> Tensor:
    """(rows, positions) int64: the tokens that LLaDA's loop makes (ML-GSAI/LLaDA b7e6c35, `generate.py`).

    As released: logits at all positions, the prompt's among them, in every step; Gumbel noise in float64 over the whole
    vocabulary; probabilities of all tokens; a `topk` for each row. One block. The mask id, which its network has never
    been trained to give, is left out, as the harness leaves it out.
    """
    prompt, device = len(denoiser.prompt), denoiser.device
    row = torch.tensor([*denoiser.prompt, *[denoiser.mask_id] * denoiser.length], device=device)
    tokens = row.repeat(rows, 1)
    valid, positions = torch.ones_like(tokens, dtype=torch.bool), torch.arange(tokens.shape[1], device=device)
    condition = {"label": torch.zeros(rows, dtype=torch.int64, device=device)}
    for step in range(steps):
        masked = tokens == denoiser.mask_id
        hidden, _ = denoiser.network(Inputs(tokens, valid, positions.expand_as(tokens), condition))
        logits = denoiser.network.head(hidden)
        logits[..., denoiser.mask_id] = float("-inf")
        drawn = _with_noise(logits, temperature).argmax(dim=-1)
        probability = F.softmax(logits, dim=-1).gather(-1, drawn[..., None])[..., 0]
        confidence = torch.where(masked, probability, float("-inf"))
        quota = denoiser.length // steps + (step < denoiser.length % steps)
        for one in range(rows):
            chosen = torch.topk(confidence[one], k=quota).indices
            tokens[one, chosen] = drawn[one, chosen]
    return tokens[:, prompt:]


def _with_noise(logits: Tensor, temperature: float) -> Tensor:
    if temperature == 0:
        return logits
    exact = logits.to(torch.float64)
    noise = torch.rand_like(exact)
    return exact.exp() / (-torch.log(noise)) ** temperature


def compare(denoiser: RandomDenoiser, batch: int, steps: int, temperature: float, repeats: int) -> Comparison:
    """Both by turns, `repeats` times after a warm-up of one step each."""
    timed, device = Timed(denoiser), denoiser.device
    released_loop(denoiser, batch, 1, temperature)
    _ours(timed, batch, 1, temperature)
    released, ours, forward, agree = [], [], [], []
    for _ in range(repeats):
        start = now(device)
        theirs = released_loop(denoiser, batch, steps, temperature)
        middle = now(device)
        timed.seconds = 0.0
        made = _ours(timed, batch, steps, temperature)
        ours.append(now(device) - middle)
        released.append(middle - start)
        forward.append(timed.seconds)
        agree.append((theirs.cpu() == torch.tensor(made)).float().mean().item())
    return Comparison(batch, temperature, tuple(released), tuple(ours), tuple(forward), float(np.mean(agree)))


def _ours(denoiser: Timed, batch: int, steps: int, temperature: float) -> list[Sequence[int]]:
    sampler, info, decoding = (
        make_sampler(SamplerSpec(name=SAMPLER)),
        samplers[SAMPLER].info,
        Decoding(temperature=temperature),
    )
    jobs = [Job("bench", Request("0"), i, sampler, info, decoding, steps, 0) for i in range(batch)]
    made = {one.job.sample: one.output.tokens for one in CanvasEngine(denoiser, batch).generate(jobs)}
    return [made[i] for i in range(batch)]


def table(rows: Sequence[Comparison], told: Mapping[str, str], device: str) -> str:
    """Markdown: a line for each batch and temperature, and for each temperature both sides at their best batch."""
    facts = "".join(f"* {name}: {value}\n" for name, value in {**machine(device), **told}.items())
    lines = "".join(map(_line, rows))
    best = "".join(
        _best([row for row in rows if row.temperature == t]) for t in sorted({row.temperature for row in rows})
    )
    return f"# The harness beside LLaDA's loop as released\n\n{facts}\n{_HEADER}{lines}\n{best}"


def _line(row: Comparison) -> str:
    ours = np.array(row.ours)
    ratios, shares = (np.array(row.released) / ours).tolist(), (ours / np.array(row.forward)).tolist()
    cells = [spread(quartiles(each), "{:.3g}") for each in (row.released, row.ours, ratios, shares)]
    return f"| {row.batch} | {row.temperature:g} | {' | '.join(cells)} | {row.agree:.2%} |\n"


def _best(rows: Sequence[Comparison]) -> str:
    """Rows a second by the medians, at the batch where each side has most of them."""
    theirs = max(rows, key=lambda row: row.batch / np.median(row.released))
    ours = max(rows, key=lambda row: row.batch / np.median(row.ours))
    ratio = (ours.batch / np.median(ours.ours)) / (theirs.batch / np.median(theirs.released))
    return (
        f"Temperature {ours.temperature:g}, each at its best batch (released {theirs.batch}, harness {ours.batch}): "
        f"{ratio:.2f} times as many tokens a second.\n"
    )
