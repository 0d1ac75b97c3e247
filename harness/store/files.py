"""Files that survive a kill: lines appended and synced, whole files replaced, torn last lines told apart.

A line, or a file, is canonical JSON as orjson writes it. Python strings may hold what UTF-8 cannot (lone surrogates,
out of a tokenizer or escaped JSON); such a line is written in escaped ASCII instead, and read back unchanged.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson

from harness.errors import UserError

log = logging.getLogger(__name__)


def encode(value: Any, indent: bool = False) -> bytes:
    """Sorted keys, UTF-8; NaN and infinities become null, so callers see to it that none matters.

    Raises TypeError for what JSON has no form for.
    """
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | (orjson.OPT_INDENT_2 if indent else 0))
    except TypeError:  # lone surrogates
        layout: dict[str, Any] = {"indent": 2} if indent else {"separators": (",", ":")}
        return json.dumps(value, sort_keys=True, allow_nan=False, **layout).encode("ascii")


def decode(data: bytes) -> Any:
    """The value of `data`; raises ValueError if it is no JSON."""
    try:
        return orjson.loads(data)
    except ValueError:
        return json.loads(data)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the system's refusal to write into a UserError that names `path`."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"cannot write {path}: {error.strerror or error}. Choose an output folder that can be written."
        ) from error


@dataclass(frozen=True)
class Lines:
    """The whole lines of a JSON-lines file, each an object: `size` bytes, then `torn` bytes of a torn line."""

    path: Path
    records: list[dict[str, Any]]
    size: int
    torn: int

    def drop_torn(self) -> None:
        """Cut off the torn line; for the holder of the lock only."""
        if self.torn:
            log.warning("%s: dropped a torn last line of %d bytes, to be made again", self.path, self.torn)
            with writing(self.path), open(self.path, "r+b") as file:
                file.truncate(self.size)
                os.fsync(file.fileno())


def read_lines(path: Path) -> Lines:
    """Read a JSON-lines file, none of it where it does not exist.

    A last line without its newline, or that is no JSON object, is torn: a write was cut short. Such a line anywhere
    else is damage, and raises UserError.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        data = b""
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}.") from error
    *lines, tail = data.split(b"\n")
    torn = len(tail)
    whole = _objects(lines)
    if whole is not None:
        return Lines(path, whole, len(data) - torn, torn)
    records = []
    for number, line in enumerate(lines, 1):
        record = _object(line)
        if record is not None:
            records.append(record)
        elif number == len(lines) and not tail:
            torn = len(line) + 1
        else:
            raise UserError(
                f"{path}, line {number}: {line[:60]!r} is no JSON object, and as it is not the last line, no kill "
                "cut it short. Nothing was changed: restore the line, or delete it to make its sample again."
            )
    return Lines(path, records, len(data) - torn, torn)


def reread_lines(path: Path) -> Lines:
    """`read_lines` for those who read the same few files several times over: once, until the file changes. The records
    are shared, and must not be changed."""
    try:
        found = path.stat()
    except OSError:
        return read_lines(path)
    return _as_it_stands(path, found.st_ino, found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=4)  # the generations, costs, traces and scores of one cell
def _as_it_stands(path: Path, inode: int, size: int, changed: int) -> Lines:
    return read_lines(path)


def _objects(lines: Sequence[bytes]) -> list[dict[str, Any]] | None:
    """All lines at once, as most files are undamaged; None where one is no JSON object, or not as orjson reads it."""
    try:
        records = [orjson.loads(line) for line in lines]
    except ValueError:
        return None
    return records if set(map(type, records)) <= {dict} else None


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        record = decode(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def append_lines(path: Path, lines: Sequence[bytes]) -> None:
    """Append `lines` with one write and one fsync; after an error the file is as it was."""
    new = not path.exists()
    data = memoryview(b"".join(line + b"\n" for line in lines))
    with writing(path), open(path, "ab", buffering=0) as file:
        start = file.seek(0, os.SEEK_END)
        try:
            while data:  # a full disk may take a part
                data = data[file.write(data) :]
            os.fsync(file.fileno())
        except BaseException:
            file.truncate(start)
            raise
    if new:
        _sync_folder(path.parent)


def write_file(path: Path, data: bytes) -> None:
    """Write a whole file, all or nothing: a temporary file beside it, synced, renamed into place."""
    write_pieces(path, [data])


def write_pieces(path: Path, pieces: Iterable[bytes]) -> None:
    """`write_file` of pieces that follow each other, for what is too large to be held as a whole."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    with writing(path):
        make_folder(path.parent)
        try:
            with open(temporary, "xb") as file:
                for piece in pieces:
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)


def write_files(folder: Path, files: Mapping[Path, bytes]) -> None:
    """Write files of one folder in place, then sync all: for what nothing on disk refers to yet."""
    with writing(folder):
        make_folder(folder)
    for path, data in files.items():
        with writing(path), open(path, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    with writing(folder):
        _sync_folder(folder)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as an indented JSON file, all or nothing."""
    write_file(path, encode(value, indent=True) + b"\n")


def read_json(path: Path) -> Any:
    """The value in a JSON file, None where the file does not exist; raises UserError where it is no JSON."""
    try:
        return decode(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}.") from error
    except ValueError as error:
        raise UserError(f"{path} is no JSON: {error}. Restore the file.") from error


def make_folder(path: Path) -> None:
    """Create a folder and those above it, each synced into its parent."""
    if not path.is_dir():
        make_folder(path.parent)
        path.mkdir(exist_ok=True)
        _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
