"""Committing, reading back, and what happens to damaged files."""

import json
import logging
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from store_data import make_record, make_spec

from harness.errors import UserError
from harness.store import CellStore, GenerationRecord, SampleKey
from harness.task import Output


def filled(tmp_path: Path, count: int = 3) -> CellStore:
    """A cell with `count` samples."""
    cell = CellStore(tmp_path / make_spec().id, make_spec())
    with cell.lock():
        cell.append([make_record(i) for i in range(count)])
    return cell


def test_what_is_appended_is_read_back(tmp_path: Path) -> None:
    cell = filled(tmp_path)
    with cell.lock():
        assert cell.done() == {SampleKey("d", i) for i in range(3)}
        cell.append([make_record(0, "e", cost=None, trace={"commits": [[0], [1]]})])
    again = CellStore.open(cell.folder)
    assert again.spec == make_spec()
    assert again.generations() == {
        **{SampleKey("d", i): Output((i, i + 1), f"text {i}") for i in range(3)},
        SampleKey("e", 0): Output((0, 1), "text 0"),
    }
    assert again.costs() == {SampleKey("d", i): {"depth": i, "nfe": 2 * i, "flops": None} for i in range(3)}
    assert again.traces() == {SampleKey("e", 0): {"commits": [[0], [1]]}}


def test_lines_are_canonical_json(tmp_path: Path) -> None:
    lines = (filled(tmp_path).folder / "generations.jsonl").read_bytes().splitlines()
    for line in lines:
        canonical = json.dumps(json.loads(line), sort_keys=True, separators=(",", ":"))
        assert line == canonical.encode()


HOSTILE = st.text(st.one_of(st.characters(codec=None), st.sampled_from('\n\r\0\u2028\u2029\ud800\udfff"\\')))


@given(st.lists(st.tuples(HOSTILE, HOSTILE), min_size=1, max_size=5, unique_by=lambda pair: pair[0]))
def test_any_text_survives(tmp_path_factory: pytest.TempPathFactory, texts: list[tuple[str, str]]) -> None:
    cell = CellStore(tmp_path_factory.mktemp("run") / make_spec().id, make_spec())
    with cell.lock():
        cell.append([GenerationRecord(SampleKey(name, 0), Output((), text)) for name, text in texts])
    expected = {SampleKey(name, 0): Output((), text) for name, text in texts}
    assert cell.generations() == expected
    raw = (cell.folder / "generations.jsonl").read_bytes()
    assert raw.count(b"\n") == len(texts)
    assert [json.loads(line)["text"] for line in raw.split(b"\n")[:-1]] == [text for _, text in texts]


@pytest.mark.parametrize("name", ["generations", "costs", "traces"])
@pytest.mark.parametrize("tail", [b'{"document":"d","sa', b"\0\0\0\0", b"[1]\n", b"\xff\xfe\n"])
def test_a_torn_last_line_is_ignored_by_readers_and_cut_off_by_the_writer(
    tmp_path: Path, name: str, tail: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    cell = filled(tmp_path)
    path = cell.folder / f"{name}.jsonl"
    before = path.read_bytes() if path.exists() else b""
    path.write_bytes(before + tail)
    assert len(cell.generations()) == len(cell.costs()) == 3
    assert path.read_bytes() == before + tail
    with caplog.at_level(logging.WARNING), cell.lock():
        assert path.read_bytes() == before
        cell.append([make_record(3, trace="t")])
    assert str(path) in caplog.text
    assert len(cell.generations()) == len(cell.costs()) == 4
    assert path.read_bytes().startswith(before)


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_file_cut_anywhere_loses_only_the_line_that_was_cut(tmp_path: Path, cut: int) -> None:
    cell = filled(tmp_path, 2)
    path = cell.folder / "generations.jsonl"
    whole = path.read_bytes()
    first, _ = whole.splitlines(keepends=True)
    path.write_bytes(whole[:-cut] if cut < len(whole) - len(first) else first)
    with cell.lock():
        assert cell.done() == {SampleKey("d", 0)}
        cell.append([make_record(1)])
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    ("name", "number", "line", "says"),
    [
        ("generations", 1, b'{"document":"d","sam', "line 2: "),
        ("generations", 1, b"", "line 2: "),
        ("costs", 0, b"null", "line 1: "),
        ("generations", 1, b'{"document":"d","sample":0,"text":"other","tokens":[]}', "line 2: document 'd', sample 0"),
        ("generations", 2, b'{"document":"d","text":null,"tokens":[]}', "line 3: 'sample' is missing"),
        ("generations", 2, b'{"document":7,"sample":0,"text":null,"tokens":[]}', "line 3: .*document id"),
        ("generations", 2, b'{"document":"d","sample":2,"text":null,"tokens":"ab"}', "line 3: 'tokens' is 'ab'"),
    ],
)
def test_damage_elsewhere_is_an_error_that_changes_nothing(
    tmp_path: Path, name: str, number: int, line: bytes, says: str
) -> None:
    cell = filled(tmp_path)
    path = cell.folder / f"{name}.jsonl"
    lines = path.read_bytes().split(b"\n")
    lines[number] = line
    path.write_bytes(b"\n".join(lines))
    (cell.folder / "traces.jsonl").write_bytes(b"torn")
    before = {file: file.read_bytes() for file in cell.folder.glob("*.jsonl")}
    with pytest.raises(UserError, match=f"{name}.jsonl, {says}"):
        cell.lock().__enter__()
    assert {file: file.read_bytes() for file in cell.folder.glob("*.jsonl")} == before
    path.write_bytes(b"")
    with cell.lock():  # the failed attempt has let go of the lock
        pass


