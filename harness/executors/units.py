"""A plan as units of work: some documents of a group, in cells that share them, with an estimate of what they take."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from harness.errors import UserError
from harness.executors.making import Wanted
from harness.executors.plan import Plan, PlannedCell
from harness.spec import PLANNED_ROWS, BatchSize
from harness.task import Request

UNITS, UNFILLED = 16, 4
"""Units for each worker, about: of fewer, the last one keeps all others waiting for long; of more, each ends with a
batch that is partly idle. So many less where documents do not fill a batch, and cells share batches."""
_CHARACTERS = 4
"""Of prompt to a token, about: the estimate needs no tokenizer."""
_TOKENS = 64
"""Length of what is made where only the model knows it."""


@dataclass(frozen=True)
class Unit:
    """Work that one worker does at a time.

    number     its place in the list of all units
    group      the place of its group in `plan.groups()`
    cells      ids of the cells, all of this group
    documents  ids of the documents
    cost       token-forwards, roughly, at most: only their ratios are used
    """

    number: int
    group: int
    cells: frozenset[str]
    documents: frozenset[str]
    cost: int


@dataclass(frozen=True)
class Shard:
    """Part `index` of `count`, from 1."""

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """`2/4`; raises UserError for anything else."""
        match = re.fullmatch(r"(\d+)/(\d+)", text)
        if match is None:
            raise UserError(f"--shard {text}: write the part and the number of parts, such as --shard 2/4")
        index, count = map(int, match.groups())
        if not 1 <= index <= count:
            parts = f"1/{count} to {count}/{count}" if count else "1/1 for the whole"
            raise UserError(f"--shard {text}: there is no such part; the parts are {parts}")
        return cls(index, count)

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def of(self, units: Sequence[Unit]) -> list[Unit]:
        """The shard's units: a run of them in their order, so that it needs few models, of about an equal cost."""
        total, before, mine = sum(unit.cost for unit in units), 0, []
        for unit in units:
            middle = 2 * before + unit.cost  # in halves, so that all is whole numbers and every machine agrees
            if middle * self.count // (2 * total) == self.index - 1:
                mine.append(unit)
            before += unit.cost
        return mine


def divide(plan: Plan, workers: int, batch_size: BatchSize) -> list[Unit]:
    """All of the plan's work as units for so many workers; it depends on the plan alone, not on what is there.

    A unit has documents for whole batches, in all cells of the group; where that makes too few units, the cells are
    divided as well.
    """
    rows = PLANNED_ROWS if batch_size == "auto" else batch_size
    units: list[Unit] = []
    for number, group in enumerate(plan.groups()):
        documents = max((cell.documents for cell in group), key=len)
        fill = -(-rows // min(cell.samples for cell in group))
        size, parts = shape(len(documents), len(group), workers, fill)
        chunks = [documents[start : start + size] for start in range(0, len(documents), size)]
        sizes = {document.id: _sizes(group[0].task.request(document)) for document in documents}
        for chunk in chunks:
            for cells in _parts(group, parts):
                ids = frozenset(document.id for document in chunk)
                cost = sum(_cost(cell, sizes[document.id]) for cell in cells for document in chunk)
                units.append(Unit(len(units), number, frozenset(cell.spec.id for cell in cells), ids, cost))
    return units


def by_unit(units: Sequence[Unit], wanted: Iterable[Wanted]) -> dict[int, set[Wanted]]:
    """The wanted samples by the number of their unit; those of none of these units are left out."""
    unit_of = {(cell, document): unit.number for unit in units for cell in unit.cells for document in unit.documents}
    found: dict[int, set[Wanted]] = {}
    for each in wanted:
        number = unit_of.get((each.cell, each.key.document))
        if number is not None:
            found.setdefault(number, set()).add(each)
    return found


def shape(documents: int, cells: int, workers: int, fill: int) -> tuple[int, int]:
    """Documents of a unit, a multiple of the `fill` that fill a batch, and the parts that the cells are divided in."""
    size = fill * max(1, -(-documents // (UNITS * workers * fill)))
    chunks = max(1, -(-documents // size))
    wanted = (UNITS if documents >= fill else UNFILLED) * workers
    return size, min(cells, -(-wanted // chunks))


def _parts(group: Sequence[PlannedCell], parts: int) -> list[Sequence[PlannedCell]]:
    ends = [len(group) * i // parts for i in range(parts + 1)]
    return [group[start:end] for start, end in pairwise(ends)]


def _sizes(request: Request) -> list[tuple[int, int]]:
    """Of each row the tokens to make, and all of them."""
    made = [(row.length or _TOKENS, len(row.prompt or "") // _CHARACTERS) for row in request.rows]
    return [(length, length + prompt) for length, prompt in made]


def _cost(cell: PlannedCell, sizes: Sequence[tuple[int, int]]) -> int:
    """Steps x tokens x samples; one step a token where the sampler decides how many it takes."""
    return cell.samples * sum((cell.spec.budget or made) * tokens for made, tokens in sizes)
