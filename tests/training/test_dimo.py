"""Di[M]O: its gradients against automatic ones, and a distillation whose right answer is known."""

import copy
import json
import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from harness.errors import UserError
from harness.miniworld import captions, scenes
from harness.miniworld.split import held_out
from harness.miniworld.vocabulary import FIRST_CODE
from harness.models.digits import digits
from harness.models.digits_data import digits_split
from harness.models.mini.denoiser import mini
from harness.models.mini.network import MiniConfig, MiniTransformer
from harness.models.start import Start, begun
from harness.models.transformer import Transformer, TransformerConfig
from harness.models.weights_file import write_weights
from harness.task import Request
from harness.training import dimo
from harness.training.dimo import (
    Batch,
    Distillation,
    Networks,
    canvases,
    inputs_of,
    jeffreys,
    losses,
    one_step,
    random_masks,
)
from harness.training.dimo_teachers import teacher
from harness.training.objective import masked_cross_entropy
from harness.training.run import train

HOLES, KINDS, MASK = 4, 4, 4


@pytest.mark.parametrize("beta", [-0.2, 0.0, 0.4, 1.0])
def test_divergence_and_its_gradient_are_those_of_torch(beta):
    torch.manual_seed(0)
    logits = torch.randn(6, 5, dtype=torch.float64, requires_grad=True)
    target = torch.randn(6, 5, dtype=torch.float64)
    p, q = logits.log_softmax(-1), target.log_softmax(-1)
    forward = F.kl_div(p, q, log_target=True, reduction="none").sum(-1)
    reverse = F.kl_div(q, p, log_target=True, reduction="none").sum(-1)
    expected = (1 - beta) * forward + beta * reverse
    divergence, gradient = jeffreys(logits.detach(), target, beta)
    torch.testing.assert_close(divergence, expected.detach())
    torch.testing.assert_close(gradient, torch.autograd.grad(expected.sum(), logits)[0])


def test_masks_are_among_the_holes_and_as_many_as_the_arccos_schedule_says():
    torch.manual_seed(0)
    holes = torch.zeros(4000, 60, dtype=torch.bool)
    holes[:, 10:50] = True
    masks = random_masks(holes)
    assert not (masks & ~holes).any()
    counts = masks.sum(dim=1)
    assert counts.min() >= 1
    # The mean of arccos(u) over u in (0, 1) is 1, and of its square π − 2.
    share = 2 / math.pi
    spread = (share**2 * (math.pi - 2) - share**2) ** 0.5
    assert (counts / 40).mean().item() == pytest.approx(share, abs=4 * spread / 4000**0.5)


class Denoiser:
    """Rows of tokens that are all the same, by a `Transformer`."""

    mask_id = MASK

    def __init__(self, start):
        self.start = start

    def predict(self, network, inputs):
        tokens, change = begun(self.start, inputs, MASK)
        return network(tokens, inputs.positions, inputs.condition["label"], inputs.valid, change=change)


@pytest.fixture(scope="module")
def copying():
    """A masked diffusion model of four equal tokens, each kind as likely: one step gets 1/64 of its rows right."""
    torch.manual_seed(0)
    network = Transformer(TransformerConfig(KINDS, HOLES, 1, 32, 2, 2))
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)

    def predict(tokens, labels):
        return network(tokens, torch.arange(HOLES).expand_as(tokens), labels, torch.ones_like(tokens, dtype=torch.bool))

    for _ in range(300):
        rows = torch.randint(KINDS, (128, 1)).expand(-1, HOLES)
        optimizer.zero_grad()
        masked_cross_entropy(predict, rows, torch.zeros(128, dtype=torch.int64), MASK).backward()
        optimizer.step()
    return network


def empty(rows):
    tokens = torch.full((rows, HOLES), MASK)
    valid, positions = torch.ones_like(tokens, dtype=torch.bool), torch.arange(HOLES).expand(rows, -1)
    return Batch(tokens, valid, positions, torch.zeros(rows, dtype=torch.int64))


