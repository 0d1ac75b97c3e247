"""A tiny IFEval of our own writing, and where the real data is."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.catalogue import Catalogue
from harness.spec import TaskSpec
from harness.task import Task

ROWS: list[dict[str, Any]] = [
    {
        "key": 7,
        "prompt": "Describe rain in double quotation marks and without commas.",
        "instruction_id_list": ["punctuation:no_comma", "startend:quotation"],
        "kwargs": [{}, {}],
    },
    {
        "key": 3,
        "prompt": "Describe snow without commas.",
        "instruction_id_list": ["punctuation:no_comma"],
        "kwargs": [{}],
    },
    {
        "key": 11,
        "prompt": "Describe hail in at least 2 words.",
        "instruction_id_list": ["length_constraints:number_words"],
        "kwargs": [{"relation": "at least", "num_words": 2}],
    },
]


def write_rows(folder: Path, *lines: str | Mapping[str, Any]) -> Path:
    """`folder`, now with an input_data.jsonl of these lines."""
    folder.mkdir(parents=True, exist_ok=True)
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    (folder / "input_data.jsonl").write_text(text + "\n", encoding="utf-8")
    return folder


def make_task(data_dir: Path | None, protocol: str | None = None) -> Task:
    """The task as the command line makes it."""
    spec = TaskSpec(name="ifeval", protocol=protocol)
    return Catalogue().task(spec, None if data_dir is None else str(data_dir), None)


def real_data() -> Path:
    """The folder of the shared data; skips the test where it is absent."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("MDM_HARNESS_DATA", beside))
    if not (folder / "ifeval" / "input_data.jsonl").is_file():
        pytest.skip(f"the IFEval data is not in {folder} (set MDM_HARNESS_DATA)")
    return folder
