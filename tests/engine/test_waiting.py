"""How often a step makes the host wait for the device, counted on a CPU by the operations that would."""

import pytest
import torch
from checkpoints import write_llada
from torch.utils._python_dispatch import TorchDispatchMode
from toys import TextDenoiser, job

from harness import prediction
from harness.components import make_sampler
from harness.engine import proxy
from harness.engine.loop import CanvasEngine
from harness.models.text.families import llada
from harness.samplers import samplers
from harness.spec import SamplerSpec

ATEN = torch.ops.aten
WAITS = {
    *(ATEN.is_nonzero.default, ATEN.item.default, ATEN._local_scalar_dense.default, ATEN.nonzero.default),
    ATEN.lift_fresh.default,
}
"""A tensor's value as a truth or a number, positions whose count nobody knows before, and numbers that the host brings:
they are copied when the device has done what it had to."""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return llada(pretrained=str(write_llada(tmp_path_factory.mktemp("llada") / "tiny")), dtype="float32")


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


def waits(monkeypatch, model, name, steps, temperature=0.0, **args):
    """Over a batch of four rows of 24 tokens in so many steps."""
    sampler, info = make_sampler(SamplerSpec(name=name, args=args)), samplers[name].info
    todo = [
        job(sampler, info, str(i), length=24, budget=steps, temperature=temperature, prompt="Why?") for i in range(4)
    ]
    with monkeypatch.context() as patch, Waits(patch) as counted:
        made = list(CanvasEngine(model, 4).generate(todo))
    assert len(made) == 4
    return counted.count


@pytest.mark.parametrize(
    ("name", "temperature", "args", "most"),
    [
        ("random", 0.0, {}, 1),
        ("confidence", 0.0, {}, 1),
        ("entropy", 0.0, {}, 1),
        ("llada", 0.0, {}, 1),
        ("llada", 0.0, {"eos": "logits"}, 1),
        ("confidence", 1.0, {}, 1),
        ("confidence", 0.5, {}, 1),
        ("maskgit", 1.0, {}, 1),
        ("freecorrection", 1.0, {}, 2),  # one more asks which positions are to be predicted: not the masked ones
    ],
)
def test_a_step_waits_a_fixed_number_of_times(monkeypatch, model, name, temperature, args, most):
    """At its end, for what went wrong, which rows are done, and how many masks each has left."""
    few, many = (waits(monkeypatch, model, name, steps, temperature, **args) for steps in (4, 12))
    assert many - few == 8 * most


@pytest.mark.parametrize("name", ["confidence", "eb", "pc", "dream", "threshold", "rcr"])
def test_the_host_knows_how_many_masks_there_are(monkeypatch, name):
    """In batches that are refilled, with rows of several lengths, budgets and temperatures, and an end of text."""
    sampler, info = make_sampler(SamplerSpec(name=name, args={})), samplers[name].info
    todo = [
        job(sampler, info, str(i), length=length, budget=budget, temperature=heat, prompt="12")
        for i, (length, budget, heat) in enumerate([(9, 3, 0.0), (7, 7, 1.0), (9, 9, 0.5), (8, 2, 0.0), (6, 5, 1.0)])
    ]
    counts = []

    def places(need, count):
        if count is not None:
            counts.append((count, int(need.sum())))
        return look(need, None)

    look, kinds = proxy._places, prediction._kinds
    model = TextDenoiser(reach=60, bucket=12, eos=[3])
    ours = {one.job.request.document: one for one in CanvasEngine(model, 2).generate(todo)}
    with monkeypatch.context() as patch:
        patch.setattr(proxy, "_places", places)
        patch.setattr(prediction, "_kinds", lambda tau, known: kinds(tau, None))
        asked = {one.job.request.document: one for one in CanvasEngine(model, 2).generate(todo)}
    assert all(count == there for count, there in counts)
    assert counts or name == "rcr"  # which asks a question of its own
    assert [(ours[i].output, ours[i].cost) for i in asked] == [(each.output, each.cost) for each in asked.values()]
    assert len(asked) == 5
