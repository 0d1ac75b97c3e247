"""Answers that serve several rows change no token, no cost and no trace, and spare what they are said to spare."""

import pytest
import torch
from support import HashDenoiser, jobs

from harness.engine.engine import Engine
from harness.engine.sharing import Forwards, Sharing
from harness.samplers import samplers

RUNNABLE = [each.name for each in samplers if each.info.writes and each.info.needs <= {"positions"}]


def make(model, todo, batch_size, sharing=None):
    """Output, cost and trace of each job."""
    made = Engine(model, batch_size, True, sharing).generate(todo)
    return {id(one.job): (one.output, one.cost, one.trace) for one in made}


def sweep(names, count, budgets, **settings):
    """Jobs of each sampler, at each budget where the knob is `steps`, else at the ends of its own sweep."""
    todo = []
    for name in names:
        info = samplers[name].info
        if info.knob == "steps":
            values = [{"budget": budget} for budget in budgets]
        else:
            values = [{info.knob: value} for value in (info.sweep[0], info.sweep[-1])] if info.sweep else [{}]
        for i, value in enumerate(values):
            todo += jobs(name, count, cell=f"{name} {i}", **value, **settings)
    return todo


def shared(todo, batch_size, limit=None):
    """What is made with sharing, which must be what is made without; the count, and the calls without and with."""
    model, sharing = HashDenoiser(), Sharing(torch.device("cpu"), limit)
    alone = make(model, todo, batch_size)
    before, shapes = len(model.forwards), set(model.forwards)
    assert make(model, todo, batch_size, sharing) == alone
    assert set(model.forwards) == shapes
    charged, computed = sharing.forwards
    assert charged == sum(cost.nfe for _, cost, _ in alone.values())
    return Forwards(charged, computed), (before, len(model.forwards) - before)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("guidance", [0.0, 1.5])
def test_all_samplers_side_by_side_make_what_they_make_alone(temperature, guidance):
    assert {"punt", "punt_batched", "klass", "credit", "freedave", "rcr", "remdm", "eb"} <= set(RUNNABLE)
    todo = sweep(RUNNABLE, 3, (2, 5), temperature=temperature, guidance=guidance)
    forwards, calls = shared(todo, 3)
    assert forwards.computed < forwards.charged
    assert calls[1] < calls[0]


def test_first_canvases_are_computed_once():
    # Two samplers, three documents, two budgets. Beside the three first canvases only the second step of budget 2 is
    # asked, and there the samplers have unmasked other positions.
    todo = sweep(["random", "confidence"], 3, (1, 2))
    assert shared(todo, 3) == (Forwards(18, 9), (6, 3))


def test_guidance_counts_both_halves():
    todo = sweep(["random", "confidence"], 3, (1, 2), guidance=1.5)
    assert shared(todo, 3) == (Forwards(36, 18), (6, 3))
    other = [*todo, *sweep(["random", "confidence"], 3, (1, 2), guidance=0.5)]
    forwards, _ = shared(other, 3)
    assert forwards == Forwards(72, 36)  # another scale shares nothing with this one


def test_rows_that_coincide_to_the_end_are_computed_once():
    todo = [one for cell in "abc" for one in jobs("confidence", 2, budget=4, temperature=0.0, cell=cell)]
    assert shared(todo, 1)[0] == Forwards(24, 8)
    # Side by side at first, the three of a document ask at the same time: nothing is gained by waiting for one of them.
    assert shared(todo, 6)[0] == Forwards(24, 24)


def test_one_step_asks_only_what_the_first_of_many_asks():
    todo = [one for n in (16, 1) for one in jobs("confidence", 2, budget=n, temperature=0.0, cell=f"{n}")]
    assert shared(todo, 2) == (Forwards(34, 32), (17, 16))


def test_probes_go_on_for_the_whole_batch():
    # The first question of a step may be served for all rows; what follows it depends on the threshold.
    todo = sweep(["punt"], 4, (), temperature=0.0)
    forwards, _ = shared(todo, 4)
    assert forwards.computed < forwards.charged


def test_rows_that_begin_alone_are_only_counted():
    todo, sharing = jobs("random", 6, budget=2), Sharing(torch.device("cpu"))
    model = HashDenoiser()
    make(model, todo, 6, sharing)
    assert sharing.forwards == Forwards(12, 12)
    assert not sharing.useful


def test_answers_are_dropped_where_there_are_too_many():
    todo = sweep(["random", "confidence"], 3, (1, 2))
    assert shared(todo, 3, limit=0) == (Forwards(18, 18), (6, 6))
    sharing = Sharing(torch.device("cpu"), limit=8)
    one, two, three = (torch.full((1, 1), float(i)) for i in range(3))
    sharing.keep({b"1": one, b"2": two})
    assert sharing.take([b"1"]).tolist() == [[0.0]]
    sharing.keep({b"3": three})
    assert [key in sharing for key in (b"1", b"2", b"3")] == [True, False, True]  # 2 was not used for longest


def test_a_resumed_run_makes_the_rest_the_same():
    model = HashDenoiser()
    todo = sweep(["random", "confidence", "klass"], 5, (2, 5), temperature=0.0)
    whole = make(model, todo, 4, Sharing(torch.device("cpu")))
    done = {id(one) for one in todo[::3]}
    engine = Engine(model, 4, True, Sharing(torch.device("cpu")))
    rest = {id(one.job): (one.output, one.cost, one.trace) for one in engine.generate(todo, lambda j: id(j) in done)}
    assert rest == {key: value for key, value in whole.items() if key not in done}


def test_what_the_network_reads_beside_tokens_keeps_questions_apart():
    # The labels of HashDenoiser differ by document, its first canvases do not.
    todo = [one for cell in "ab" for one in jobs("random", 3, budget=1, cell=cell)]
    assert shared(todo, 1)[0] == Forwards(6, 3)
