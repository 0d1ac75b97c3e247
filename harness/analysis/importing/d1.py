"""Files of d1's evaluation (dllm-reasoning/d1, `eval/eval.py`).

They are named `{task}_{model}_{length}_{steps}_{shard}_generations.json`. Of the settings, a file holds the model's
path, length, steps and block length. The rest is what that program does, and offers no flag for: LLaDA's decoding by
low confidence in bfloat16, at temperature 0, without guidance, one forward a step.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from harness.analysis.importing.found import FoundFile, FoundSample, cell_spec, need, open_task
from harness.catalogue import Catalogue
from harness.errors import UserError

PATTERN = "*_generations.json"
_DECODING = {"remasking": "low_confidence", "eos": "free", "rounded": False}
_TASKS = {"gsm8k": "gsm8k", "sudoku": "sudoku_d1", "countdown": "countdown_d1"}
"""What d1 calls a task, and what this harness calls it."""


def task_of(path: Path) -> str | None:
    """The task that the name of a file tells, None if it tells none that can be imported."""
    return _TASKS.get(path.name.partition("_")[0])


def read(path: Path, catalogue: Catalogue, task_name: str, model: str | None) -> FoundFile:
    """The outputs in a file, each with the question and the true answer beside it."""
    content = _read_json(path)
    where = str(path)
    length, steps, block = (need(content, key, int, where) for key in ("gen_length", "diffusion_steps", "block_length"))
    if not 0 < block <= length or length % block or steps < 1:
        raise UserError(
            f"{where}: 'gen_length' {length} must be a multiple of 'block_length' {block}, and 'diffusion_steps' "
            f"{steps} at least 1."
        )
    task = open_task(catalogue, task_name, {"max_tokens": length})
    if task_name not in _ROWS:
        raise UserError(f"--task: d1's files hold outputs of {' and '.join(_ROWS)}, not of {task_name!r}.")
    samples = []
    for number, row in enumerate(need(content, "generations", list, where)):
        here = f"{path}, generations.{number}"
        if not isinstance(row, dict):
            raise UserError(f"{here}: an object is needed, found {type(row).__name__}.")
        document = task.document(_ROWS[task_name](row, here), here)
        samples.append(FoundSample(here, document, 0, need(row, "generations", str, here)))
    checkpoint = need({"checkpoint_path": "", **content}, "checkpoint_path", str, where)
    name = model or _last(need(content, "model_path", str, where), 1)
    if not name:
        raise UserError(f"{where}: 'model_path' names no model; give its name as --model.")
    cell = cell_spec(
        task,
        where,
        model={"name": name, "args": {"checkpoint": _last(checkpoint, 2)} if checkpoint else {}, "dtype": "bfloat16"},
        sampler={"name": "llada", "args": {**_DECODING, "block": block}},
        decoding={"temperature": 0.0, "guidance": 0.0},
        budget=steps,
    )
    blocks = length // block
    forwards = blocks * max(1, steps // blocks)
    cost = {"nfe": forwards, "nfe_nominal": forwards, "depth": forwards}
    origin = {"format": "d1", "model_path": content["model_path"], "checkpoint_path": checkpoint}
    return FoundFile(path, task, cell, samples, cost, origin)


def _gsm8k(row: Mapping[str, Any], where: str) -> dict[str, Any]:
    return {"question": need(row, "question", str, where), "answer": _present(row, where)}


def _sudoku(row: Mapping[str, Any], where: str) -> dict[str, Any]:
    question = need(row, "question", str, where)
    puzzle = re.search(r"[0-9]{16}", question)
    if puzzle is None:
        raise UserError(f"{where}: 'question' must hold a puzzle of 16 digits, found {question[:60]!r}.")
    return {"puzzle": puzzle[0], "solution": _present(row, where)}


def _countdown(row: Mapping[str, Any], where: str) -> dict[str, Any]:
    truth = _present(row, where)
    if not isinstance(truth, list) or len(truth) != 2:
        raise UserError(f"{where}: 'ground_truth' must be [numbers, target], found {str(truth)[:60]}.")
    return {"numbers": truth[0], "target": truth[1]}


_ROWS: Mapping[str, Callable[[Mapping[str, Any], str], dict[str, Any]]] = {
    "gsm8k": _gsm8k,
    "sudoku_d1": _sudoku,
    "countdown_d1": _countdown,
}
"""Task to a row of it, made from an entry of `generations`."""


def _present(row: Mapping[str, Any], where: str) -> Any:
    """The true answer, which may be null: not known."""
    if "ground_truth" not in row:
        raise UserError(f"{where}: 'ground_truth' is missing.")
    return row["ground_truth"]


def _last(path: str, parts: int) -> str:
    """The last parts of a path."""
    return "/".join(path.strip("/").split("/")[-parts:])


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not valid JSON: {error}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: a JSON object with 'generations' is needed, found {type(content).__name__}.")
    return content
