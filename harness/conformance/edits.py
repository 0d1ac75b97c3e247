"""What every single edit of a sample must keep to, read from the record of all of them."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from harness.conformance.models import Windowed
from harness.conformance.probe import LENGTH, Failed, NotApplicable, Probe, Step


def _nowhere(probe: Probe, wrong: Callable[[Step], Tensor | None]) -> None:
    """Raise Failed at the first step whose `wrong` (1, L) bool is set anywhere."""
    for record in probe.records:
        for number, step in enumerate(record.steps):
            found = wrong(step)
            if found is not None and found.any():
                raise Failed(f"{record}: step {number}, positions {found[0].nonzero().flatten().tolist()}")


def _written(step: Step) -> Tensor:
    return step.edit.commit if step.edit.overwrite is None else step.edit.commit | step.edit.overwrite


def prompt(probe: Probe) -> None:
    """The prompt and padding are never touched."""

    def outside(step: Step) -> Tensor:
        touched = _written(step) if step.edit.remask is None else _written(step) | step.edit.remask
        return touched & ~step.before.editable

    _nowhere(probe, outside)


def commits(probe: Probe) -> None:
    """Only masked positions are committed."""
    _nowhere(probe, lambda step: step.edit.commit & ~step.before.masked)


def mask_id(probe: Probe) -> None:
    """The mask is never committed as a token."""
    _nowhere(probe, lambda step: _written(step) & (step.edit.tokens == step.before.mask_id))


def vocabulary(probe: Probe) -> None:
    """Nothing outside the vocabulary is committed."""

    def outside(step: Step) -> Tensor:
        return _written(step) & ((step.edit.tokens < 0) | (step.edit.tokens >= step.before.vocab_size))

    _nowhere(probe, outside)


def remasks(probe: Probe) -> None:
    """Tokens are masked again only if that is declared, and only where there are any."""
    allowed = probe.info.may_remask

    def wrong(step: Step) -> Tensor | None:
        return None if step.edit.remask is None else step.edit.remask & ~(step.before.visible & allowed)

    _nowhere(probe, wrong)


def overwrites(probe: Probe) -> None:
    """Tokens are replaced only if that is declared, and only where there are any."""
    allowed = probe.info.may_overwrite

    def wrong(step: Step) -> Tensor | None:
        return None if step.edit.overwrite is None else step.edit.overwrite & ~(step.before.visible & allowed)

    _nowhere(probe, wrong)


def complete(probe: Probe) -> None:
    """Every sample ends, with no mask left."""
    for record in probe.records:
        if record.error is not None:
            raise Failed(f"{record}: {type(record.error).__name__}: {record.error}")
        assert record.made is not None
        left = [i for i, token in enumerate(record.made.output.tokens) if token == record.steps[-1].before.mask_id]
        if left or len(record.made.output.tokens) != LENGTH:
            raise Failed(f"{record}: masks at {left}, {len(record.made.output.tokens)} of {LENGTH} tokens")


def budget(probe: Probe) -> None:
    """The number of steps is at most the budget."""
    if probe.info.knob != "steps":
        raise NotApplicable(f"the knob is {probe.info.knob!r}")
    for record in probe.records:
        if len(record.steps) > (record.setting.budget or 0):
            raise Failed(f"{record}: {len(record.steps)} steps")


def calls(probe: Probe) -> None:
    """A step makes at most the declared number of model calls, each of one sequence-forward."""
    if probe.info.calls is None:
        raise NotApplicable("the number varies")
    for record in probe.records:
        for number, step in enumerate(record.steps):
            # A step that advances the schedule by n stands for n of the published loop.
            advance = 1 if step.edit.advance is None else max(int(step.edit.advance), 1)
            if step.calls > probe.info.calls * advance:
                raise Failed(f"{record}: step {number} made {step.calls} calls; declared are {probe.info.calls}")
        steps = len(record.steps) if record.setting.budget is None else record.setting.budget
        if record.made is not None and record.made.cost.nfe > steps * probe.info.calls:
            raise Failed(f"{record}: {record.made.cost.nfe} forwards; {steps} steps of {probe.info.calls} declared")


def impossible(probe: Probe) -> None:
    """A token of logit −inf is never committed."""
    model = probe.variant(Windowed)
    for record in probe.records_on(model, probe.ends):
        if record.error is not None:
            raise record.error
        for step in record.steps:
            wrong = _written(step) & model.impossible[step.before.positions, step.edit.tokens.clamp(min=0)]
            if wrong.any():
                raise Failed(f"{record}: positions {wrong[0].nonzero().flatten().tolist()}")


CHECKS = (prompt, commits, mask_id, vocabulary, remasks, overwrites, complete, budget, calls, impossible)