def distilled(network, mask_ratio, perturbation, steps):
    """Share of rows whose tokens are all the same, and shares of the kinds, before and after."""
    torch.manual_seed(1)
    start = Start(mask_ratio, perturbation, 0, KINDS)
    taught = SimpleNamespace(denoiser=Denoiser(start), start=start)
    networks, batch = Networks(copy.deepcopy(network)), empty(64)
    groups = [{"params": networks.student.parameters(), "lr": 3e-4}, {"params": networks.auxiliary.parameters()}]
    optimizer = torch.optim.Adam(groups, lr=3e-3)
    found = []
    for step in range(steps + 1):
        if step in (0, steps):
            with torch.no_grad():
                _, drawn = one_step(taught, networks.student, inputs_of(empty(1000)))
            agree = (drawn == drawn[:, :1]).all(dim=1).double().mean().item()
            found.append((agree, torch.bincount(drawn[:, 0], minlength=KINDS).double() / 1000))
        optimizer.zero_grad()
        losses(taught, networks, batch, Distillation()).backward()
        optimizer.step()
    return found


def test_one_step_learns_what_takes_the_teacher_several(copying):
    (before, _), (after, kinds) = distilled(copying, 0.5, 0.1, 200)
    assert before < 0.6
    assert after > 0.75
    assert kinds.min() > 0.08


def test_without_randomness_in_the_start_tokens_stay_independent(copying):
    """Why the start is hybrid: given masks alone the tokens of one step are independent, whatever is learnt."""
    _, (after, kinds) = distilled(copying, 1.0, 0.0, 100)
    assert kinds.max() < 0.6
    assert after == pytest.approx((kinds**HOLES).sum().item(), abs=0.06)


def test_each_loss_reaches_its_own_network_and_no_embedding(copying):
    torch.manual_seed(0)
    start = Start(0.5, 0.1, 0, KINDS)
    networks = Networks(copy.deepcopy(copying))
    losses(SimpleNamespace(denoiser=Denoiser(start), start=start), networks, empty(8), Distillation()).backward()
    moved = {name for name, parameter in networks.named_parameters() if parameter.grad is not None}
    parts = {name.split(".")[0] for name in moved}
    assert parts == {"student", "auxiliary"}
    assert not any(embedding in name for name in moved for embedding in ("token", "position", "label"))
    assert {name for name, _ in networks.named_parameters() if name.split(".")[0] in parts} - moved == {
        f"{part}.{embedding}.weight" for part in parts for embedding in ("token", "position", "label")
    }


def test_the_logits_gradient_is_the_mean_over_hidden_tokens(copying, monkeypatch):
    """Alone with the first loss, and a student whose logits are a leaf."""
    torch.manual_seed(0)
    start = Start(0.5, 0.0, 0, KINDS)
    networks = Networks(copy.deepcopy(copying))
    hidden = torch.zeros(8, HOLES, dtype=torch.bool)
    hidden[:, 1:3] = True
    monkeypatch.setattr(dimo, "random_masks", lambda holes: hidden)
    leaf = torch.randn(8, HOLES, KINDS, requires_grad=True)
    drawn = torch.randint(KINDS, (8, HOLES))
    monkeypatch.setattr(dimo, "one_step", lambda *_: (leaf, drawn))
    taught = SimpleNamespace(denoiser=Denoiser(start), start=start)
    torch.nn.init.normal_(networks.auxiliary.head.weight)
    losses(taught, networks, empty(8), Distillation(beta=0.3)).backward()
    noisy = replace(inputs_of(empty(8)), tokens=torch.where(hidden, MASK, drawn))
    with torch.no_grad():
        both = [taught.denoiser.predict(each, noisy)[hidden] for each in (networks.auxiliary, networks.teacher)]
    expected = torch.zeros_like(leaf)
    expected[hidden] = jeffreys(*both, 0.3)[1] / hidden.sum()
    torch.testing.assert_close(leaf.grad, expected)


SMALL = {"steps": 5, "batch_size": 4, "validate_every": 2, "warmup": 2}


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(dimo, "VALIDATION", 20)
    monkeypatch.setattr(dimo, "REPORT", 30)


def weights(path, network):
    torch.nn.init.normal_(network.head.weight)
    write_weights(path, network.config, network.state_dict())
    return str(path)


