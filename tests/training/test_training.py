"""Trainings: the same bits again, after a stop too; the objective against closed forms; mistakes in recipes."""

import json
import math

import pytest
import torch
from safetensors.torch import load_file

from harness.errors import UserError
from harness.training.digits import shift
from harness.training.log import Log
from harness.training.muon import Muon
from harness.training.objective import masked_cross_entropy, negative_elbo
from harness.training.recipe import load_recipe, recipe_names
from harness.training.run import train

SMALL = {
    "network.width": 16,
    "network.depth": 1,
    "network.heads": 2,
    "steps": 9,
    "batch_size": 8,
    "validate_every": 4,
    "warmup": 2,
}


def run(path, stop_after=None, **overrides):
    train("digits", {**SMALL, **overrides}, path, stop_after=stop_after)
    return path


def assert_same_bits(one, two):
    for file in ("weights.safetensors", "checkpoint.safetensors", "log.jsonl", "result.json", "recipe.yaml"):
        assert (one / file).read_bytes() == (two / file).read_bytes()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return run(tmp_path_factory.mktemp("finished"))


def test_the_same_recipe_gives_the_same_bits(finished, tmp_path):
    before = torch.get_rng_state()
    assert_same_bits(finished, run(tmp_path / "again"))
    assert torch.equal(before, torch.get_rng_state())
    other = load_file(run(tmp_path / "other", seed=1) / "weights.safetensors")
    same = load_file(finished / "weights.safetensors")
    assert not all(torch.equal(same[name], other[name]) for name in same)


@pytest.mark.parametrize("stop_after", [2, 4, 7])
def test_a_stop_changes_nothing(finished, tmp_path, stop_after):
    """Before the first checkpoint, at one, and three steps after one."""
    run(tmp_path, stop_after=stop_after)
    assert not (tmp_path / "result.json").exists()
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"step": 99, "lo')  # as a kill may leave it
    assert_same_bits(finished, run(tmp_path))


def test_muon_trains_the_matrices_and_resumes(tmp_path):
    whole = run(tmp_path / "whole", muon_learning_rate=0.02)
    run(tmp_path / "stopped", stop_after=6, muon_learning_rate=0.02)
    assert_same_bits(whole, run(tmp_path / "stopped", muon_learning_rate=0.02))
    # Muon's steps have the same length in all directions: a step of a square matrix has singular values near the rate.
    start, moved = (
        load_file(
            run(tmp_path / f"{steps}", steps=steps, warmup=1, ema=0.0, muon_learning_rate=0.02) / "weights.safetensors"
        )
        for steps in (1, 2)
    )
    step = moved["blocks.0.out.weight"] - start["blocks.0.out.weight"]
    # The second of two steps is taken at half the rate.
    assert torch.linalg.svdvals(step / 0.01)[:8].sub(1).abs().max() < 0.3


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="PyTorch has Muon since 2.9")
def test_muon_takes_the_steps_of_pytorchs():
    torch.manual_seed(0)
    shapes = [(6, 4), (4, 6), (6, 4), (5, 5)]
    ours, theirs = ([torch.nn.Parameter(torch.ones(shape)) for shape in shapes] for _ in range(2))
    optimizers = (
        Muon([{"params": ours}], lr=0.1, weight_decay=0.3),
        torch.optim.Muon(theirs, lr=0.1, weight_decay=0.3),
    )
    for _ in range(4):
        for one, other in zip(ours, theirs, strict=True):
            one.grad = torch.randn(one.shape)
            other.grad = one.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0.01)  # steps of 0.1, in bfloat16
    assert (ours[0] - 1).abs().max() > 0.1


def test_a_loss_that_is_not_finite_stops_the_training(tmp_path):
    log = Log(tmp_path / "log.jsonl", 0)
    log.add(1, torch.tensor(2.0), {})
    log.add(2, torch.tensor(float("nan")), {})
    with pytest.raises(UserError, match="the loss is nan at step 2"):
        log.add(3, torch.tensor(1.0), {"validation": 1.0})
    assert (tmp_path / "log.jsonl").read_text() == ""


def test_batches_do_not_depend_on_the_workers(finished, tmp_path):
    assert (run(tmp_path, workers=2) / "log.jsonl").read_bytes() == (finished / "log.jsonl").read_bytes()


def test_a_finished_training_is_left_as_it_is(finished):
    before = {path.name: path.read_bytes() for path in finished.iterdir()}
    run(finished)
    assert {path.name for path in finished.iterdir()} == set(before)
    assert (finished / "log.jsonl").read_bytes() == before["log.jsonl"]
    assert (finished / "weights.safetensors").read_bytes() == before["weights.safetensors"]


