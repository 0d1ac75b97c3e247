"""The figures that ship: every YAML file says what can be run and drawn."""

import pytest
import yaml

from harness.analysis.figures.spec import FigureFile
from harness.catalogue import Catalogue, read_spec
from harness.cli.figure import figures
from harness.components import resolve_sampler
from harness.errors import UserError
from harness.executors.plan import make_plan
from harness.grammar import read_grids
from harness.models import models
from harness.models.weights_file import find_weights
from harness.samplers import samplers
from harness.spec import SuiteFile

FILES = figures()


def forms():
    for name, path in FILES.items():
        for form, content in read_spec(path, FigureFile).forms.items():
            if content.suite is not None:
                yield pytest.param(path, form, content, id=f"{name}-{form}")


def suite_of(path, form):
    return read_spec(path.parent / form.suite, SuiteFile)


def test_the_figures_of_the_papers_are_there():
    named = {"punt_nfe", "punt_epsilon", "punt_length", "punt_order", "freecorrection", "freecorrection_scores", "eb"}
    assert named | {"fast_dllm"} <= set(FILES)
    for name, path in FILES.items():
        file = read_spec(path, FigureFile)
        file.check(str(path))
        assert file.name == name
        assert "mini" in file.forms


def test_every_suite_belongs_to_a_figure():
    used = {(path.parent / form.suite).resolve() for path, _, form in (param.values for param in forms())}
    assert used >= set((next(iter(FILES.values())).parent / "suites").iterdir())
    assert all(path.is_file() for path in used)


@pytest.mark.parametrize(("path", "name", "form"), list(forms()))
def test_samplers_tasks_and_metrics_are_known(path, name, form):
    """Of forms whose models are not here yet, too."""
    catalogue = Catalogue()
    for sweep in suite_of(path, form).sweeps:
        for grid in read_grids(sweep.samplers, "samplers"):
            assert grid.name in samplers
            for component in grid.components():
                resolve_sampler(component.name, component.args, "samplers")
        for grid in read_grids(sweep.tasks, "tasks"):
            if grid.name in catalogue.tasks():
                file = catalogue.task_file(grid.name)
                assert set(grid.values) <= {*file.settings, "protocol"}
                drawn = form.metrics.get(grid.name, file.primary)
                assert set([drawn] if isinstance(drawn, str) else drawn) <= {metric.key for metric in file.metrics}
    published = {number.task for number in form.published}
    assert published <= {grid.name for sweep in suite_of(path, form).sweeps for grid in read_grids(sweep.tasks, "")}


@pytest.mark.parametrize(("path", "name", "form"), [param for param in forms() if param.values[1] == "mini"])
def test_mini_forms_can_be_planned(path, name, form):
    suite = suite_of(path, form)
    try:
        find_weights("mini")
    except UserError:
        suite = suite.model_copy(update={"sweeps": [sweep for sweep in suite.sweeps if sweep.models != "mini"]})
    plan = make_plan(suite, Catalogue(), None, suite.name)
    assert all(cell.spec.model.name in models for cell in plan.cells)
    seen = {cell.spec.model.name for cell in plan.cells}
    assert {structure.model for structure in form.structure} <= seen
    if form.lengths:
        values = {cell.spec.model.args.get(form.lengths.argument) for cell in plan.cells}
        assert values == set(form.lengths.tokens)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"drawings": [{"kind": "curve"}]}, "drawings.0 is"),
        ({"drawings": [{"kind": "curves", "axes": ["nfes"]}]}, r"drawings.0.curves.axes.0 is 'nfes'"),
        ({"drawings": []}, "key 'drawings' is missing"),
        ({"drawings": [{"kind": "pareto"}, {"kind": "pareto"}]}, "a kind is there twice"),
        ({"forms": {"mini": {}}}, "forms.mini has to have one of"),
        (
            {"drawings": [{"kind": "knob", "samplers": "eb"}]},
            "unknown key 'drawings.0.knob.samplers'. Did you mean 'sampler'",
        ),
        ({"forms": {"mini": {"suit": "x.yaml"}}}, "unknown key 'forms.mini.suit'. Did you mean 'suite'"),
    ],
)
def test_mistakes_in_a_figure_are_named(tmp_path, change, message):
    content = {"name": "f", "summary": "s", "paper": "p", "forms": {"mini": {"suite": "s.yaml"}}}
    path = tmp_path / "f.yaml"
    path.write_text(yaml.safe_dump({**content, "drawings": [{"kind": "pareto"}], **change}))
    with pytest.raises(UserError, match=message) as error:
        read_spec(path, FigureFile).check(str(path))
    assert str(path) in str(error.value)
