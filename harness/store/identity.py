"""`cell.json`: what a folder of samples is of, checked against the folder's name."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from harness.errors import UserError
from harness.spec import CellSpec
from harness.store.files import read_json, write_json


def write_spec(path: Path, spec: CellSpec) -> None:
    """Write the specification of the cell in the folder of `path`."""
    write_json(path, spec.model_dump(mode="json"))


def read_spec(path: Path) -> CellSpec:
    """The specification in a `cell.json`; raises UserError unless it belongs to the folder it is in."""
    data = read_json(path)
    if data is None:
        raise UserError(f"{path} is missing: its folder is no cell of a run. Restore it, or move the folder.")
    try:
        spec = CellSpec.model_validate(data)
    except ValidationError as error:
        raise UserError(f"{path} is no specification of a cell: {error}") from error
    if spec.id != path.parent.name:
        raise UserError(
            f"{path}: the specification has the id {spec.id}, but its folder is named {path.parent.name}. "
            "One of them was changed or copied by hand; restore it."
        )
    return spec
