"""The samplers as plain loops over one row, in numpy, written from the papers: what the batched ones must equal."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import log_softmax
from scipy.stats import entropy

from harness.engine import rng
from harness.engine.generator import Job
from harness.models.base import Inputs

Array = NDArray[np.float64]


class PlainRow:
    """One row of a model: its distributions, its random numbers, and what has been committed and re-masked so far."""

    def __init__(self, model: Any, job: Job) -> None:
        row = model.encode(job.request)
        self.model, self.job, self.mask = model, job, model.mask_id
        self.tokens = np.array(row.tokens)
        self.editable = np.array(row.editable)
        self.condition = {name: torch.tensor([value]) for name, value in row.condition.items()}
        self.start = int(self.editable.argmax())
        self.calls, self.step = 0, 0
        self.trace: list[dict[str, list[int]]] = []

    @property
    def masked(self) -> list[int]:
        return [int(i) for i in np.flatnonzero(self.editable & (self.tokens == self.mask))]

    @property
    def visible(self) -> list[int]:
        return [int(i) for i in np.flatnonzero(self.editable & (self.tokens != self.mask))]

    def logp(self, tokens: Any = None) -> Array:
        """(L, V) log-probabilities: one model call."""
        self.calls += 1
        shown = torch.from_numpy(self.tokens if tokens is None else tokens)[None]
        positions = torch.arange(shown.shape[1])[None]
        inputs = Inputs(shown, torch.ones_like(shown, dtype=torch.bool), positions, self.condition)
        logits, _ = self.model.logits(inputs, torch.arange(shown.shape[1]))
        result: Array = log_softmax(logits.double().numpy(), axis=-1)
        return result

    def uniform(self, purpose: str) -> Array:
        def word(value: int) -> torch.Tensor:
            return torch.tensor([value])

        document = word(rng.document_key(self.job.request.document))
        seed, sample = word(self.job.seed), word(self.job.sample)
        values: Array = rng.uniform(seed, purpose, document, sample, word(self.step), len(self.tokens))[0].numpy()
        return values

    def draws(self, logp: Array) -> list[int]:
        """A token for each position, by inverse CDF at the step's uniforms; the arg-max at temperature 0."""
        temperature = self.job.decoding.temperature
        if temperature == 0:
            return [int(i) for i in logp.argmax(-1)]
        weights = np.exp(logp / temperature).cumsum(-1)
        uniform = self.uniform("tokens") * weights[:, -1]
        return [int(np.searchsorted(row, u, side="right")) for row, u in zip(weights, uniform, strict=True)]

    def apply(self, commit: dict[int, int], remask: list[int] | None = None) -> None:
        for i, token in commit.items():
            assert self.tokens[i] == self.mask
            self.tokens[i] = token
        for i in remask or []:
            self.tokens[i] = self.mask
        places = sorted(commit)
        entry = {"commit": [i - self.start for i in places], "tokens": [commit[i] for i in places]}
        self.trace.append({**entry, "remask": [i - self.start for i in sorted(remask)]} if remask else entry)
        self.step += 1


def best(count: int, score: Any, where: list[int]) -> list[int]:
    """The `count` positions of `where` with the highest score, the lower position first among equals."""
    return sorted(where, key=lambda i: (-score[i], i))[:count]


SCORES: dict[str, Callable[[Array, PlainRow], Array]] = {
    "confidence": lambda logp, row: np.exp(logp.max(-1)),
    "margin": lambda logp, row: np.diff(np.sort(np.exp(logp), -1)[:, -2:])[:, 0],
    "entropy": lambda logp, row: -entropy(np.exp(logp), axis=-1),
    "random": lambda logp, row: row.uniform("order"),
}


