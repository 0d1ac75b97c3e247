"""A run's folder: made, taken up, refused."""

import json
from pathlib import Path

import pytest
from store_data import make_record, make_spec

from harness.errors import UserError
from harness.store import CellStore, RunStore


def test_a_run_is_made_and_taken_up(tmp_path: Path) -> None:
    root = tmp_path / "results" / "mine"
    run = RunStore.create(root, {"samplers": ["eb"]})
    assert (run.name, run.suite, run.cells()) == ("mine", {"samplers": ["eb"]}, [])
    for seed in (0, 1):
        cell = run.cell(make_spec(seed))
        assert cell.done() == set()
        assert not cell.folder.exists()
        with cell.lock():
            cell.append([make_record(seed)])
    again = RunStore.create(root, {"samplers": ["eb", "punt"]})
    assert {cell.spec.seed for cell in again.cells()} == {0, 1}
    assert RunStore(root).suite == {"samplers": ["eb", "punt"]}
    assert [cell.id for cell in again.cells()] == sorted(make_spec(seed).id for seed in (0, 1))


def test_numbers_of_a_specification_keep_their_type(tmp_path: Path) -> None:
    run = RunStore.create(tmp_path / "run", {})
    args = {"a": 1.0, "b": 1, "c": True, "d": None, "e": "1", "f": 1e-4}
    spec = make_spec(sampler={"name": "eb", "args": args})
    with run.cell(spec).lock():
        pass
    found = run.cells()[0].spec.sampler.args
    assert [(type(found[key]), found[key]) for key in args] == [(type(value), value) for value in args.values()]


def test_an_interrupted_creation_is_no_cell(tmp_path: Path) -> None:
    run = RunStore.create(tmp_path / "run", {})
    cell = run.cell(make_spec())
    cell.folder.mkdir()
    (cell.folder / ".lock").touch()
    (cell.folder / ".cell.json.0011.tmp").write_text("{")
    assert run.cells() == []
    with cell.lock():
        cell.append([make_record(0)])
    assert len(run.cells()) == 1


@pytest.mark.parametrize("path", ["file", "file/run", "/proc/run"])
def test_an_output_that_cannot_be_written(tmp_path: Path, path: str) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(UserError, match="cannot write"):
        RunStore.create(tmp_path / path, {})
    assert (tmp_path / "file").read_text() == "not a folder"


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("thesis.tex", "precious", "is no run: it should be a folder with a run.json"),
        ("run.json", '{"schema": 99, "name": "x"}', "'schema' is 99, should be 1"),
        ("run.json", '{"name": "x"}', "'schema' is None"),
        ("run.json", "[]", "'schema' is None"),
        ("run.json", "{", "is no JSON"),
    ],
)
def test_a_foreign_folder_is_refused_and_left_alone(tmp_path: Path, name: str, content: str, says: str) -> None:
    (tmp_path / name).write_text(content)
    for attempt in (lambda: RunStore(tmp_path), lambda: RunStore.create(tmp_path, {})):
        with pytest.raises(UserError, match=says):
            attempt()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == content


def test_a_missing_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no run"):
        RunStore(tmp_path / "nothing")


def test_a_cell_of_another_specification_is_refused(tmp_path: Path) -> None:
    run = RunStore.create(tmp_path / "run", {})
    cell = run.cell(make_spec())
    with cell.lock():
        cell.append([make_record(0)])
    path = cell.folder / "cell.json"
    changed = json.loads(path.read_text())
    changed["seed"] = 7
    path.write_text(json.dumps(changed))
    expected = f"cell.json: the specification has the id {make_spec(7).id}, but its folder is named {cell.id}"
    for attempt in (run.cells, lambda: run.cell(make_spec()), lambda: cell.lock().__enter__()):
        with pytest.raises(UserError, match=expected):
            attempt()
    path.write_text('{"seed": 1}')
    with pytest.raises(UserError, match="is no specification of a cell"):
        run.cells()


def test_generations_without_a_specification_are_refused(tmp_path: Path) -> None:
    run = RunStore.create(tmp_path / "run", {})
    cell = run.cell(make_spec())
    with cell.lock():
        cell.append([make_record(0)])
    (cell.folder / "cell.json").unlink()
    with pytest.raises(UserError, match=r"no cell.json"):
        cell.lock().__enter__()
    with pytest.raises(UserError, match=r"cell.json is missing"):
        run.cells()
    assert len(CellStore(cell.folder, make_spec()).generations()) == 1
