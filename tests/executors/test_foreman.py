"""The foreman and its queue on a crew that only pretends, with a clock of its own."""

import heapq
from itertools import count

import pytest

from harness.errors import RunError, UserError
from harness.executors.crew import Done, Failed, Made, Ready
from harness.executors.foreman import Foreman
from harness.executors.making import Wanted
from harness.executors.queue import TRIES, Queue
from harness.executors.together import Together
from harness.executors.units import Unit
from harness.store import GenerationRecord, SampleKey
from harness.task import Output


def units(*costs, group=0):
    return [Unit(i, group, frozenset("c"), frozenset([str(i)]), cost) for i, cost in enumerate(costs)]


class Pretenders:
    """Each unit takes its cost in seconds. `plan(place, unit, nth try)` says what comes of it: Done, a Failed, or None
    for a worker that is never heard of again. `born(place)` says what a new worker tells first."""

    def __init__(self, size, plan=lambda place, unit, attempt: Done(), born=lambda place: Ready()):
        self.size, self.plan, self.born = size, plan, born
        self.time, self.told, self.number = 0.0, [], count()
        self.attempts, self.given, self.alive, self.hired = {}, [], {}, []

    def _tell(self, delay, place, *messages):
        for message in messages:
            heapq.heappush(self.told, (self.time + delay, next(self.number), place, self.alive[place], message))

    def hire(self, place):
        self.alive[place] = next(self.number)
        self.hired.append(place)
        self._tell(1, place, self.born(place))

    def give(self, place, unit, wanted):
        self.given.append((place, unit.number, len(wanted)))
        self.attempts[unit.number] = self.attempts.get(unit.number, 0) + 1
        outcome = self.plan(place, unit, self.attempts[unit.number])
        # One sample comes before the first fault of a unit.
        chosen = sorted(wanted)[: None if isinstance(outcome, Done) else self.attempts[unit.number] == 1]
        made = Made({}, {"c": [GenerationRecord(each.key, Output()) for each in chosen]})
        if outcome is not None:
            self._tell(unit.cost, place, made, outcome)

    def listen(self, seconds):
        if not self.told or self.told[0][0] > self.time + seconds:
            self.time += seconds
            return []
        self.time, _, place, life, message = heapq.heappop(self.told)
        return [(place, message)] if self.alive.get(place) == life else []

    def fire(self, place):
        del self.alive[place]

    def stop(self):
        return []

    def now(self):
        return self.time


class Ledger:
    """What is wanted of the units, two samples each, and what was committed."""

    def __init__(self, todo):
        self.wanted = {u.number: {Wanted("c", SampleKey(str(u.number), i)) for i in range(2)} for u in todo}
        self.every = set().union(*self.wanted.values())
        self.kept = []

    def commit(self, made):
        self.kept += [Wanted(cell, record.key) for cell, records in made.records.items() for record in records]


def work(crew, todo, patience=1000.0):
    ledger = Ledger(todo)
    aside = Foreman(crew, patience).run(todo, ledger.wanted, dict.fromkeys(range(10), "m"), ledger.commit)
    return ledger, aside


def test_the_longest_first_and_everything_once():
    crew = Pretenders(2)
    ledger, aside = work(crew, units(3, 1, 10, 2, 5))
    assert [unit for _, unit, _ in crew.given] == [2, 4, 0, 3, 1]
    assert sorted(ledger.kept) == sorted(ledger.every)
    assert not aside
    assert crew.time == 12.0  # ready after 1; then 10 beside 5 + 3 + 2, and the last 1


def test_no_more_workers_than_units():
    crew = Pretenders(8)
    work(crew, units(1, 1, 1))
    assert crew.hired == [0, 1, 2]
    idle = Pretenders(2)
    assert not Foreman(idle).run(units(1), {}, {0: "m"}, lambda made: None)
    assert not idle.hired  # where nothing is wanted, nobody is needed


