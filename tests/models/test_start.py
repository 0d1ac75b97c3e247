"""Where a one-step student starts: counts, distributions, what is left alone, and what its weights say of it."""

import pytest
import torch

from harness.errors import UserError
from harness.executors.loader import ModelLoader, check_capabilities
from harness.models.base import Inputs
from harness.models.digits import digits
from harness.models.start import Start
from harness.models.transformer import Transformer, TransformerConfig
from harness.models.weights_file import write_weights

MASK = 9


def inputs(rows=200):
    """Canvases of two prompt tokens, 40 masks, and four of padding, which holds masks too."""
    tokens = torch.full((rows, 46), MASK)
    tokens[:, :2] = 8
    valid = torch.ones_like(tokens, dtype=torch.bool)
    valid[:, 42:] = False
    return Inputs(tokens, valid, torch.arange(46).expand(rows, 46))


def uniform(rows=200, seed=0):
    def random(purpose, count):
        generator = torch.Generator().manual_seed(seed + sum(purpose.encode()))
        return torch.rand(rows, 46, count, dtype=torch.float64, generator=generator)

    return random


@pytest.mark.parametrize(("ratio", "masks"), [(0.0, 0), (0.6, 24), (0.61, 24), (1.0, 40)])
def test_the_share_of_masks_is_exact_in_every_row_and_the_rest_are_codes(ratio, masks):
    tokens, _ = Start(ratio, 0.1, 3, 4).begin(inputs(), uniform(), MASK)
    holes = tokens[:, 2:42]
    assert ((holes == MASK).sum(dim=1) == masks).all()
    assert set(holes.flatten().tolist()) <= {MASK, 3, 4, 5, 6}
    assert (tokens[:, :2] == 8).all()
    assert (tokens[:, 42:] == MASK).all()


def test_masks_lie_anywhere_and_codes_are_uniform():
    tokens = Start(0.5, 0.1, 3, 4).begin(inputs(), uniform(), MASK)[0][:, 2:42]
    of_place = (tokens == MASK).double().mean(dim=0)
    assert (of_place - 0.5).abs().max() < 5 * (0.25 / 200) ** 0.5
    codes = torch.bincount(tokens[tokens != MASK], minlength=7)[3:].double()
    assert (codes / codes.sum() - 0.25).abs().max() < 5 * (0.1875 / 4000) ** 0.5


def test_the_perturbation_keeps_the_scale_and_touches_holes_only():
    """Of unit embeddings: mean √(1 − σ²), standard deviation σ, by the paper's formula."""
    _, change = Start(0.5, 0.6, 0, 4).begin(inputs(), uniform(), MASK)
    ones = torch.ones(200, 46, 8)
    changed = change(ones)
    assert torch.equal(changed[:, :2], ones[:, :2])
    assert torch.equal(changed[:, 42:], ones[:, 42:])
    assert changed[:, 2:42].mean().item() == pytest.approx(0.8, abs=0.02)
    assert changed[:, 2:42].std().item() == pytest.approx(0.6, abs=0.02)
    _, change = Start(0.5, 0.0, 0, 4).begin(inputs(), uniform(), MASK)
    assert torch.equal(change(ones), ones)


def student(path, **facts):
    torch.manual_seed(0)
    config = TransformerConfig(17, 64, 10, 16, 1, 2)
    network = Transformer(config)
    torch.nn.init.normal_(network.head.weight)
    write_weights(path, config, network.state_dict(), **facts)
    return digits(weights=str(path))


def test_weights_say_how_a_student_starts_and_other_weights_cannot_start(tmp_path):
    model = student(tmp_path / "a.safetensors", mask_ratio=0.3, perturbation=0.2)
    assert model.start == Start(0.3, 0.2, 0, 17)
    assert "start" in model.capabilities
    assert "start" not in student(tmp_path / "b.safetensors").capabilities


def planned(model):
    from harness.catalogue import Catalogue
    from harness.executors.plan import make_plan
    from harness.spec import SuiteFile

    sweep = {"models": model, "tasks": "digits", "samplers": ["one_step", "random"], "budgets": [2], "limit": 12}
    return make_plan(SuiteFile.model_validate({"name": "a", "sweeps": [sweep]}), Catalogue(), None, "a")


def test_a_model_without_a_start_is_refused_before_it_runs():
    with pytest.raises(UserError, match=r"'one_step'.*needs start"):
        check_capabilities(planned("digits"), ModelLoader("cpu"))


def test_one_step_is_one_forward_and_the_same_network_also_runs_as_a_masked_diffusion_model(tmp_path):
    from harness.engine.loop import CanvasEngine

    path = tmp_path / "a.safetensors"
    student(path, mask_ratio=0.5, perturbation=0.1)
    plan = planned({"name": "digits", "weights": str(path)})
    check_capabilities(plan, load := ModelLoader("cpu"))
    for cell in plan.cells:
        made = list(CanvasEngine(load(cell.spec.model), 5).generate(list(cell.jobs())))
        steps = 1 if cell.spec.sampler.name == "one_step" else 2
        assert {(one.cost.nfe, one.cost.depth, one.cost.output_tokens) for one in made} == {(steps, steps, 64)}
        assert len({one.output.tokens for one in made}) == 12


def test_what_it_starts_from_shapes_what_is_drawn(tmp_path):
    """Two networks that differ in the start only give other samples of one step, and the same of several."""
    from harness.engine.loop import CanvasEngine

    def made(ratio, sampler):
        path = tmp_path / f"{ratio}.safetensors"
        student(path, mask_ratio=ratio, perturbation=0.0)
        (cell,) = (c for c in planned({"name": "digits", "weights": str(path)}).cells if c.spec.sampler.name == sampler)
        model = ModelLoader("cpu")(cell.spec.model)
        return {one.job.request.document: one.output.tokens for one in CanvasEngine(model).generate(list(cell.jobs()))}

    assert made(0.2, "one_step") != made(0.9, "one_step")
    assert made(0.2, "random") == made(0.9, "random")
