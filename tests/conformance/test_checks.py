"""Each check of the conformance suite refuses a sampler made to break its rule, and nothing but such a sampler."""

from dataclasses import dataclass, replace

import pytest
import torch

from harness.canvas import Edit
from harness.conformance import CHECKS, check_sampler
from harness.prediction import Query
from harness.samplers import SamplerInfo, samplers
from harness.samplers.base import param
from harness.samplers.schedule import top

CLAIM = {check.__name__: check.__doc__.split("\n")[0].rstrip(".") for check in CHECKS}
PLAIN = SamplerInfo("summary", "citation", knob=None)
STEPS = SamplerInfo("summary", "citation")


@dataclass(frozen=True)
class OneByOne:
    """A good sampler: the first mask, then the next."""

    def init(self, canvas):
        return {}

    def step(self, view, ask):
        return self.change(self.edit(view, ask), view, ask)

    def edit(self, view, ask):
        first = top(torch.ones_like(view.canvas.step), -view.canvas.positions.double(), view.masked)
        return Edit(first, ask().draw(view.random("tokens")))

    def change(self, edit, view, ask):
        return edit


def broken(change, base=OneByOne, **members):
    """`OneByOne` with its edit changed by `change(edit, view, ask)`."""
    return dataclass(frozen=True)(type("Broken", (base,), {"change": lambda self, *args: change(*args), **members}))


def _wandering(edit, view, ask):
    return Edit(view.masked, (ask().top1 + torch.randint(10, ())) % 10)


def _neighbours(edit, view, ask):
    tokens = edit.tokens.roll(1, dims=0) if len(edit.tokens) > 1 else edit.tokens
    return replace(edit, tokens=torch.where(edit.commit, tokens % view.canvas.mask_id, edit.tokens))


def _column(edit, view, ask):
    """Depends on the width of the canvas."""
    return replace(edit, tokens=(edit.tokens + view.canvas.tokens.shape[1]) % view.canvas.mask_id)


def _blind(edit, view, ask):
    return replace(edit, tokens=edit.tokens * 0 + view.canvas.step[:, None] % view.canvas.mask_id)


def _double(edit, view, ask):
    ask()
    return edit


def _asks_quietly(self, view, ask):
    """Hides the NaN of the model by not asking it."""
    first = top(torch.ones_like(view.canvas.step), -view.canvas.positions.double(), view.masked)
    return Edit(first, (view.random("tokens") * view.canvas.mask_id).long())


def _guided(edit, view, ask):
    return replace(edit, tokens=torch.where((view.canvas.guidance > 0)[:, None], edit.tokens * 0, edit.tokens))


@dataclass(frozen=True)
class Undocumented(OneByOne):
    amount: float = 1.0


@dataclass(frozen=True)
class OutOfRange(OneByOne):
    amount: float = param(2.0, "amount", low=0.0, high=1.0)


@dataclass
class Thawed:
    """Not frozen."""

    init, step, edit, change = OneByOne.init, OneByOne.step, OneByOne.edit, OneByOne.change


def _state(self, canvas):
    return {"total": torch.zeros(())}


def _again(edit, view, ask):
    mine = view.visible & (view.canvas.step == 3)[:, None]
    return replace(edit, remask=mine & (mine.cumsum(dim=1) == 1))


def _over(edit, view, ask):
    return replace(edit, overwrite=view.visible & (view.canvas.step == 3)[:, None])


def _attention(edit, view, ask):
    ask(Query(view.canvas.tokens, view.masked, outputs=frozenset({"attention"})))
    return edit


def _capacity(edit, view, ask):
    if view.canvas.editable.sum() == 1:
        raise IndexError("top-2 of one position")
    return edit


def _short(self, view, ask):
    return Edit(view.masked & False, ask().top1)


BROKEN = {
    "source": (OneByOne, replace(PLAIN, citation=" ")),
    "frozen": (Thawed, PLAIN),
    "parameters": (Undocumented, PLAIN),
    "parameters, range": (OutOfRange, PLAIN),
    "knob": (OneByOne, replace(PLAIN, knob="tau", sweep=(1.0,))),
    "sweep": (OutOfRange, replace(PLAIN, knob="amount", sweep=(3.0,))),
    "sweep, none": (OutOfRange, replace(PLAIN, knob="amount")),
    "needs": (broken(_attention), replace(PLAIN, calls=None)),
    "needs, unknown": (OneByOne, replace(PLAIN, needs=frozenset({"telepathy"}))),
    "state": (broken(lambda e, v, a: replace(e, state=v.state), init=_state), PLAIN),
    "prompt": (broken(lambda e, v, a: replace(e, commit=e.commit | ~v.canvas.editable)), PLAIN),
    "commits": (broken(lambda e, v, a: replace(e, commit=e.commit | v.visible)), PLAIN),
    "mask_id": (broken(lambda e, v, a: replace(e, tokens=e.tokens * 0 + v.canvas.mask_id)), PLAIN),
    "vocabulary": (broken(lambda e, v, a: replace(e, tokens=e.tokens + v.canvas.vocab_size)), PLAIN),
    "vocabulary, negative": (broken(lambda e, v, a: replace(e, tokens=e.tokens - v.canvas.vocab_size)), PLAIN),
    "remasks": (broken(_again), PLAIN),
    "overwrites": (broken(_over), PLAIN),
    "complete": (broken(lambda e, v, a: e, step=_short), PLAIN),
    "budget": (broken(lambda e, v, a: replace(e, advance=torch.zeros_like(v.canvas.step))), STEPS),
    "calls": (broken(_double), PLAIN),
    "impossible": (broken(_blind), PLAIN),
    "deterministic": (broken(_wandering), PLAIN),
    "seeds": (broken(lambda e, v, a: replace(e, tokens=a().top1)), replace(PLAIN, calls=None)),
    "independent": (broken(_neighbours), PLAIN),
    "padding": (broken(_column), PLAIN),
    "capacity": (broken(_capacity), PLAIN),
    "nan": (broken(None, step=_asks_quietly), PLAIN),
    "end_of_text": (broken(_again), PLAIN),
    "guidance": (broken(_guided), PLAIN),
}


@pytest.fixture
def verdicts(monkeypatch):
    """`verdicts(sampler, info)`: check name to verdict."""
    monkeypatch.setattr(samplers, "_entries", dict(samplers._entries))

    def run(cls, info):
        samplers.add("under test", cls, info, origin="test")
        found = {verdict.claim: verdict for verdict in check_sampler("under test")}
        return {name: found[claim] for name, claim in CLAIM.items()}

    return run


def test_a_good_sampler_passes(verdicts):
    found = verdicts(OneByOne, PLAIN)
    assert not [one for one in found.values() if one.outcome == "fail"]
    assert {name for name, one in found.items() if one.outcome == "n/a"} == {"sweep", "state", "budget"}


@pytest.mark.parametrize("rule", BROKEN)
def test_each_check_refuses_what_breaks_its_rule(verdicts, rule):
    found = verdicts(*BROKEN[rule])
    assert found[rule.split(",")[0]].outcome == "fail", found


def test_there_is_a_broken_sampler_for_every_check():
    assert {rule.split(",")[0] for rule in BROKEN} == set(CLAIM)
    assert len(CLAIM) == len(CHECKS) >= 25