def test_a_recipe_resumes_and_its_weights_note_the_start(tmp_path, small):
    torch.manual_seed(0)
    of = weights(tmp_path / "teacher.safetensors", Transformer(TransformerConfig(17, 64, 10, 16, 1, 2)))
    settings = {**SMALL, "objective.weights": of, "objective.perturbation": 0.2, "objective.guidance": 1}
    train("dimo", settings, tmp_path / "whole")
    train("dimo", settings, tmp_path / "stopped", stop_after=3)
    train("dimo", settings, tmp_path / "stopped")
    for file in ("weights.safetensors", "log.jsonl", "result.json"):
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "stopped" / file).read_bytes()
    student = digits(weights=str(tmp_path / "whole" / "weights.safetensors"))
    assert student.start == Start(0.6, 0.2, 0, 17)
    result = json.loads((tmp_path / "whole" / "result.json").read_text())
    assert {"frechet_distance", "precision", "recall", "coverage", "class_accuracy", "class_entropy", "unique"} < set(
        result
    )


def test_scenes_are_distilled_from_prompts_that_are_not_held_out(tmp_path, small):
    torch.manual_seed(0)
    of = weights(tmp_path / "teacher.safetensors", MiniTransformer(MiniConfig(width=32, depth=1, heads=2)))
    settings = {**SMALL, "objective.weights": of, "objective.guidance": 1}
    train("dimo", settings, tmp_path / "out", preset="scenes")
    student = mini(weights=str(tmp_path / "out" / "weights.safetensors"))
    assert student.start == Start(0.6, 0.1, FIRST_CODE, scenes.CODES)
    with pytest.raises(UserError, match="draws pictures, and nothing else"):
        student.encode(Request("a", prompt="write a story .", length=64))
    taught = teacher("mini", of, {"mask_ratio": 0.6, "perturbation": 0.1}, "cpu")
    prompts = [each["prompt"] for each in taught.conditions(torch.arange(200))]
    assert not any(held_out(each) for each in prompts)
    # Samples are made in chunks and judged together, each by its own prompt.
    chunks = [each["prompt"] for part in torch.split(torch.arange(200), 90) for each in taught.conditions(part)]
    assert chunks == prompts
    batch = canvases(taught, torch.arange(7))
    assert ((batch.tokens == taught.denoiser.mask_id) & batch.valid).sum(dim=1).tolist() == [64] * 7


def test_measures_of_real_pictures_are_good_and_those_of_a_collapse_are_not(tmp_path):
    torch.manual_seed(0)
    of = weights(tmp_path / "teacher.safetensors", MiniTransformer(MiniConfig(width=32, depth=1, heads=2)))
    start = {"mask_ratio": 0.6, "perturbation": 0.1}
    taught = teacher("mini", of, start, "cpu")
    asked, rng = taught.conditions(torch.arange(60)), np.random.default_rng(5)
    real = [scenes.codes(captions.scene_for(each, rng)) + FIRST_CODE for each in asked]
    good = taught.measure(asked, torch.from_numpy(np.stack(real)))
    same = taught.measure(asked, torch.from_numpy(np.stack([real[0]] * 60)))
    assert good["correct"] == 1
    assert good["unique"] > 0.9
    assert same["frechet_distance"] > 5 * good["frechet_distance"]
    assert (same["correct"] < 0.3, same["recall"] < 0.1, same["unique"]) == (True, True, 1 / 60)
    split, taught = digits_split(), teacher("digits", "", start, "cpu")
    images, labels = torch.from_numpy(split.test_images), split.test_labels.tolist()
    good = taught.measure(labels, images)
    assert good["class_accuracy"] > 0.98
    assert good["class_entropy"] == pytest.approx(math.log(10), abs=0.01)
    assert taught.measure(labels, images[:1].expand(360, -1))["class_entropy"] == 0


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("objective.teacher", "digit", "Did you mean 'digits'"),
        ("objective.teacher", 3, "type str"),
        ("objective.weights", "none.safetensors", "no file"),
        ("objective.beta", "much", "type float"),
        ("network.width", 3, "unknown key network.width"),
    ],
)
def test_mistakes_are_named(tmp_path, key, value, named):
    with pytest.raises(UserError, match=named):
        train("dimo", {key: value}, tmp_path)