def test_a_worker_keeps_its_model_and_changes_to_the_one_with_most_to_do():
    todo = [Unit(i, group, frozenset(), frozenset(), cost) for i, (group, cost) in
            enumerate([(0, 9), (0, 1), (1, 5), (1, 5), (2, 6)])]  # fmt: skip
    queue = Queue(todo, {0: "a", 1: "b", 2: "c"})
    assert [queue.take(0).number, queue.take(1).number] == [0, 2]  # a and b have 10 each
    assert [queue.take(1).number, queue.take(1).number] == [3, 4]  # b to its end, then c, for nobody is on it
    assert queue.take(1).number == 1
    assert queue.take(0) is None


@pytest.mark.parametrize("kind", ["lost", "other", None])
def test_a_worker_that_dies_fails_or_hangs_is_replaced_and_only_what_lacks_is_repeated(kind):
    def plan(place, unit, attempt):
        if unit.number != 1 or attempt > 1:
            return Done()
        return None if kind is None else Failed("Traceback\nboom", kind)

    crew = Pretenders(2, plan)
    ledger, aside = work(crew, units(4, 5, 6), patience=50)
    assert sorted(ledger.kept) == sorted(ledger.every)
    assert not aside
    assert len(crew.hired) == (2 if kind is None else 3)  # a hung one is noticed when the other has nothing left to do
    assert [wanted for _, unit, wanted in crew.given if unit == 1] == ([2, 2] if kind is None else [2, 1])


def test_a_poisoned_unit_is_set_aside_after_its_tries_with_its_error(capsys):
    crew = Pretenders(2, lambda place, unit, attempt: Failed("Traceback\nboom", "lost") if unit.number == 1 else Done())
    ledger, aside = work(crew, units(9, 5, 6, 1, 1, 1))
    assert [(unit.number, error) for unit, error in aside] == [(1, "Traceback\nboom")]
    assert crew.attempts[1] == TRIES
    assert {each.key.document for each in ledger.every - set(ledger.kept)} <= {"1"}
    assert capsys.readouterr().err.count("boom; it is replaced") == TRIES


def test_only_failures_without_progress_count():
    (unit,) = units(1)
    queue = Queue([unit], {0: "m"})
    for _ in range(5):
        for _ in range(TRIES - 1):
            queue.failed(queue.take(0), "boom")
        queue.progressed(unit)
    assert not queue.set_aside
    for _ in range(TRIES):
        queue.failed(queue.take(0), "boom")
    assert queue.set_aside == [(unit, "boom")]


def test_what_cannot_be_made_is_not_tried_again():
    crew = Pretenders(1, lambda place, unit, attempt: Failed("NaN", "run") if unit.number == 0 else Done())
    _, aside = work(crew, units(2, 1))
    assert [error for _, error in aside] == ["NaN"]
    assert crew.attempts == {0: 1, 1: 1}
    assert crew.hired == [0]


def test_a_mistake_of_the_user_ends_the_run():
    with pytest.raises(UserError, match="no such data"):
        work(Pretenders(2, born=lambda place: Failed("no such data", "user")), units(1))


def test_a_crew_that_does_not_stay_alive_ends_the_run():
    crew = Pretenders(2, born=lambda place: Failed("cannot start", "lost"))
    with pytest.raises(RunError, match="no worker stays alive: cannot start"):
        work(crew, units(1, 1))
    assert len(crew.hired) == 2 * TRIES


def test_one_bad_place_is_given_up_and_the_others_do_its_work():
    crew = Pretenders(2, born=lambda place: Failed("bad device", "lost") if place == 1 else Ready())
    ledger, aside = work(crew, units(*[5] * 8))
    assert sorted(ledger.kept) == sorted(ledger.every)
    assert not aside
    assert crew.hired.count(1) == TRIES


def test_together_nobody_begins_before_all_are_ready():
    crew = Pretenders(3)
    tell = crew._tell

    def late(delay, place, *messages):
        tell(10 if place == 2 and crew.time < 10 else delay, place, *messages)

    crew._tell = late
    together = Together(crew)  # the third worker is ready after 10 seconds, the others after 1
    ledger, aside = work(together, units(4, 4, 4, 4, 4, 4))
    assert sorted(ledger.kept) == sorted(ledger.every)
    assert not aside
    assert crew.time == 18.0
    assert together.seconds == 8.0
