"""Masked training of a DiT: what is hidden, where gradients go, equal cost, the same bits again."""

import dataclasses
import json

import pytest
import torch

from harness.models.dit import DiTConfig
from harness.training import dit_quality
from harness.training.dit_quality import Quality
from harness.training.mc_dit import Masking, Networks, masked_loss, mc_dit, step_flops
from harness.training.recipe import load_recipe
from harness.training.run import train

CONFIG = DiTConfig(size=8, classes=10, width=16, heads=2, encoder_depth=1, decoder_depth=1)
METHODS = {
    "mini": {},
    "mini_plain": {"mask_ratio": 0.0},
    "mini_noisy_to_noisy": {"context": 0, "features_branch": 0.0, "context_branch": 0.0, "noisy": 0.1},
    "mini_noisy_to_clean": {"context": 0, "features_branch": 0.0, "context_branch": 0.0, "clean": 0.1},
    "mini_no_branches": {"features_branch": 0.0, "context_branch": 0.0},
    "mini_one_branch": {"context_branch": 0.0},
}
MAIN_ONLY = {"features_branch": 0.0, "context_branch": 0.0}


@pytest.fixture
def networks():
    torch.manual_seed(0)
    made = Networks(CONFIG)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return made


def loss(networks, clean, unmasked=False, **settings):
    torch.manual_seed(1)
    sigma = torch.tensor([0.1, 0.5, 2.0])
    return masked_loss(networks, clean, sigma, torch.tensor([0, 4, 10]), Masking(**settings), unmasked)


def touched(networks, **settings):
    """How many of the 16 places of each image the loss looks at."""
    clean = torch.randn(3, 16, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad(loss(networks, clean, **settings), clean)
    return (gradient != 0).any(dim=2).sum(dim=1).tolist()


def gradients(networks, **settings):
    parameters = dict(networks.named_parameters())
    trained = {name: each for name, each in parameters.items() if each.requires_grad}
    found = torch.autograd.grad(
        loss(networks, torch.ones(3, 16, 4), **settings), list(trained.values()), allow_unused=True
    )
    return dict(zip(trained, found, strict=True))


def test_hidden_patches_are_hidden(networks):
    assert touched(networks, context=0, **MAIN_ONLY) == [8, 8, 8]
    assert touched(networks, context=0, mask_ratio=0.25, **MAIN_ONLY) == [12, 12, 12]
    assert touched(networks, context=0, noisy=0.1, **MAIN_ONLY) == [16, 16, 16]  # as a target
    assert touched(networks, context=1, **MAIN_ONLY) == [16, 16, 16]
    assert touched(networks, unmasked=True) == [16, 16, 16]


def test_the_branches_reach_what_feeds_them_and_not_their_decoder(networks):
    networks.branch.requires_grad_(False)
    main, features, context = (
        gradients(networks, **{**MAIN_ONLY, **branch})
        for branch in ({}, {"features_branch": 1.0}, {"context_branch": 1.0})
    )
    assert not any(name.startswith("branch") for name in main)
    assert not main["mask"].any()
    assert features["mask"].any()

    def same(name, other):
        return torch.allclose(main[name], other[name], atol=1e-6)

    encoder = "dit.encoder.blocks.0.up.weight"
    assert same("dit.decoder.head.weight", features)
    assert same("dit.decoder.head.weight", context)
    assert not same(encoder, features)
    assert same(encoder, context)
    assert not same("clean.weight", context)


def test_the_decoder_of_the_branches_is_an_average(networks):
    problem = mc_dit(dataclasses.asdict(CONFIG), {"branch_decay": 0.9}, "cpu")
    networks = problem.network
    before = networks.branch.head.weight.clone()
    torch.nn.init.ones_(networks.dit.decoder.head.weight)
    problem.after_step(networks)
    assert torch.allclose(networks.branch.head.weight, 0.9 * before + 0.1)


def test_a_network_that_says_nothing_has_a_loss_of_one():
    """On data of deviation σ_d, at every noise level: the weight of EDM."""
    problem = mc_dit(dataclasses.asdict(CONFIG), {"mask_ratio": 0.0}, "cpu")
    torch.manual_seed(0)
    batch = torch.arange(1300)
    assert problem.loss(problem.network, batch, 0.0).item() == pytest.approx(1.0, abs=0.05)
    assert problem.validate(problem.network.dit) == pytest.approx(1.0, abs=0.05)


def test_the_presets_are_the_methods_at_equal_cost():
    costs = {}
    for preset, settings in METHODS.items():
        recipe = load_recipe("mc_dit", {}, preset)
        objective = Masking(**recipe.objective)
        assert objective == Masking(**{"tuning": 0.16667, **settings})
        assert recipe.steps == 12 * recipe.validate_every  # one of the validations is where the masks end
        networks = Networks(DiTConfig(8, 10, **recipe.network))
        masked, unmasked = (step_flops(networks, objective, flag) for flag in (False, True))
        costs[preset] = recipe.steps * (masked * 5 / 6 + unmasked / 6 if objective.mask_ratio else unmasked)
    assert max(costs.values()) < 1.005 * min(costs.values())


def test_trainings_resume_to_the_same_bits_with_their_cost(tmp_path, monkeypatch):
    monkeypatch.setattr(dit_quality, "SAMPLES", 20)
    small = {f"network.{name}": getattr(CONFIG, name) for name in ("width", "heads", "encoder_depth", "decoder_depth")}
    overrides = {**small, "steps": 6, "batch_size": 4, "validate_every": 2, "warmup": 1}
    train("mc_dit", overrides, tmp_path / "whole")
    train("mc_dit", overrides, tmp_path / "parts", stop_after=3)
    train("mc_dit", overrides, tmp_path / "parts")
    for file in ("weights.safetensors", "checkpoint.safetensors", "log.jsonl", "result.json"):
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "parts" / file).read_bytes()
    networks, settings = Networks(CONFIG), Masking()
    masked, unmasked = (step_flops(networks, settings, flag) for flag in (False, True))
    spent = json.loads((tmp_path / "whole" / "result.json").read_text())["spent"]
    assert spent == 4 * (5 * masked + unmasked)  # the last sixth without masks


def test_the_probe_knows_what_pixels_tell():
    known = Quality().known_of_pixels(2)
    values = list(known.values())
    assert values == sorted(values, reverse=True)  # the more noise, the less
    assert 0.55 < known["pixels_0"] < 0.7
    assert 0 < known["pixels_2"] < 0.1
