"""Language-model decoders that set their own pace, token by token against plain loops of the published code."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from plain_loops import Row, blocks, highest, largest, toy
from support import HashDenoiser, jobs, run

DOCUMENTS = ["0000", "0001", "0002"]
COLD_AND_WARM = pytest.mark.parametrize("temperature", [0.0, 0.8])
BLOCKS = pytest.mark.parametrize("block", [0, 5])


def compare(
    models: list[HashDenoiser], name: str, reference: Callable[..., None], temperature: float, **args: float
) -> None:
    """Several toy models, some documents each in one batch, against the reference: tokens, calls, tokens fed."""
    for model in models:
        made = run(model, jobs(name, len(DOCUMENTS), temperature=temperature, **args))
        for document, generation in zip(DOCUMENTS, made, strict=True):
            row = Row(model, document, temperature)
            reference(row, **args)
            assert generation.output.tokens == row.output, (document, args)
            assert (generation.cost.nfe, generation.cost.token_forwards) == (row.calls, row.fed), (document, args)


def toys(*scales: float) -> list[HashDenoiser]:
    return [toy(seed, scale=scale) for seed, scale in enumerate(scales)]


def factor(row: Row, f: float = 1.0, literal: bool = False, block: int = 0) -> None:
    for begin, end in blocks(row.length, block):
        while masks := row.masks(begin, end):
            logits = row.logits()
            x0, c = row.draw(logits), largest(logits)
            order = highest(len(masks), {i: c[i] for i in masks})
            thresholds = [-1.0] + [1 - f / (n + 1) for n in range(2, len(masks) + 1)]
            count = next((n for n, i in enumerate(order) if c[i] < thresholds[n]), None)
            if literal and count == len(masks) - 1:
                count += 1
            row.write(order[:count], x0)
            row.step += 1


@COLD_AND_WARM
@BLOCKS
@pytest.mark.parametrize("literal", [False, True])
def test_factor(temperature: float, block: int, literal: bool) -> None:
    for f in (0.3, 1.0, 1.9):
        compare(toys(0.3, 0.5), "factor", factor, temperature, f=f, literal=literal, block=block)


class Certain(HashDenoiser):
    """Two positions of confidence 0.9 and 0.26, whatever is visible."""

    def logits(self, inputs, index):
        logits, extra = super().logits(inputs, index)
        rows = torch.log(torch.tensor([[0.9, 0.04, 0.03, 0.03, 0.0], [0.26, 0.25, 0.25, 0.24, 0.0]]))
        return rows[index % 2].to(logits.dtype), extra


def test_factor_as_released_unmasks_a_last_candidate_that_failed() -> None:
    calls = [run(Certain(4, 2), jobs("factor", 1, f=1.0, literal=literal))[0].cost.nfe for literal in (False, True)]
    assert calls == [2, 1]


def klass(row: Row, tau: float = 0.9, epsilon: float = 0.01, history: int = 2, block: int = 0) -> None:
    before = torch.zeros(row.length, row.model.vocab_size, dtype=torch.float64)
    divergences = torch.zeros(row.length, history, dtype=torch.float64)
    for begin, end in blocks(row.length, block):
        step = 0
        while masks := row.masks(begin, end):
            logits = row.logits()
            x0, c = row.draw(logits), largest(logits)
            now = torch.softmax(logits, dim=-1)
            kl = (now * (torch.log(now + 1e-12) - torch.log(before + 1e-12))).sum(dim=-1)
            divergences = torch.cat([divergences[:, 1:], kl[:, None]], dim=1)
            before = now
            settled = (divergences < epsilon).all(dim=1).tolist() if step >= history - 1 else [False] * row.length
            ready = [i for i in masks if settled[i] and c[i] > tau]
            row.write(ready or highest(1, {i: c[i] for i in masks}), x0)
            step += 1
            row.step += 1


@COLD_AND_WARM
@BLOCKS
def test_klass(temperature: float, block: int) -> None:
    for settings in ({"tau": 0.4, "epsilon": 0.05}, {"tau": 0.3, "epsilon": 0.5, "history": 1}, {"epsilon": 1e9}):
        compare(toys(0.15, 0.3), "klass", klass, temperature, block=block, **settings)


def dus(row: Row, block: int = 32, base: int = 2, skip: float = 0.0) -> None:
    for begin, end in blocks(row.length, block):
        width, t = block or row.length, 0
        while masks := row.masks(begin, end):
            t += 1
            logits = row.logits()
            x0, c = row.draw(logits), largest(logits)
            stride = max(1, width // base**t)
            turn = [i for i in masks if (i - begin) % stride == 0]
            row.write([i for i in turn if c[i] >= skip or stride == 1], x0)
            row.step += 1


@COLD_AND_WARM
@pytest.mark.parametrize("block", [0, 1, 2, 4, 5, 8])
def test_dus(temperature: float, block: int) -> None:
    for base, skip in [(2, 0.0), (2, 0.5), (3, 0.9)]:
        compare(toys(0.3), "dus", dus, temperature, block=block, base=base, skip=skip)


def test_dus_visits_the_published_order() -> None:
    (made,) = run(HashDenoiser(length=16), jobs("dus", 1, block=8), trace=True)
    rounds = [[place + 1 for place in step["commit"]] for step in made.trace]
    assert rounds == [[1, 5], [3, 7], [2, 4, 6, 8], [9, 13], [11, 15], [10, 12, 14, 16]]


def localleap(row: Row, tau: float = 0.9, relaxed: float = 0.75, radius: int = 4, block: int = 0) -> None:
    for begin, end in blocks(row.length, block):
        while masks := row.masks(begin, end):
            logits = row.logits()
            x0, c = row.draw(logits), largest(logits)
            anchors = [i for i in masks if c[i] >= tau]
            neighbours = {j for i in anchors for j in range(i - radius, i + radius + 1)}
            order = highest(len(masks), {i: c[i] for i in masks})
            chosen = order[:1] + [i for i in order[1:] if c[i] >= (relaxed if i in neighbours else tau)]
            row.write(chosen, x0)
            row.step += 1


@COLD_AND_WARM
@BLOCKS
def test_localleap(temperature: float, block: int) -> None:
    for settings in ({"tau": 0.6, "relaxed": 0.4, "radius": 1}, {"tau": 0.8, "relaxed": 0.3}, {"radius": 0}):
        compare(toys(0.3, 0.5), "localleap", localleap, temperature, block=block, **settings)


def saber(row: Row, n: int = 2, block: int = 0) -> None:
    at_commit: dict[int, float] = {}
    last = dict.fromkeys(range(row.length), 0.0)
    for _, end in blocks(row.length, block):
        while masks := row.masks(0, end):
            logits = row.logits()
            x0 = row.draw(logits)
            c = [p if i < end else -math.inf for i, p in enumerate(largest(logits))]
            delta = {i: c[i] - last[i] for i in range(row.length)}
            delta = {i: d if math.isfinite(d) else math.inf for i, d in delta.items()}
            last = dict(enumerate(c))
            mean = sum(at_commit.values()) / len(at_commit) if at_commit else 1.0
            chosen = [i for i in masks if c[i] > mean]
            if len(chosen) < n:
                chosen = highest(n, {i: c[i] for i in masks})
            k = max(n, len(chosen))
            row.write(chosen, x0)
            at_commit.update({i: c[i] for i in chosen})
            if row.masks(0, end):
                back = min(max(n // 2, (k + 7) // 8), k - 1)
                visible = [i for i in range(end) if i not in row.masks()]
                row.erase(highest(back, {i: -delta[i] for i in visible}))
            row.step += 1


@COLD_AND_WARM
@BLOCKS
@pytest.mark.parametrize("n", [1, 2, 3, 6])
def test_saber(temperature: float, block: int, n: int) -> None:
    compare(toys(0.15, 0.3, 0.5), "saber", saber, temperature, block=block, n=n)


def slowfast(
    row: Row, tau: float = 0.9, reach: float = 0.3, explore: int = 6, literal: bool = False, block: int = 0
) -> None:
    def fill(masks: list[int], logits: torch.Tensor) -> None:
        x0, c = row.draw(logits), largest(logits)
        sure = [i for i in masks if c[i] >= tau]
        row.write(sure if len(sure) > 1 else highest(1, {i: c[i] for i in masks}), x0)
        row.step += 1

    for begin, end in blocks(row.length, block):
        start = begin
        while row.masks(begin, end):
            estimates: list[int] = []
            until = None
            for _ in range(explore):
                masks = row.masks(start, end)
                if not masks or (until is not None and not literal):
                    break
                logits = row.logits()
                c = largest(logits)
                estimates.append(max([i for i in masks if c[i] >= reach], default=start) + 1)
                if until is None and len(estimates) > 1 and abs(estimates[-1] - estimates[-2]) <= 1:
                    until = estimates[-1]
                fill(masks, logits)
            if until is None:
                last = [place - begin for place in estimates[-2:]]
                until = begin + sum(last) // len(last)
            first = True
            while masks := row.masks(start, until):
                whole = row.start + row.length
                fill(masks, row.logits(whole if first else row.start + until))
                first = False
            start = until


@COLD_AND_WARM
@pytest.mark.parametrize("block", [0, 7])
@pytest.mark.parametrize("literal", [False, True])
def test_slowfast(temperature: float, block: int, literal: bool) -> None:
    for settings in ({"tau": 0.7, "reach": 0.4}, {"reach": 0.6, "explore": 3}, {"tau": 0.5, "explore": 1}):
        compare(toys(0.15, 0.3, 0.5), "slowfast", slowfast, temperature, block=block, literal=literal, **settings)


def test_slowfast_cuts_the_canvas_in_its_fast_phase() -> None:
    (made,) = run(toy(0, length=24, scale=0.15), jobs("slowfast", 1, reach=0.5))
    assert made.cost.token_forwards < made.cost.nfe * 27


def credit(
    row: Row, tau: float = 0.9, alpha: float = 0.7, beta: float = 0.8, gamma: float = 0.2, block: int = 0
) -> None:
    for begin, end in blocks(row.length, block):
        credits = torch.zeros(row.length, row.model.vocab_size, dtype=torch.float64)
        while masks := row.masks(begin, end):
            logits = row.logits()
            credits = credits * beta
            probability, token = torch.softmax(logits, dim=-1).max(dim=-1)
            for i in masks:
                credits[i, token[i]] += probability[i] ** gamma
            fused = logits + alpha * torch.log(credits + 1)
            x0, c = row.draw(fused), largest(fused)
            sure = [i for i in masks if c[i] >= tau]
            row.write(sure or highest(1, {i: c[i] for i in masks}), x0)
            row.step += 1


@COLD_AND_WARM
@BLOCKS
def test_credit(temperature: float, block: int) -> None:
    for settings in ({"tau": 0.7}, {"tau": 0.8, "alpha": 2.0, "beta": 0.5, "gamma": 1.0}):
        compare(toys(0.15, 0.3, 0.5), "credit", credit, temperature, block=block, **settings)


def test_credit_without_weight_is_the_threshold() -> None:
    model = toy(1, scale=0.3)
    made = [
        run(model, jobs(name, 4, tau=0.6, **args)) for name, args in (("credit", {"alpha": 0.0}), ("threshold", {}))
    ]
    assert [g.output for g in made[0]] == [g.output for g in made[1]]


def hierarchy(row: Row, tau: float = 0.9, low: float = 0.4, block: int = 0) -> None:
    for begin, end in blocks(row.length, block):
        while masks := row.masks(begin, end):
            logits = row.logits()
            x0, c = row.draw(logits), largest(logits)
            runs: list[list[int]] = []
            for i in masks:
                if runs and runs[-1][-1] == i - 1:
                    runs[-1].append(i)
                else:
                    runs.append([i])
            chosen = {max(run, key=lambda i: c[i]) for run in runs}
            chosen = {i for i in chosen if c[i] > low} | {i for i in masks if c[i] > tau}
            row.write(sorted(chosen | set(highest(1, {i: c[i] for i in masks}))), x0)
            row.step += 1


@COLD_AND_WARM
@BLOCKS
def test_hierarchy(temperature: float, block: int) -> None:
    for settings in ({"tau": 0.8}, {"tau": 0.6, "low": 0.0}, {"low": 0.95}):
        compare(toys(0.15, 0.3), "hierarchy", hierarchy, temperature, block=block, **settings)


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("factor", {"f": 0.0}),
        ("klass", {"tau": 1.0}),
        ("localleap", {"tau": 1.0, "relaxed": 1.0}),
        ("slowfast", {"tau": 1.0, "reach": 0.0}),
        ("credit", {"tau": 1.0, "alpha": 0.0}),
        ("hierarchy", {"tau": 1.0, "low": 1.0}),
    ],
)
def test_slowest_is_one_at_a_time(name: str, args: dict[str, float]) -> None:
    model = toy(2, scale=0.2)
    made, sequential = run(model, jobs(name, 4, **args)), run(model, jobs("sequential", 4))
    assert [g.output for g in made] == [g.output for g in sequential]


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("factor", {"f": 13.0}),
        ("localleap", {"tau": 0.0}),
        ("slowfast", {"tau": 0.0}),
        ("credit", {"tau": 0.0, "alpha": 0.0}),
        ("hierarchy", {"tau": 0.0}),
        ("dus", {"base": 12, "block": 0}),
    ],
)
def test_fastest_draws_all_marginals_at_once(name: str, args: dict[str, float]) -> None:
    model = toy(2, scale=0.2)
    at_once = run(model, jobs("random", 4, budget=1))
    assert [g.output for g in run(model, jobs(name, 4, **args))] == [g.output for g in at_once]


MIXED = {
    "factor": [{"f": 0.3}, {"f": 2.0, "block": 4}],
    "klass": [{"tau": 0.4, "epsilon": 0.1, "block": 4}, {"tau": 0.2, "history": 1}],
    "dus": [{"block": 4}, {"block": 8, "skip": 0.6, "base": 3}],
    "localleap": [{"radius": 1, "tau": 0.6}, {"radius": 3, "relaxed": 0.2}],
    "saber": [{"n": 1}, {"n": 4, "block": 3}],
    "slowfast": [{"tau": 0.5, "explore": 2}, {"block": 5, "reach": 0.6}],
    "credit": [{"alpha": 2.0, "tau": 0.6}, {"beta": 0.1, "block": 4}],
    "hierarchy": [{"tau": 0.6}, {"low": 0.1, "block": 6}],
    "llada": [{"block": 4, "budget": 6}, {"budget": 5}],
    "dream": [{"top_p": 0.7, "budget": 6}, {"top_k": 2, "alg_temp": 0.5, "budget": 9}],
    "pc": [{"decay": 0.0, "budget": 6}, {"alpha": 1.0, "budget": 7, "block": 4}],
}


@pytest.mark.parametrize("name", MIXED)
def test_rows_of_other_settings_change_nothing(name: str) -> None:
    model = toy(3, scale=0.3)
    settings = [{"cell": str(i), "temperature": i * 0.7, **args} for i, args in enumerate(MIXED[name])]
    todo = [job for args in settings for job in jobs(name, 3, **args)]
    together, alone = run(model, todo, batch_size=4), [run(model, [job])[0] for job in todo]
    assert [(g.output, g.cost) for g in together] == [(g.output, g.cost) for g in alone]
