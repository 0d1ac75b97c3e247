"""Lines are read at once or one by one, and read again only when they have changed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UserError
from harness.store import files
from harness.store.files import append_lines, read_lines, reread_lines
from harness.store.spelling import spell, unspell


@pytest.fixture
def counted(monkeypatch):
    """How often a file was read."""
    calls = []
    monkeypatch.setattr(files, "read_lines", lambda path: calls.append(path) or read_lines(path))
    files._as_it_stands.cache_clear()
    return calls


def test_what_orjson_cannot_read_is_read_one_by_one(tmp_path):
    path = tmp_path / "lines"
    path.write_bytes(b'{"a": 1}\n{"a": "\\ud800"}\n{"a": 2}')
    found = read_lines(path)
    assert [record["a"] for record in found.records] == [1, "\ud800"]
    assert found.torn == len('{"a": 2}')


@pytest.mark.parametrize("bad", [b"[1]", b"{", b"", b"{}{}"])
def test_damage_is_found_in_the_middle_and_torn_at_the_end(tmp_path, bad):
    path = tmp_path / "lines"
    path.write_bytes(b'{"a": 1}\n' + bad + b'\n{"a": 2}\n')
    with pytest.raises(UserError, match="line 2"):
        read_lines(path)
    path.write_bytes(b'{"a": 1}\n' + bad + b"\n")
    found = read_lines(path)
    assert (found.records, found.torn) == ([{"a": 1}], len(bad) + 1)


def test_a_file_is_read_again_only_when_it_has_changed(tmp_path, counted):
    path = tmp_path / "lines"
    assert reread_lines(path).records == []
    append_lines(path, [b'{"a": 1}'])
    assert reread_lines(path).records == reread_lines(path).records == [{"a": 1}]
    assert len(counted) == 2
    append_lines(path, [b'{"a": 2}'])
    assert reread_lines(path).records == [{"a": 1}, {"a": 2}]
    assert len(counted) == 3


def test_only_a_few_files_are_kept(tmp_path, counted):
    paths = [tmp_path / str(i) for i in range(9)]
    for path in paths:
        append_lines(path, [b"{}"])
    for path in [*paths, paths[0]]:
        reread_lines(path)
    assert len(counted) == 10


@given(st.lists(st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["x"])))
def test_a_list_is_spelt_like_its_items(items):
    assert spell(items) == [spell(item) for item in items]
    assert repr(unspell(spell(items))) == repr(items)
