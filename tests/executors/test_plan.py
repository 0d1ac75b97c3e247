"""From suites to cells."""

import pytest

from harness.catalogue import Catalogue
from harness.errors import UserError
from harness.executors.plan import make_plan
from harness.samplers import samplers
from harness.spec import SuiteFile

SWEEP = {"models": "exact/chain", "tasks": "exact", "samplers": "random", "budgets": [4], "limit": 3}


def plan(*sweeps, **suite):
    """The plan of a suite whose sweeps differ from SWEEP in these keys."""
    content = {"name": "test", "sweeps": [{**SWEEP, **sweep} for sweep in sweeps], **suite}
    return make_plan(SuiteFile.model_validate(content), Catalogue(), None, "test")


def ids(*sweeps, **suite):
    return [cell.spec.id for cell in plan(*sweeps, **suite).cells]


def test_what_shapes_tokens_names_the_cell_and_nothing_else_does():
    same = [{}, {"limit": 5}, {"samples": 2}, {"tasks": "exact:count=50"}, {"models": "exact/chain:vocab=8"}]
    assert {tuple(ids(sweep)) for sweep in same} == {tuple(ids({}))}
    assert ids({}, batch_size=7) == ids({})
    other = [
        {"models": "exact/parity"},
        {"models": "exact/chain:length=16"},
        {"samplers": "confidence"},
        {"samplers": "random:block=8"},
        {"budgets": [5]},
        {"seeds": [1]},
        {"temperature": 0.5},
    ]
    found = [cell for sweep in [{}, *other] for cell in ids(sweep)]
    assert len(set(found)) == len(other) + 1


def test_a_cell_declared_twice_is_one_that_holds_both():
    made = plan({"limit": 2, "samples": 3}, {"limit": 5, "samples": 1})
    (cell,) = made.cells
    assert (len(cell.documents), cell.samples) == (5, 3)
    assert len(list(cell.jobs())) == 15


def test_budgets_are_for_samplers_that_take_steps():
    made = plan({"samplers": ["random", "eb", "sequential", "eb:gamma=7"], "budgets": [2, 4]})
    settings = [(cell.spec.sampler.name, cell.spec.budget, cell.spec.sampler.args.get("gamma")) for cell in made.cells]
    sweep = [("eb", None, gamma) for gamma in samplers["eb"].info.sweep]
    assert settings == [("random", 2, None), ("random", 4, None), *sweep, ("sequential", None, None), ("eb", None, 7.0)]


def test_cells_of_one_model_and_task_run_together():
    groups = plan({}, {"models": "exact/tree"}, {"budgets": [8]}).groups()
    assert [[cell.spec.model.name for cell in group] for group in groups] == [["exact/chain"] * 2, ["exact/tree"]]


def test_missing_scorer_dependencies_are_named(tmp_path):
    (tmp_path / "task.py").write_text("from harness.task import Task\nclass T(Task):\n    pass\n")
    (tmp_path / "task.yaml").write_text(
        "{name: t, summary: s, code: 'task.py:T', primary: m, requires: [no_such_module, json],"
        " metrics: [{key: m, label: M, direction: lower}]}"
    )
    suite = SuiteFile.model_validate({"name": "test", "sweeps": [{**SWEEP, "tasks": "t"}]})
    with pytest.raises(UserError, match=r"task 't' needs .*: no_such_module$"):
        make_plan(suite, Catalogue([tmp_path]), None, "test")


def test_cells_of_one_task_share_the_requests_of_their_documents():
    made = plan({"limit": 5}, {"limit": 3, "budgets": [2]})
    asked, task = [], made.cells[0].task
    task.request = lambda document: asked.append(document.id) or type(task).request(task, document)
    requests = {}
    jobs = [job for cell in made.cells for job in cell.jobs(requests)]
    assert len(jobs) == 8
    assert sorted(asked) == sorted({job.request.document for job in jobs})
    assert len({id(job.request) for job in jobs}) == 5
