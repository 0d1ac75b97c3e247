"""A run on disk: `run.json`, and a folder for each of its cells."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.errors import UserError, noted
from harness.spec import CellSpec
from harness.store.cell import CellStore
from harness.store.files import make_folder, read_json, write_json, writing

SCHEMA = 1
"""Raised by hand whenever the files of a run change their form."""

IMPORTED = "imported"
"""`CellSpec.data` of a cell that was imported: its documents, as far as they are known, are in the run itself."""


class RunStore:
    """The folder of a run: `run.json` with its name and the suite as given, `cells/<generation id>/`, and `data/`,
    a data folder with the documents of cells that were imported."""

    def __init__(self, root: Path) -> None:
        """Open an existing run; raises UserError where `root` is none."""
        self.root = root
        path = root / "run.json"
        run = read_json(path) if root.is_dir() else None
        if run is None:
            raise UserError(f"{root} is no run: it should be a folder with a run.json. `run` makes one.")
        if not isinstance(run, dict) or run.get("schema") != SCHEMA:
            found = run.get("schema") if isinstance(run, dict) else None
            raise UserError(f"{path}: 'schema' is {found!r}, should be {SCHEMA}: this version reads no other.")
        self.name: str = run.get("name", root.name)
        self.suite: dict[str, Any] = run.get("suite", {})

    @classmethod
    def create(cls, root: Path, suite: Mapping[str, Any], name: str | None = None) -> RunStore:
        """Make a run, or take up the one that is there, now with this suite: cells are only ever added.

        Raises UserError where `root` cannot be written, or holds something else.
        """
        with writing(root):
            taken = root.is_dir() and any(not path.name.startswith(".") for path in root.iterdir())
        if taken:
            cls(root)
        write_json(root / "run.json", {"name": name or root.name, "schema": SCHEMA, "suite": dict(suite)})
        with writing(root):
            make_folder(root / "cells")
        return cls(root)

    def cell(self, spec: CellSpec) -> CellStore:
        """The cell of a specification, which is created when it is first locked."""
        return CellStore(self.root / "cells" / spec.id, spec)

    def cells(self) -> list[CellStore]:
        """All cells, by id. Raises UserError for a folder that is no cell."""
        return self.readable(None)

    def readable(self, problems: list[str] | None) -> list[CellStore]:
        """The same; where there is a list for `problems`, a folder that is no cell is noted there and left out."""
        cells = []
        for folder in self.folders():
            with noted(problems):
                cells.append(CellStore.open(folder))
        return cells

    def folders(self) -> list[Path]:
        """What should be cells, by id; a folder that a kill left empty is none."""
        folders = sorted(path for path in self.root.glob("cells/[!.]*") if path.is_dir())
        return [folder for folder in folders if any(folder.glob("[!.]*"))]

    def data_dir(self, spec: CellSpec, given: str | None) -> str | None:
        """Where the documents of a cell are: in the run for one that was imported, else in the data folder given."""
        return str(self.root / "data") if spec.data == IMPORTED else given
