"""What a worker does, wherever it lives: it makes the same plan again, and then units of it."""

from __future__ import annotations

import traceback
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.catalogue import Catalogue
from harness.errors import RunError, UserError
from harness.executors.crew import Done, Failed, Made, Message
from harness.executors.loader import ModelLoader, check_capabilities
from harness.executors.making import Maker, Note, Options, Wanted, records
from harness.executors.plan import Plan, make_plan
from harness.executors.units import Unit
from harness.spec import SuiteFile


@dataclass(frozen=True)
class Order:
    """What a plan is made of: plain data, so that no code travels. Paths are absolute."""

    suite: Mapping[str, Any]
    include: tuple[str, ...]
    data_dir: str | None
    allow_code: bool
    trace: bool

    @classmethod
    def of(
        cls, suite: SuiteFile, include: Sequence[Path], data_dir: str | None, allow_code: bool, trace: bool
    ) -> Order:
        """The order for a suite with these sources."""
        folder = None if data_dir is None else str(Path(data_dir).resolve())
        return cls(suite.model_dump(mode="json"), tuple(str(p.resolve()) for p in include), folder, allow_code, trace)


class Work:
    """A plan on one device, with one model at a time."""

    def __init__(self, order: Order, device: str) -> None:
        suite = SuiteFile.model_validate(order.suite)
        catalogue = Catalogue([Path(path) for path in order.include], order.allow_code)
        self._plan = make_plan(suite, catalogue, order.data_dir, "the suite")
        self._load = ModelLoader(device)
        self._options = Options(suite.batch_size, device, order.trace)
        self._maker: tuple[int, Maker] | None = None

    def run(self, unit: Unit, wanted: Collection[Wanted]) -> Iterator[Message]:
        """Make the wanted samples of a unit; the last message is `Done` or `Failed`."""
        try:
            notes: list[Note] = []
            maker = self._of_group(unit)
            before = maker.forwards
            for batch in maker.make(wanted, notes.append):
                yield Made(notes[-1], records(batch))
            yield Done(maker.forwards.minus(before))
        except UserError as error:
            yield Failed(str(error), "user")
        except RunError as error:
            yield Failed(str(error), "run")
        except Exception:
            yield Failed(traceback.format_exc(), "other")

    def _of_group(self, unit: Unit) -> Maker:
        """The maker of the unit's group, kept for the next unit."""
        if self._maker is None or self._maker[0] != unit.group:
            groups = self._plan.groups()
            group = groups[unit.group] if unit.group < len(groups) else []
            if not unit.cells <= {cell.spec.id for cell in group}:
                raise UserError(
                    "a worker comes to other cells than the process that started it: the data, the checkpoints or the "
                    "version of the harness differ between their machines."
                )
            self._maker = None  # its model goes before the next one comes
            check_capabilities(Plan(self._plan.suite, group, self._plan.tasks), self._load)
            self._maker = unit.group, Maker(group, self._load(group[0].spec.model), self._options)
        return self._maker[1]
