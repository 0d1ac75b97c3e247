"""What holds of every registered sampler, whatever the canvases, the budgets and the parameters."""

import dataclasses

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import run
from toys import TextDenoiser, job

from harness.components import make_sampler
from harness.engine.loop import CanvasEngine
from harness.samplers import samplers
from harness.samplers.base import is_per_row
from harness.spec import SamplerSpec

MODELS = [TextDenoiser(bucket=bucket, eos=eos) for bucket in (1, 8) for eos in ((), (2,))]
ENTRIES = {entry.name: entry for entry in samplers if entry.info.needs <= MODELS[0].capabilities}


def fields_of(name):
    return {field.name: field for field in dataclasses.fields(ENTRIES[name].load())}


@st.composite
def arguments(draw, name):
    """Legal values of some parameters: choices, bounds, and what lies between."""
    args = {}
    for field in fields_of(name).values():
        low, high, choices = (field.metadata.get(key) for key in ("low", "high", "choices"))
        if (not is_per_row(field) and not choices) or not draw(st.booleans()):
            continue
        if choices:
            args[field.name] = draw(st.sampled_from(choices))
        elif isinstance(field.default, int) and low is not None:
            args[field.name] = draw(st.integers(int(low), int(low) + 12 if high is None else int(high)))
        elif isinstance(field.default, float) and low is not None:
            args[field.name] = draw(st.floats(low, low + 3 if high is None else high))
    return args


@st.composite
def todo_of(draw, name):
    """A handful of jobs that may share a batch: one set of shared parameters, everything else row by row."""
    info, shared = ENTRIES[name].info, draw(arguments(name))
    whole = st.integers(0, 2**32 - 1)
    made = []
    for i in range(draw(st.integers(1, 4))):
        mine = {key: v for key, v in draw(arguments(name)).items() if is_per_row(fields_of(name)[key])}
        sampler = make_sampler(SamplerSpec(name=name, args={**shared, **mine}))
        request = {
            "prompt": draw(st.text("01345", max_size=4)),
            "length": draw(st.integers(1, 12)),
            "condition": {"label": i % 3},
        }
        row = {"seed": draw(whole), "temperature": draw(st.sampled_from([0.0, 0.5, 1.0])), "sample": i}
        budget = draw(st.integers(1, 15)) if info.knob == "steps" else None
        made.append(job(sampler, info, f"{i}", budget=budget, **request, **row))
    return made


@pytest.mark.parametrize("name", ENTRIES)
def test_rows_are_complete_kept_apart_and_within_budget(name):
    @settings(max_examples=6, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(MODELS), todo_of(name))
    def check(model, todo):
        model.calls.clear()
        made = run(model, todo, batch_size=3)
        for one in made:
            budget, length = one.job.budget, one.job.request.length
            tokens = one.output.tokens
            assert model.mask_id not in tokens
            assert len(tokens) == length or tokens[-1] in model.eos_ids
            assert len(tokens) == one.cost.output_tokens
            if budget is not None and ENTRIES[name].info.cost == "1 call":
                assert one.cost.depth <= budget
        prompts = {tuple(map(int, one.request.prompt)) for one in todo}
        for call in model.calls:
            # Nobody writes into a prompt: what the model reads begins with one of them.
            assert all(any(tuple(row[: len(p)].tolist()) == p for p in prompts) for row in call.tokens)
        alone = [next(CanvasEngine(model, 1).generate([one])) for one in todo]
        assert [one.output for one in made] == [one.output for one in alone]
        assert [one.cost for one in made] == [one.cost for one in alone]

    check()


@pytest.mark.parametrize("entry", list(samplers), ids=lambda entry: entry.name)
def test_declarations(entry):
    cls, info = entry.load(), entry.info
    fields = {field.name: field for field in dataclasses.fields(cls)}
    assert cls.__dataclass_params__.frozen
    assert cls.__doc__
    assert info.summary
    assert info.citation
    assert all(field.metadata.get("doc") for field in fields.values())
    default = make_sampler(SamplerSpec(name=entry.name))
    assert make_sampler(SamplerSpec(name=entry.name, args=dataclasses.asdict(default))) == default
    if info.knob in (None, "steps"):
        assert info.sweep == ()
    else:
        assert is_per_row(fields[info.knob])
        assert len(info.sweep) > 1
        for value in info.sweep:  # each is legal
            make_sampler(SamplerSpec(name=entry.name, args={info.knob: value}))


@pytest.mark.parametrize("name", ENTRIES)
def test_samplers_keep_nothing_on_themselves_and_draw_from_no_global_generator(name):
    info = ENTRIES[name].info
    sampler = make_sampler(SamplerSpec(name=name))
    before, state = dataclasses.asdict(sampler), torch.random.get_rng_state()
    run(MODELS[0], [job(sampler, info, "d", budget=3 if info.knob == "steps" else None)])
    assert dataclasses.asdict(sampler) == before
    assert vars(sampler) == before
    assert torch.equal(torch.random.get_rng_state(), state)