def test_what_a_training_leaves(finished):
    steps = [json.loads(line) for line in (finished / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in steps] == list(range(1, 10))
    assert [line["step"] for line in steps if "validation" in line] == [4, 8, 9]
    result = json.loads((finished / "result.json").read_text())
    assert result["validation"] == min(line["validation"] for line in steps if "validation" in line)
    assert result["bits_per_pixel"] == pytest.approx(result["nats_per_image"] / 64 / math.log(2))
    assert (finished / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_training_trains(tmp_path):
    train("digits_classifier", {"network.channels": 8, "steps": 120, "ema": 0.9, "validate_every": 120}, tmp_path)
    assert json.loads((tmp_path / "result.json").read_text())["accuracy"] > 0.8  # chance is 0.1


def copied(tokens, labels):
    """Exact conditionals of two equal tokens, uniform over four: the other one if it is seen, else uniform."""
    other = tokens.flip(1)
    seen = torch.nn.functional.one_hot(other.clamp(max=3), 4).double().log()
    return torch.where((other == 4)[..., None], math.log(0.25), seen)


def test_bound_is_exact_for_exact_conditionals():
    # Both halves of 1 … L are visited, so the mean over k has no variance here.
    tokens = torch.tensor([[0, 0], [3, 3], [2, 2]])
    bound = negative_elbo(copied, tokens, torch.zeros(3), 4, orders=2)
    torch.testing.assert_close(bound, torch.full((3,), math.log(4), dtype=torch.float64))


def test_loss_estimates_the_same_bound():
    torch.manual_seed(0)
    tokens = torch.arange(4).repeat(20_000)[:, None].expand(-1, 2)
    loss = masked_cross_entropy(copied, tokens, torch.zeros(len(tokens)), 4)
    assert loss.item() == pytest.approx(math.log(4) / 2, rel=0.02)


def test_bound_does_not_depend_on_the_batch_size():
    torch.manual_seed(0)
    tokens = torch.randint(0, 5, (30, 7))
    table = torch.randn(7, 5)

    def independent(tokens, labels):
        return table.expand(len(tokens), 7, 5)

    one, two = (negative_elbo(independent, tokens, torch.zeros(30), 5, orders=70, batch_size=b) for b in (8, 30))
    torch.testing.assert_close(one, two)
    exact = -table.log_softmax(-1)[torch.arange(7), tokens].sum(1).double()
    assert (one - exact).mean().abs() < 0.3


def test_shift_moves_whole_images():
    torch.manual_seed(0)
    images = torch.randint(1, 17, (200, 8, 8))
    moved = shift(images.flatten(1), 1).view(-1, 8, 8)
    framed = torch.nn.functional.pad(images, (1, 1, 1, 1))
    candidates = [framed[:, r : r + 8, c : c + 8] for r in range(3) for c in range(3)]
    hits = torch.stack([(moved == candidate).flatten(1).all(1) for candidate in candidates])
    assert hits.any(0).all()
    assert hits.any(1).all()


def test_shipped_recipes_are_valid():
    assert {"digits", "digits_classifier"} <= set(recipe_names())
    for name in recipe_names():
        load_recipe(name, {})


@pytest.mark.parametrize(
    ("recipe", "overrides", "message"),
    [
        ("digitz", {}, "Did you mean 'digits'"),
        ("digits", {"step": 3}, "unknown key 'step'. Did you mean 'steps'"),
        ("digits", {"steps": "many"}, "steps"),
        ("digits", {"problem": "digts"}, "Did you mean 'digits'"),
        ("digits", {"network.widht": 3}, "network.widht.*Did you mean 'width'"),
        ("digits", {"network.width": 2.5}, "network.width = 2.5"),
        ("digits", {"network.width": "wide"}, "network.width = 'wide'"),
        ("digits", {"objective.dropout": 0.1}, "objective.dropout"),
        ("digits", {"net.width": 2}, "net.width"),
        ("absent.yaml", {}, "absent.yaml"),
    ],
)
def test_mistakes_are_named(tmp_path, recipe, overrides, message):
    with pytest.raises(UserError, match=message):
        train(recipe, overrides, tmp_path / "run")


def test_a_recipe_of_ones_own(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text("problem: digits\nsteps: 3\nbatch_size: 2\nlearning_rate: fast\n")
    with pytest.raises(UserError, match=r"own\.yaml.*learning_rate"):
        load_recipe(str(path), {})
    path.write_text("[1, 2")
    with pytest.raises(UserError, match="not valid YAML"):
        load_recipe(str(path), {})
    path.write_text("problem: digits\nsteps: 3\nbatch_size: 2\nlearning_rate: 0.1\nnetwork: {width: 8}\n")
    with pytest.raises(UserError, match="network lacks depth, heads"):
        train(str(path), {}, tmp_path / "run")


def test_a_folder_belongs_to_one_recipe(finished):
    with pytest.raises(UserError, match="another recipe"):
        run(finished, seed=5)


def test_an_unwritable_output_is_explained(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        run(tmp_path / "file" / "run")
