"""The first-EOS rule: a row ends once everything up to its first EOS is final; its output ends there."""

from dataclasses import replace

import pytest
from support import jobs, run
from toys import KINDS, TableDenoiser, TextDenoiser

from harness.samplers import samplers

# Position 3 is EOS (token 2) and certain; the positions before it are undecided, the ones after it even more so.
ENDS_AT_3 = [[0.6, 0.4, 0.0]] * 3 + [[0.0, 0.0, 1.0]] + [[0.5, 0.5, 0.0]] * 6


@pytest.mark.parametrize("name", KINDS)
def test_nothing_is_kept_after_the_first_eos(name):
    budget = 5 if samplers[name].info.knob == "steps" else None
    for made in run(TableDenoiser(ENDS_AT_3, eos=[2]), jobs(name, 6, budget=budget)):
        assert len(made.output.tokens) == made.cost.output_tokens == 4
        assert made.output.tokens[3] == 2
        assert set(made.output.tokens[:3]) <= {0, 1}


def test_a_row_stops_when_the_text_is_final_and_not_before():
    model = TableDenoiser(ENDS_AT_3, eos=[2])
    # The EOS is unmasked first, then the three before it: at the fourth step no later position matters.
    (made,) = run(model, jobs("sequential", 1, temperature=0.0), trace=True)
    assert [entry["commit"] for entry in made.trace] == [[3], [0], [1], [2]]
    (made,) = run(model, jobs("sequential", 1, order="left_to_right"), trace=True)
    assert made.cost.nfe == 4


def test_without_an_eos_the_row_runs_to_its_end():
    (made,) = run(TableDenoiser(ENDS_AT_3, eos=[]), jobs("sequential", 1))
    assert (made.cost.nfe, made.cost.output_tokens) == (10, 10)


def test_an_eos_in_the_prompt_ends_nothing():
    model = TextDenoiser(eos=[5])
    model.bias[:, 5] = -100.0
    (base,) = jobs("sequential", 1)
    (made,) = run(model, [replace(base, request=replace(base.request, prompt="155", length=6))])
    assert made.cost.output_tokens == 6


def test_a_sampler_that_re_masks_is_not_stopped():
    # A visible EOS may be masked again: the whole budget runs, and the output is cut all the same.
    (made,) = run(TableDenoiser(ENDS_AT_3, eos=[2]), jobs("freecorrection", 1, budget=8))
    assert made.cost.nfe == 8
    assert len(made.output.tokens) == 4


def test_a_stopped_row_frees_its_slot_for_the_next():
    todo = jobs("sequential", 5, order="left_to_right")
    model = TableDenoiser(ENDS_AT_3, eos=[2])
    made = run(model, todo, batch_size=2)
    assert [one.output for one in made] == [run(model, [one])[0].output for one in todo]
    assert [one.cost.nfe for one in made] == [4] * 5
