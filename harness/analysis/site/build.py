"""Writes the site: reads the cells one at a time, and leaves what cannot be read as a note on the page."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from harness.analysis.curves import name_cells
from harness.analysis.paired.ranking import Ranking
from harness.analysis.site.documents import Asked, Group
from harness.analysis.site.files import SiteFolder, replacing_folder
from harness.analysis.site.overview import overview
from harness.analysis.site.samples import CellSamples, read_samples
from harness.catalogue import Catalogue
from harness.errors import UserError
from harness.spec import TaskFile
from harness.store import CellStore

PAGE = 500
"""Samples in a file of outputs, documents in a file of prompts."""
TRACE_PAGE = 50
"""Samples in a file of traces, which are longer."""

CELL_ORDER = ["task", "model", "label", "cost.nfe", "setting", "seed"]
"""How cells are listed."""

STATIC = Path(__file__).parent / "static"
SCRIPTS = ("core", "table", "leaderboard", "curves", "replay", "sample", "samples", "compare", "main")
"""In the order of loading."""


def write_site(
    folder: Path,
    table: pd.DataFrame,
    tasks: Mapping[str, TaskFile],
    catalogue: Catalogue,
    data_dir: str | None = None,
    pixel_models: Collection[str] = (),
    rankings: Sequence[Ranking] = (),
    problems: Sequence[str] = (),
) -> Path:
    """Write `<folder>/site/` and return its `index.html`; an older site is replaced as a whole.

    table         the cells of one run or several, as `cell_frame` gives them; `tasks` are their declarations
    catalogue     knows the tasks, which are asked for the prompts (with `data_dir`)
    pixel_models  the models that make pictures: where such a picture is no PNG, its tokens are grey levels
    problems      what could not be read, in words

    A cell that is damaged is listed with what is wrong. Raises UserError where the disk refuses.
    """
    rows = name_cells(table).drop_duplicates("cell").sort_values(CELL_ORDER, kind="stable").to_dict("records")
    asked = Asked(folder / "requests", catalogue, data_dir)
    with replacing_folder(folder / "site") as site:
        cells = [_write_cell(site, row, asked, pixel_models) for row in rows]
        _share_greys(cells)
        for group in asked.groups(site.add_image):
            _write_documents(site, group)
        site.put("site", {"name": folder.resolve().name, "page": PAGE, "tracePage": TRACE_PAGE,
                          "problems": [*problems], **overview(table, tasks, rankings), "cells": cells})  # fmt: skip
        _write_page(site, folder.resolve().name)
    return folder / "site" / "index.html"


def _write_cell(
    site: SiteFolder, row: Mapping[Any, Any], asked: Asked, pixel_models: Collection[str]
) -> dict[str, Any]:
    """Write the files of a cell, and return what the page must know before it loads them: how it is called, by task
    (without a protocol), curve, and place on it, and what there is of it."""
    named = {name: row[name] for name in ("model", "label", "setting", "seed")}
    named |= {"id": row["cell"], "task": row["task"].partition("@")[0]}
    try:
        cell = CellStore.open(Path(row["folder"]))
        samples = read_samples(cell)
    except UserError as error:
        return {**named, "samples": 0, "problem": str(error)}
    columns = [{"kind": kind, "name": name, "values": found} for (kind, name), found in samples.columns.items()]
    documents, indices = [key.document for key in samples.keys], [key.sample for key in samples.keys]
    site.put(f"cells/{cell.id}", {"documents": documents, "samples": indices, "columns": columns})
    site.put_pages(f"cells/{cell.id}/outputs", samples.outputs, PAGE)
    traced = sum(trace is not None for trace in samples.traces)
    if traced:
        site.put_pages(f"cells/{cell.id}/traces", samples.traces, TRACE_PAGE)
    for name, path in samples.images.items():
        site.link_image(path, name)
    return {
        **named,
        "samples": len(samples.keys),
        "traces": traced,
        "tokens": _kind_of_tokens(samples, cell.spec.model.name in pixel_models),
        "documents": asked.add(cell, documents),
    }


def _write_documents(site: SiteFolder, group: Group) -> None:
    described = [group.requests.get(key, {}) for key in group.ids]
    silent = not any(described)
    site.put(f"documents/{group.id}", {"ids": group.ids, "problem": group.problem, "silent": silent})
    if not silent:
        site.put_pages(f"documents/{group.id}", described, PAGE)


def _kind_of_tokens(samples: CellSamples, pixels: bool) -> dict[str, Any]:
    """How to show a token: as a grey level up to `largest`, as a coloured code of a picture, or as its number."""
    if samples.images:
        return {"kind": "code"}
    return {"kind": "grey", "largest": samples.largest_token} if pixels else {"kind": "id"}


def _share_greys(cells: Sequence[dict[str, Any]]) -> None:
    """Give the cells of a model one scale of grey, so that they can be compared."""
    greys = [cell for cell in cells if cell.get("tokens", {}).get("kind") == "grey"]
    for cell in greys:
        cell["tokens"] = {
            "kind": "grey",
            "largest": max(other["tokens"]["largest"] for other in greys if other["model"] == cell["model"]),
        }


def _write_page(site: SiteFolder, name: str) -> None:
    """`index.html`, and the scripts and styles that it loads."""
    static = site.root / "static"
    static.mkdir()
    for file in (*STATIC.iterdir(), _plotly()):
        shutil.copyfile(file, static / file.name)
    templates = Environment(loader=PackageLoader(__package__), autoescape=True, undefined=StrictUndefined)
    page = templates.get_template("index.html").render(name=name, scripts=SCRIPTS)
    (site.root / "index.html").write_text(page, encoding="utf-8")


def _plotly() -> Path:
    """Plotly's script as the Python package ships it; the package itself need not be imported."""
    package = find_spec("plotly")
    assert package is not None
    assert package.origin is not None
    return Path(package.origin).parent / "package_data" / "plotly.min.js"