def test_an_identical_duplicate_is_one_sample(tmp_path: Path) -> None:
    cell = filled(tmp_path)
    path = cell.folder / "generations.jsonl"
    path.write_bytes(path.read_bytes() + path.read_bytes().splitlines(keepends=True)[0])
    assert len(cell.generations()) == 3


def test_a_cost_counts_only_when_its_sample_was_committed(tmp_path: Path) -> None:
    cell = filled(tmp_path)
    path = cell.folder / "costs.jsonl"
    path.write_bytes(path.read_bytes() + b'{"cost":{"depth":99},"document":"d","sample":3}\n')
    assert SampleKey("d", 3) not in cell.costs()
    with cell.lock():
        cell.append([make_record(3)])
    assert cell.costs()[SampleKey("d", 3)]["depth"] == 3


def test_nothing_is_committed_twice(tmp_path: Path) -> None:
    cell = filled(tmp_path)
    before = (cell.folder / "generations.jsonl").read_bytes()
    with cell.lock():
        with pytest.raises(ValueError, match="twice"):
            cell.append([make_record(3), make_record(2)])
        with pytest.raises(ValueError, match="twice"):
            cell.append([make_record(4), make_record(4)])
    assert (cell.folder / "generations.jsonl").read_bytes() == before


def test_a_cost_that_is_no_number_is_refused(tmp_path: Path) -> None:
    cell = filled(tmp_path)
    with cell.lock(), pytest.raises(ValueError, match="not finite"):
        cell.append([make_record(3, cost={"flops": float("nan")})])
    assert len(cell.generations()) == len((cell.folder / "costs.jsonl").read_bytes().splitlines()) == 3


def test_appending_needs_the_lock(tmp_path: Path) -> None:
    cell = filled(tmp_path)
    with pytest.raises(RuntimeError):
        cell.append([make_record(9)])


def test_cost_is_synced_before_generation_and_new_files_into_their_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[str, int]] = []
    real = os.fsync

    def record(descriptor: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        synced.append((path.name, path.stat().st_size if path.is_file() else 0))
        real(descriptor)

    if not Path("/proc/self/fd").exists():
        pytest.skip("needs /proc to name open files")
    cell = CellStore(tmp_path / make_spec().id, make_spec())
    monkeypatch.setattr(os, "fsync", record)
    with cell.lock():
        created = [name.split(".")[1] if name.startswith(".") else name for name, _ in synced]
        assert created == [tmp_path.name, "cell", cell.id]
        synced.clear()
        cell.append([make_record(0), make_record(1)])
        sizes = {path.name: path.stat().st_size for path in cell.folder.glob("*.jsonl")}
        expected = [("costs.jsonl", sizes["costs.jsonl"]), (cell.id, 0)]
        assert synced == [*expected, ("generations.jsonl", sizes["generations.jsonl"]), (cell.id, 0)]
        synced.clear()
        cell.append([make_record(i) for i in range(2, 50)])
        assert [name for name, _ in synced] == ["costs.jsonl", "generations.jsonl"]


def test_a_failed_write_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cell = filled(tmp_path)
    before = (cell.folder / "generations.jsonl").read_bytes()

    def full(descriptor: int) -> None:
        if os.readlink(f"/proc/self/fd/{descriptor}").endswith("generations.jsonl"):
            raise OSError(28, "No space left on device")

    if not Path("/proc/self/fd").exists():
        pytest.skip("needs /proc to name open files")
    with cell.lock():
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            with pytest.raises(UserError, match=r"generations.jsonl: No space left"):
                cell.append([make_record(3)])
        assert (cell.folder / "generations.jsonl").read_bytes() == before
        cell.append([make_record(3), make_record(4)])
    assert list(cell.generations()) == list(cell.costs()) == [SampleKey("d", i) for i in range(5)]


def test_provenance_grows_when_it_changes(tmp_path: Path) -> None:
    cell = filled(tmp_path)
    for version in ("1", "1", "2"):
        cell.add_provenance({"torch": version})
    assert cell.provenance() == [{"torch": "1"}, {"torch": "2"}]
