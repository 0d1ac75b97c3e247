"""The generators of continuous diffusion, on a Gaussian whose ODE has a closed form."""

import math
from itertools import pairwise

import pytest
import torch

from harness.components import make_sampler
from harness.engine.engine import Engine
from harness.engine.generator import Job
from harness.models.base import Row
from harness.samplers import samplers
from harness.samplers.edm import noise_levels
from harness.spec import Decoding, SamplerSpec
from harness.task import Output, Request

MEAN, SPREAD, START = 0.3, 0.5, 80.0


class Gaussian:
    """The exact denoiser of N(MEAN, SPREAD²), in float64; its output carries what came out."""

    vocab_size = mask_id = 0
    eos_ids, length_bucket = frozenset(), 1
    capabilities = frozenset({"denoises_pixels"})
    device = torch.device("cpu")

    def __init__(self, length=64):
        self.length, self.inputs = length, []

    def encode(self, request):
        return Row([0] * self.length, [True] * self.length)

    def decode(self, values):
        return Output(text=repr(values))

    def network(self, condition, inputs):
        self.inputs.append(inputs)
        sigma = inputs["sigma"][:, None]
        return MEAN + SPREAD**2 / (SPREAD**2 + sigma**2) * (inputs["x"] - MEAN)

    def work(self, inputs):
        return torch.ones_like(inputs["sigma"], dtype=torch.int64), None


def made(name, budget, count=1, length=64, **args):
    sampler = make_sampler(SamplerSpec(name=name, args=args))
    info = samplers[name].info
    todo = [Job("", Request(f"{i}"), 0, sampler, info, Decoding(), budget, 0) for i in range(count)]
    model = Gaussian(length)
    found = sorted(Engine(model, count).generate(todo), key=lambda one: int(one.job.request.document))
    values = torch.tensor([eval(one.output.text, {"__builtins__": {}}) for one in found], dtype=torch.float64)
    return values, model.inputs[0]["x"], found[0].cost


def error(name, budget):
    values, noise, _ = made(name, budget)
    exact = MEAN + SPREAD / math.sqrt(SPREAD**2 + START**2) * (noise - MEAN)
    return float((values - exact).abs().max())


def test_the_levels_of_noise_are_those_of_edm():
    levels = noise_levels(18, 0.002, 80.0, 7.0)
    assert len(levels) == 19
    assert (levels[0], levels[-1]) == (pytest.approx(80), 0)
    assert levels[17] == pytest.approx(0.002)
    roots = [level ** (1 / 7) for level in levels[:-1]]
    assert [a - b for a, b in pairwise(roots)] == pytest.approx([(roots[0] - roots[-1]) / 17] * 17)
    assert noise_levels(1, 0.002, 80.0, 7.0) == pytest.approx([80.0, 0.0])


def test_heun_is_of_second_order_and_ddim_of_first():
    for name, order in (("heun", 2), ("ddim", 1)):
        errors = [error(name, budget) for budget in (20, 40, 80)]
        assert errors[2] < 0.05
        assert math.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.35)
        assert math.log2(errors[1] / errors[2]) == pytest.approx(order, abs=0.35)


def test_calls_are_counted():
    assert made("heun", 9)[2].nfe == 17
    assert made("heun", 1)[2].nfe == 1
    cost = made("ddim", 9, eta=0.5)[2]
    assert (cost.depth, cost.nfe, cost.token_forwards, cost.flops) == (9, 9, 9, None)


def test_ddim_with_fresh_noise_has_the_variance_of_its_recursion():
    values, _, _ = made("ddim", 10, count=50, length=400, eta=1.0)
    levels = noise_levels(10, 0.002, 80.0, 7.0)
    variance, keep = START**2, 0.0
    for sigma, following in pairwise(levels):
        # x − mean = a (x − mean) + fresh noise, linear in each step.
        shrink = SPREAD**2 / (SPREAD**2 + sigma**2)
        down = following**2 / sigma
        keep = shrink + down / sigma * (1 - shrink)
        variance = keep**2 * variance + following**2 - down**2
    count = values.numel()
    assert float(values.var()) == pytest.approx(variance, rel=4 * math.sqrt(2 / count))
    assert float(values.mean()) == pytest.approx(MEAN, abs=4 * math.sqrt(variance / count) + 0.01)
    deterministic, _, _ = made("ddim", 10, count=1)
    again, _, _ = made("ddim", 10, count=1)
    assert torch.equal(deterministic, again)
