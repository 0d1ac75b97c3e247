"""A run as large as is wanted, with made-up answers: what analysis is measured on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations, product
from pathlib import Path

import numpy as np

from harness.catalogue import Catalogue
from harness.components import resolve_sampler
from harness.metrics.arithmetic import value
from harness.samplers import samplers
from harness.spec import CellSpec, Decoding, ModelSpec, TaskSpec
from harness.store import GenerationRecord, RunStore, SampleKey
from harness.task import Document, Output

MODELS = ("llada", "dream", "llada_moe", "mdlm")
TASKS = ("waiting_line", "countdown")
SAMPLERS = ("confidence", "entropy", "margin", "random", "llada", "eb", "threshold")
BUDGETS = (4, 8, 16, 32, 64)
SEEDS = 3
CELLS = len(MODELS) * len(TASKS) * len(SAMPLERS) * len(BUDGETS) * SEEDS
TOKENS = 64
_CUT_SHORT = {3: 0.8, 19: 0.3}
"""Of so many cells one holds only this share of its documents."""


def make_run(root: Path, samples: int) -> int:
    """Fill a new run with about so many samples, and return how many: answers of all lengths, the more often right the
    more steps a sampler takes, some cells cut short."""
    run, catalogue, made = RunStore.create(root, {}), Catalogue(()), 0
    count = max(2, round(samples / CELLS / _mean_share()))
    for name in TASKS:
        task = catalogue.task(TaskSpec(name=name, args={"count": count}), None, None)
        documents, data = task.documents(), task.data_hash()
        right = [_right(document) for document in documents]
        for number, cell in enumerate(_cells(task.identity(), data)):
            some = max(1, int(count * _share(number)))
            store = run.cell(cell)
            with store.lock():
                store.append(list(_records(documents[:some], right, cell, number)))
            made += some
    return made


def _share(number: int) -> float:
    return min((share for every, share in _CUT_SHORT.items() if number % every == every - 1), default=1.0)


def _mean_share() -> float:
    return float(np.mean([_share(number) for number in range(CELLS // len(TASKS))]))


def _cells(task: TaskSpec, data: str) -> Iterator[CellSpec]:
    for model, sampler, place, seed in product(MODELS, SAMPLERS, range(len(BUDGETS)), range(SEEDS)):
        info = samplers[sampler].info
        steps = info.knob == "steps"
        args = {} if steps else {str(info.knob): info.sweep[place]}
        yield CellSpec(
            model=ModelSpec(name=model), task=task, data=data, decoding=Decoding(), seed=seed, semantics={"engine": 1},
            sampler=resolve_sampler(sampler, args, "bench analysis"), budget=BUDGETS[place] if steps else None,
        )  # fmt: skip


def _right(document: Document) -> str:
    """An answer that is right (of some problems of `countdown` none is found, and this one is wrong)."""
    if "line" in document.data:
        return ", ".join(document.data["line"])
    orders = permutations(document.data["numbers"])
    forms = [form.format(*order) for order, form in product(orders, ("({}{{}}{}){{}}{}", "{}{{}}({}{{}}{})"))]
    found = (form.format(*signs) for form, signs in product(forms, product("+-*/", repeat=2)))
    return next((each for each in found if value(each) == document.data["target"]), "0")


def _records(
    documents: Sequence[Document], right: Sequence[str], cell: CellSpec, number: int
) -> Iterator[GenerationRecord]:
    rng = np.random.default_rng([number, cell.seed])
    place = number // SEEDS % len(BUDGETS)
    chance = 0.2 + 0.12 * place + 0.02 * SAMPLERS.index(cell.sampler.name)
    for document, answer in zip(documents, right, strict=False):
        text = "Let me see. " * int(rng.integers(8)) + "\n" + (answer if rng.random() < chance else "1+1")
        tokens = tuple(rng.integers(126_464, size=int(rng.integers(TOKENS // 4, TOKENS + 1))).tolist())
        nfe = cell.budget or int(rng.integers(BUDGETS[place] // 2, 2 * BUDGETS[place]))
        cost = {
            "depth": nfe, "nfe": nfe, "nfe_nominal": nfe, "token_forwards": 2 * TOKENS * nfe, "flops": 1e12 * nfe,
            "output_tokens": len(tokens),
        }  # fmt: skip
        yield GenerationRecord(SampleKey(document.id, 0), Output(tokens, text), cost)
