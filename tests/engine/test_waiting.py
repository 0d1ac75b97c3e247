"""How often a step makes the host wait for the device, counted on a CPU by the operations that would."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from toys import TextDenoiser, job

from harness.components import make_sampler
from harness.engine.loop import CanvasEngine
from harness.samplers import samplers
from harness.spec import SamplerSpec

ATEN = torch.ops.aten
WAITS = {ATEN.is_nonzero.default, ATEN.item.default, ATEN._local_scalar_dense.default, ATEN.nonzero.default}
"""A tensor's value as a truth or a number, and positions whose count nobody knows before."""


class Waits(TorchDispatchMode):
    """Counts operations after which the host needs the device's answer; `tolist` is counted once a list."""

    def __init__(self, monkeypatch):
        super().__init__()
        self.count, self.quiet = 0, False
        as_list = torch.Tensor.tolist

        def tolist(tensor):
            self.count, self.quiet = self.count + 1, True
            try:
                return as_list(tensor)
            finally:
                self.quiet = False

        monkeypatch.setattr(torch.Tensor, "tolist", tolist)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += func in WAITS and not self.quiet
        return func(*args, **(kwargs or {}))


def waits(monkeypatch, name, steps, temperature=0.0, **args):
    """Over a batch of four rows of 24 tokens in so many steps."""
    sampler, info = make_sampler(SamplerSpec(name=name, args=args)), samplers[name].info
    todo = [job(sampler, info, str(i), length=24, budget=steps, temperature=temperature, prompt="12") for i in range(4)]
    with monkeypatch.context() as patch, Waits(patch) as counted:
        made = list(CanvasEngine(TextDenoiser(reach=60, bucket=1), 4).generate(todo))
    assert len(made) == 4
    return counted.count


@pytest.mark.parametrize(
    ("name", "temperature", "args", "most"),
    [
        ("random", 0.0, {}, 4),
        ("confidence", 0.0, {}, 4),
        ("entropy", 0.0, {}, 4),
        ("llada", 0.0, {}, 4),
        ("llada", 0.0, {"eos": "logits"}, 4),
        ("confidence", 1.0, {}, 5),  # one more asks whether any temperature is neither 0 nor 1
    ],
)
def test_a_step_waits_a_fixed_number_of_times(monkeypatch, name, temperature, args, most):
    """For the positions to predict, whether a logit is NaN, whether any row draws, and which rows are done."""
    few, many = (waits(monkeypatch, name, steps, temperature, **args) for steps in (4, 12))
    assert many - few == 8 * most
