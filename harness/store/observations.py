"""Observations as safetensors: the same arrays give the same bytes, and reading them runs no code.

Arrays are read as memory maps, and written piece by piece, so that a million rows of features fit on a small machine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import UserError
from harness.store.files import decode, encode
from harness.store.records import SampleKey
from harness.task import Observations

if TYPE_CHECKING:
    import numpy as np

BLOCK = 1024
"""Rows that are written at once."""
_TYPES = {"BOOL": "?", **{f"{kind}{8 * size}": f"<{kind.lower()}{size}" for kind in "IU" for size in (1, 2, 4, 8)},
          **{f"F{8 * size}": f"<f{size}" for size in (2, 4, 8)}}  # fmt: skip
"""What safetensors calls a dtype, and numpy."""


def pack(keys: Sequence[SampleKey], arrays: Observations) -> Iterator[bytes]:
    """A file of `arrays` by name, each of shape (len(keys), …) and numeric or bool; raises ValueError for others."""
    for name, array in arrays.items():
        if array.shape[:1] != (len(keys),) or array.dtype.kind not in "biuf":
            raise ValueError(
                f"observation {name!r}: {array.dtype} {array.shape} should be numbers, one row for each of "
                f"{len(keys)} samples"
            )
    return _pieces(keys, arrays, lambda name, start, stop: arrays[name][start:stop])


def join(keys: Sequence[SampleKey], parts: Sequence[tuple[list[SampleKey], Observations]]) -> Iterator[bytes]:
    """A file of the rows of `keys`, in this order, out of parts with the same arrays, one of which has each key."""
    import numpy as np

    place = {key: (part, row) for part, (known, _) in enumerate(parts) for row, key in enumerate(known)}

    def rows(name: str, start: int, stop: int) -> np.ndarray[Any, Any]:
        found = [parts[part][1][name][row] for part, row in (place[key] for key in keys[start:stop])]
        return np.stack(found)

    return _pieces(keys, parts[0][1], rows)


def read(path: Path) -> tuple[list[SampleKey], Observations] | None:
    """The keys and arrays as packed, the arrays as memory maps; None where the file does not exist."""
    from safetensors import SafetensorError, safe_open

    if not path.exists():
        return None
    try:
        with safe_open(path, framework="numpy") as file:  # which checks the header
            keys = [SampleKey(*key) for key in decode(file.metadata()["keys"].encode())]
        return keys, _maps(path)
    except (SafetensorError, OSError, TypeError, KeyError, ValueError) as error:
        raise UserError(f"{path} holds no observations: {error}. Delete it and score the run again.") from error


def _maps(path: Path) -> Observations:
    """The arrays of a file of which the header is known to be one."""
    import numpy as np

    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = decode(file.read(size))
    del header["__metadata__"]
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    for name, told in sorted(header.items()):
        dtype, shape, start = np.dtype(_TYPES[told["dtype"]]), tuple(told["shape"]), told["data_offsets"][0]
        empty = math.prod(shape) == 0  # of which no map can be made
        arrays[name] = np.zeros(shape, dtype) if empty else np.memmap(path, dtype, "r", 8 + size + start, shape)
    return arrays


def _pieces(
    keys: Sequence[SampleKey], like: Observations, rows: Callable[[str, int, int], np.ndarray[Any, Any]]
) -> Iterator[bytes]:
    """Length, header and data of a safetensors file. `like` has the arrays' dtypes and the shapes of their rows."""
    import numpy as np

    names = sorted(like, key=lambda name: (-like[name].dtype.itemsize, name))  # so that each array is aligned
    types = {np.dtype(ours).newbyteorder("<"): theirs for theirs, ours in _TYPES.items()}
    listed = encode([[key.document, key.sample] for key in keys]).decode()
    header: dict[str, Mapping[str, Any]] = {"__metadata__": {"keys": listed}}
    end = 0
    for name in names:
        dtype, shape = like[name].dtype, [len(keys), *like[name].shape[1:]]
        start, end = end, end + math.prod(shape) * dtype.itemsize
        header[name] = {"dtype": types[dtype.newbyteorder("<")], "shape": shape, "data_offsets": [start, end]}
    text = encode(header)
    text += b" " * (-len(text) % 8)
    yield len(text).to_bytes(8, "little") + text
    for name in names:
        dtype = like[name].dtype.newbyteorder("<")
        for start in range(0, len(keys), BLOCK):
            yield np.ascontiguousarray(rows(name, start, min(start + BLOCK, len(keys))), dtype=dtype).tobytes()
