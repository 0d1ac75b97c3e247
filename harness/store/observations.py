"""Observations as safetensors: the same arrays give the same bytes, and reading them runs no code."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.errors import UserError
from harness.store.files import decode, encode
from harness.store.records import SampleKey
from harness.task import Observations


def pack(keys: Sequence[SampleKey], arrays: Observations) -> bytes:
    """`arrays` by name, each of shape (len(keys), …) and numeric or bool; raises ValueError for others."""
    import numpy as np
    from safetensors.numpy import save

    for name, array in arrays.items():
        if array.shape[:1] != (len(keys),) or array.dtype.kind not in "biuf":
            raise ValueError(
                f"observation {name!r}: {array.dtype} {array.shape} should be numbers, one row for each of "
                f"{len(keys)} samples"
            )
    listed = encode([[key.document, key.sample] for key in keys]).decode()
    return save({name: np.ascontiguousarray(array) for name, array in arrays.items()}, metadata={"keys": listed})


def read(path: Path) -> tuple[list[SampleKey], Observations] | None:
    """The keys and arrays as packed; None where the file does not exist."""
    from safetensors import SafetensorError, safe_open

    if not path.exists():
        return None
    try:
        with safe_open(path, framework="numpy") as file:
            keys = [SampleKey(*key) for key in decode(file.metadata()["keys"].encode())]
            return keys, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, TypeError, KeyError, ValueError) as error:
        raise UserError(f"{path} holds no observations: {error}. Delete it and score the run again.") from error
