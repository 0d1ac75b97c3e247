"""Halton: the order of scipy's sequence, the arccos schedule, and images only."""

import math

import pytest
from plain import PlainRow
from scipy.stats import qmc
from support import HashDenoiser, jobs, run

from harness.catalogue import Catalogue
from harness.errors import UserError
from harness.executors.loader import ModelLoader, check_capabilities
from harness.executors.plan import make_plan
from harness.samplers.halton import halton_places
from harness.spec import SuiteFile


class ImageDenoiser(HashDenoiser):
    def encode(self, request):
        row = super().encode(request)
        return type(row)(row.tokens, row.editable, row.condition, grid=(3, self.length // 3))


def scipy_order(height, width):
    """Cells in the order of the points of scipy's Halton sequence, its first point (the origin) left out."""
    points = qmc.Halton(d=2, scramble=False).random(1 + 40 * height * width)[1:]
    cells = [math.floor(x * height + 1e-9) * width + math.floor(y * width + 1e-9) for x, y in points]
    return list(dict.fromkeys(cells))


@pytest.mark.parametrize(("height", "width"), [(8, 8), (16, 16), (24, 24), (9, 9), (4, 7), (1, 5), (1, 1)])
def test_the_order_is_that_of_the_halton_points(height, width):
    places = halton_places(height, width)
    order = sorted(range(height * width), key=places.__getitem__)
    assert order == scipy_order(height, width)
    assert sorted(places) == list(range(height * width))


def test_the_repository_misses_cells_that_this_order_has():
    # Of 64x64 cells, ten thousand points (valeoai/Halton-MaskGIT) reach 4,090.
    assert sorted(halton_places(64, 64)) == list(range(4096))


@pytest.mark.parametrize("budget", [1, 2, 4, 7, 15, 20])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("prompt", [(), (1, 4)])
def test_against_a_plain_loop(budget, temperature, prompt):
    model = ImageDenoiser(length=15, prompt=prompt)
    for made in run(model, jobs("halton", 3, budget=budget, temperature=temperature), trace=True):
        row = PlainRow(model, made.job)
        order, shown = [row.start + cell for cell in scipy_order(3, 5)], 0
        for step in range(budget):
            if not row.masked:
                break
            share = 1 - math.acos((step + 1) / budget) / (math.pi / 2)
            now = max(step + 1, int(15 * share + 1e-9))
            tokens = row.draws(row.logp())
            row.apply({i: tokens[i] for i in order[shown:now]})
            shown = now
        assert made.trace == row.trace
        assert made.cost.nfe == row.calls


def test_rolled_orders_are_rotations_that_differ_between_samples():
    made = run(ImageDenoiser(length=15), jobs("halton", 8, budget=15, roll=True), trace=True)
    order, starts = scipy_order(3, 5), set()
    for one in made:
        walked = [entry["commit"][0] for entry in one.trace]
        starts.add(start := order.index(walked[0]))
        assert walked == order[start:] + order[:start]
    assert len(starts) > 3


def test_rows_without_a_grid_are_refused():
    with pytest.raises(UserError, match="grid"):
        run(HashDenoiser(), jobs("halton", 1, budget=4))


def test_the_run_is_refused_before_any_compute():
    sweep = {"models": "exact/chain", "tasks": "exact", "samplers": "halton", "budgets": [4]}
    plan = make_plan(SuiteFile(name="mine", sweeps=[sweep]), Catalogue(), None, "here")
    with pytest.raises(UserError, match=r"sampler 'halton' .* needs grid, which model 'exact/chain' does not offer"):
        check_capabilities(plan, ModelLoader("cpu"))


def test_digits_are_images():
    sweep = {"models": "digits", "tasks": "digits", "samplers": "halton", "budgets": [4]}
    plan = make_plan(SuiteFile(name="mine", sweeps=[sweep]), Catalogue(), None, "here")
    check_capabilities(plan, ModelLoader("cpu"))
