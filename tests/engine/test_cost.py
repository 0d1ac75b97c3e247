"""What a sample is charged, against what the network saw."""

import math
from dataclasses import replace

import pytest
import torch
from support import HashDenoiser, jobs, run
from toys import KINDS, TableDenoiser, TextDenoiser, Toy, job

from harness.canvas import Edit
from harness.models.exact import chain
from harness.samplers import SamplerInfo, samplers


def budget_of(name, budget=6):
    return budget if samplers[name].info.knob == "steps" else None


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("guidance", [0.0, 1.5])
def test_nfe_is_the_number_of_sequence_forwards_that_the_network_sees(name, guidance):
    model = TextDenoiser()
    todo = jobs(name, 5, budget=budget_of(name), guidance=guidance)
    for one in todo:  # alone, so that the network runs nobody else's rows
        model.calls.clear()
        (made,) = run(model, [one], batch_size=1)
        assert made.cost.nfe == sum(len(call.tokens) for call in model.calls)
        assert made.cost.depth == len(model.calls)
        assert made.cost.nfe == made.cost.depth * (2 if guidance else 1)
        assert made.cost.token_forwards == sum(call.tokens.numel() for call in model.calls)


@pytest.mark.parametrize("name", KINDS)
def test_each_sample_is_charged_as_if_it_ran_alone(name):
    todo = jobs(name, 9, budget=budget_of(name))
    alone = [run(HashDenoiser(), [one])[0].cost for one in todo]
    assert [made.cost for made in run(HashDenoiser(), todo, batch_size=4)] == alone


@pytest.mark.parametrize("name", ["random", "maskgit", "freecorrection", "sequential"])
def test_a_full_batch_charges_every_forward(name):
    model = HashDenoiser()
    made = run(model, jobs(name, 6, budget=budget_of(name)), batch_size=6)
    assert sum(one.cost.nfe for one in made) == sum(model.forwards) == 6 * len(model.forwards)


def test_flops_and_tokens_count_the_prompt_and_no_padding():
    model = TextDenoiser(bucket=16)
    (base,) = jobs("sequential", 1)
    todo = [replace(base, request=replace(base.request, prompt="123", length=4))]
    (made,) = run(model, todo)
    assert model.calls[0].tokens.shape == (1, 16)
    assert made.cost.token_forwards == 4 * 7
    assert made.cost.flops == 4 * 70 + (4 + 3 + 2 + 1)
    assert made.cost.output_tokens == 4


def test_unknown_flops_are_none():
    (base,) = jobs("confidence", 1, budget=4)
    (made,) = run(chain(), [replace(base, request=replace(base.request, condition={}))])
    assert made.cost.flops is None
    assert made.cost.nfe == 4


@pytest.mark.parametrize("epsilon", [0.0, 0.02, 0.3, 1e9])
def test_punt_charges_each_probe_and_at_most_log2_m_of_them(epsilon):
    model = HashDenoiser()
    for made in run(model, jobs("punt", 4, epsilon=epsilon), trace=True):
        masked, most = 16, 0
        for entry in made.trace:
            most += 1 + math.ceil(math.log2(masked))
            masked -= len(entry["commit"])
        assert len(made.trace) <= made.cost.nfe <= most
        if epsilon == 1e9:
            assert made.cost.nfe == 5  # nothing is pruned, so no round is empty


def test_a_sampler_cannot_hide_or_invent_a_call():
    def three_calls(view, ask):
        for _ in range(2):
            ask()
        first = torch.arange(len(view.masked)) == 0
        prediction = ask(view.query(rows=first))
        assert prediction.confidence[0].all()
        assert not prediction.confidence[1:].any()  # neither charged nor answered
        return Edit(view.masked, prediction.top1)

    info = SamplerInfo("", "", knob=None)
    made = run(TextDenoiser(), [job(Toy(three_calls), info, f"{i}") for i in range(3)])
    assert sorted(one.cost.nfe for one in made) == [2, 2, 3]


def test_a_call_without_needed_positions_runs_and_costs_nothing():
    def idle_call(view, ask):
        nothing = ask(view.query(need=torch.zeros_like(view.masked)))
        assert not nothing.draw(view.random("tokens")).any()
        return Edit(view.masked, ask().top1)

    model = TextDenoiser()
    (made,) = run(model, [job(Toy(idle_call), SamplerInfo("", "", knob=None))])
    assert (made.cost.nfe, len(model.calls)) == (1, 1)


def test_nominal_cost_is_that_of_the_published_loop():
    def nominal(name, model, **settings):
        (made,) = run(model, jobs(name, 1, **settings))
        return made.cost.nfe, made.cost.nfe_nominal

    assert nominal("confidence", HashDenoiser(), budget=6) == (6, 6)
    # More steps than positions: LLaDA's loop goes on with nothing to do.
    assert nominal("confidence", HashDenoiser(), budget=40) == (16, 40)
    assert nominal("confidence", HashDenoiser(), budget=40, guidance=1.0) == (32, 80)
    assert nominal("sequential", HashDenoiser()) == (16, 16)


def test_nominal_cost_after_an_eos_stop():
    ends_at_once = TableDenoiser([[0.0, 1.0]] * 8, eos=[1])
    (made,) = run(ends_at_once, jobs("confidence", 1, budget=4))
    assert (made.output.tokens, made.cost.output_tokens) == ((1,), 1)
    assert (made.cost.nfe, made.cost.nfe_nominal) == (1, 4)
    # How long the loop of an adaptive sampler would have been, nobody knows.
    (made,) = run(ends_at_once, jobs("sequential", 1, order="left_to_right"))
    assert (made.cost.nfe, made.cost.nfe_nominal) == (1, None)


def test_guidance_is_one_call_of_both_halves():
    model = TextDenoiser()
    made = run(model, jobs("confidence", 3, budget=4, guidance=2.0), 3)
    assert [len(inputs.tokens) for inputs in model.calls] == [6] * 4
    assert [(one.cost.depth, one.cost.nfe) for one in made] == [(4, 8)] * 3


def test_mixed_guidance_is_charged_row_by_row():
    todo = [one for w in (0.0, 2.0) for one in jobs("confidence", 3, budget=4, guidance=w, cell=f"w{w}")]
    assert [made.cost.nfe for made in run(TextDenoiser(), todo)] == [4] * 3 + [8] * 3