def llada_quota(masks: int, steps: int) -> list[int]:
    """ML-GSAI/LLaDA `get_num_transfer_tokens`: an even split, the remainder to the first steps."""
    return [masks // steps + (1 if i < masks % steps else 0) for i in range(steps)]


def blocks(row: PlainRow, size: int) -> list[list[int]]:
    places = row.masked
    size = size or len(places)
    return [places[i : i + size] for i in range(0, len(places), size)]


def top_k(row: PlainRow, kind: str, steps: int, block: int = 0) -> None:
    """LLaDA's semi-autoregressive loop; steps must be a multiple of the number of blocks."""
    parts = blocks(row, block)
    assert steps % len(parts) == 0
    for part in parts:
        for quota in llada_quota(len(part), steps // len(parts)):
            if not any(i in part for i in row.masked):
                continue
            logp = row.logp()
            chosen = best(quota, SCORES[kind](logp, row), [i for i in row.masked if i in part])
            tokens = row.draws(logp)
            row.apply({i: tokens[i] for i in chosen})


def sequential(row: PlainRow, order: str) -> None:
    while row.masked:
        logp = row.logp()
        score = {
            "confidence": logp.max(-1),
            "left_to_right": -np.arange(len(logp)),
            "random": row.uniform("order"),
        }[order]
        (chosen,) = best(1, score, row.masked)
        row.apply({chosen: row.draws(logp)[chosen]})


def threshold(row: PlainRow, tau: float, block: int = 0) -> None:
    for part in blocks(row, block):
        while left := [i for i in row.masked if i in part]:
            logp = row.logp()
            confidence = np.exp(logp.max(-1))
            chosen = {i for i in left if confidence[i] >= tau} | set(best(1, confidence, left))
            tokens = row.draws(logp)
            row.apply({i: tokens[i] for i in chosen})


def entropy_bound(row: PlainRow, gamma: float, proxy: str = "entropy", block: int = 0) -> None:
    """The largest prefix whose entropy less its largest is within γ, found by trying every length."""
    for part in blocks(row, block):
        while left := [i for i in row.masked if i in part]:
            logp = row.logp()
            ordered = best(len(left), SCORES[proxy](logp, row), left)
            h = [float(entropy(np.exp(logp[i]))) for i in ordered]
            sizes = [n for n in range(1, len(left) + 1) if math.fsum(h[:n]) - max(h[:n]) <= gamma + 1e-12]
            tokens = row.draws(logp)
            row.apply({i: tokens[i] for i in ordered[: max(sizes)]})


def cosine(size: int, step: int, steps: int) -> int:
    """Positions that stay masked after this step."""
    return 0 if step == steps - 1 else max(1, math.floor(size * math.cos(math.pi / 2 * (step + 1) / steps)))


def gumbel(uniform: Array) -> Array:
    result: Array = -np.log(-np.log(uniform))
    return result


def maskgit(row: PlainRow, steps: int, temperature: float = 4.5, anneal: str = "linear") -> None:
    size, product = len(row.masked), 1.0
    for step in range(steps):
        if not row.masked:
            return
        logp = row.logp()
        tokens = row.draws(logp)
        product *= 1 - (step + 1) / steps
        fall = 1 - step / max(steps - 1, 1)
        share = {"linear": 1 - (step + 1) / steps, "constant": 1.0, "compounding": product, "linspace": fall}[anneal]
        score = logp[range(len(logp)), tokens] + temperature * share * gumbel(row.uniform("choice"))
        count = max(1, len(row.masked) - cosine(size, step, steps))
        row.apply({i: tokens[i] for i in best(count, score, row.masked)})


def free_correction(row: PlainRow, steps: int, caps: tuple[int, int, int], literal: bool, temperature: float) -> None:
    """The released loop of FreeCorrection, with its history kept as lists."""
    size = len(row.masked)
    history: dict[int, list[float]] = {i: [] for i in row.masked}
    for step in range(steps):
        ratio, last = step / steps, step == steps - 1
        cap = caps[0] if ratio < 0.6 else caps[1] if ratio < 0.8 else caps[2]
        keep = cosine(size, step, steps)
        allotted = 0 if last or ratio < 0.4 else min(keep, cap)
        masked, visible = row.masked, row.visible
        logp = row.logp()
        draws = row.draws(logp)
        for i in visible:
            history[i].append(math.exp(logp[i, row.tokens[i]]))
        corrects = step > 0.4 * steps if literal else ratio >= 0.4
        average = {i: -sum(history[i]) / len(history[i]) for i in visible}
        remask = best(allotted if corrects else 0, average, visible)
        for i in remask:
            history[i] = []
        score = logp[range(len(logp)), draws] + temperature * gumbel(row.uniform("choice"))
        commit = best(max(0, len(masked) - (keep - allotted)), score, masked)
        row.apply({i: draws[i] for i in commit}, remask)


def kl(one: Array, other: Array) -> float:
    possible = one > -np.inf
    return float((np.exp(one[possible]) * (one[possible] - other[possible])).sum())


def punt(row: PlainRow, epsilon: float, block: int = 0) -> None:
    """Algorithm 1: binary codes of the confidence rank, most significant bit first."""
    for part in blocks(row, block):
        while candidates := [i for i in row.masked if i in part]:
            base = row.logp()
            y = row.draws(base)
            ordered = best(len(candidates), base.max(-1), candidates)
            bits = max(0, math.ceil(math.log2(len(candidates))))
            code = {i: format(rank, f"0{bits}b") if bits else "" for rank, i in enumerate(ordered)}
            kept = set(candidates)
            for b in range(bits):
                anchors = {i for i in kept if code[i][b] == "0"}
                tests = kept - anchors
                if not anchors or not tests:
                    continue
                shown = row.tokens.copy()
                for i in anchors:
                    shown[i] = y[i]
                probe = row.logp(shown)
                kept -= {j for j in tests if kl(base[j], probe[j]) > epsilon}
            assert ordered[0] in kept
            row.apply({i: y[i] for i in kept})
