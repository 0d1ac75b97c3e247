"""The sampler of MaskGIT in PyTorch against a plain loop, and the sharpened draws of Halton-MaskGIT."""

import math

import numpy as np
import pytest
from plain import PlainRow
from scipy.special import log_softmax
from support import HashDenoiser, jobs, run
from test_halton import ImageDenoiser, scipy_order


class Guided(PlainRow):
    """Distributions with guidance."""

    def guided(self, scale):
        condition = self.condition
        given = self.logp()
        self.condition = {name: value * 0 for name, value in condition.items()}
        plain = self.logp()
        self.condition = condition
        with np.errstate(invalid="ignore"):
            mixed = np.where(np.isinf(given), given, plain + (1 + scale) * (given - plain))
        return log_softmax(mixed, axis=-1)


def quotas(steps, size):
    """`adap_sche` with `arccos` in valeoai/Halton-MaskGIT v1.0."""
    weights = [math.acos(1 - s / (steps - 1)) for s in range(steps)] if steps > 1 else [1.0]
    counts = [max(round(weight / sum(weights) * size), 1) for weight in weights]
    return [*counts[:-1], size]


@pytest.mark.parametrize("budget", [1, 2, 5, 12, 16])
@pytest.mark.parametrize(
    ("args", "temperature", "guidance"),
    [
        ({}, 1.0, 0.0),
        ({"ramp": True}, 0.8, 1.5),
        ({"choice_temperature": 0.0}, 0.0, 0.0),
        ({"order": "random"}, 1.0, 1.5),
    ],
)
def test_against_a_plain_loop(budget, args, temperature, guidance):
    model = HashDenoiser(length=12, prompt=(1, 4))
    todo = jobs("maskgit_arccos", 3, budget=budget, temperature=temperature, guidance=guidance, **args)
    for made in run(model, todo, trace=True):
        row = Guided(model, made.job)
        for step, quota in enumerate(quotas(budget, 12)):
            if not row.masked:
                break
            share = step / (budget - 1) if budget > 1 else 1.0
            logp = row.guided(guidance * (share if args.get("ramp") else 1.0))
            tokens = row.draws(logp)
            score = row.uniform("choice")
            if args.get("order") != "random":
                tempered = log_softmax(logp / (temperature or 1), axis=-1)
                drawn = tempered[np.arange(len(tokens)), tokens]
                score = drawn + args.get("choice_temperature", 4.5) * (1 - share) * -np.log(-np.log(score))
            best = sorted(row.masked, key=lambda i: -score[i])[:quota]
            row.apply({i: tokens[i] for i in best})
        assert made.trace == row.trace


@pytest.mark.parametrize("budget", [1, 4, 7])
def test_halton_sharpens_over_the_steps_and_softens_the_first(budget):
    model = ImageDenoiser(length=15)
    for made in run(model, jobs("halton", 2, budget=budget, sharpen=1.6, warmup=2), trace=True):
        row = PlainRow(model, made.job)
        order, shown = scipy_order(3, 5), 0
        for step in range(budget):
            factor = np.linspace(1, 1.6, budget)[step] * (0.5 if step < 2 else 1.0)
            now = max(step + 1, int(15 * (1 - math.acos((step + 1) / budget) / (math.pi / 2)) + 1e-9))
            tokens = row.draws(row.logp() * factor)
            row.apply({i: tokens[i] for i in order[shown:now]})
            shown = now
        assert made.trace == row.trace
