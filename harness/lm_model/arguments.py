"""lm-eval's `model_args`, which are one list of names, told apart: the model's, the sampler's, and those of both."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.components import identify, model_arguments, resolve_model, resolve_sampler, sampler_arguments
from harness.errors import UserError, did_you_mean
from harness.models import models
from harness.samplers import samplers
from harness.spec import ModelSpec, SamplerSpec, Scalar

log = logging.getLogger(__name__)

_WHERE = "model_args"
_OTHER_NAMES = {"block_length": "block"}
"""What others call a parameter."""


@dataclass(frozen=True)
class Setting:
    """Everything that changes what is answered. `budget` and `temperature` are None where nothing says them.

    max_gen_toks  tokens to write where a task does not say
    """

    model: ModelSpec
    sampler: SamplerSpec
    likelihood: SamplerSpec
    budget: int | None
    temperature: float | None
    guidance: float
    seed: int
    max_gen_toks: int

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        specs = {name: getattr(self, name).model_dump(mode="json") for name in ("model", "sampler", "likelihood")}
        return {**vars(self), **specs}


def read_setting(arguments: Mapping[str, Scalar]) -> Setting:
    """The setting of `model=…,sampler=…` and their arguments; raises UserError for what is missing or not known.

    A name that model and sampler both have is written `model.NAME` or `sampler.NAME`.
    """
    rest = {_OTHER_NAMES.get(name, name): value for name, value in arguments.items()}
    model, sampler = _name(rest, "model"), _name(rest, "sampler")
    shared = {name: rest.pop(name, default) for name, default in _SHARED.items()}
    owners = {"model": set(model_arguments(model)), "sampler": set(sampler_arguments(sampler))}
    given: dict[str, dict[str, Scalar]] = {"model": {}, "sampler": {}}
    for name, value in rest.items():
        owner, plain = _owner(name, owners)
        given[owner][plain] = value
    if "chat" in owners["model"]:  # whether there is a chat template is said by lm-eval's --apply_chat_template
        given["model"].setdefault("chat", False)
    info = samplers[sampler].info
    if info.estimates:
        raise UserError(f"{_WHERE}: sampler is {sampler!r}, which does not write; likelihoods take draws=N instead")
    if not (info.generator or models[model].info.canvas):
        raise UserError(f"{_WHERE}: model {model!r} is no token canvas, which sampler {sampler!r} needs")
    budget = _whole(shared["steps"], "steps", 1)
    if info.knob == "steps" and budget is None:
        raise UserError(f"{_WHERE}: sampler {sampler!r} takes a number of steps: give steps=128")
    if info.knob != "steps" and budget is not None:
        log.warning("sampler %s takes no number of steps: steps=%d is left out", sampler, budget)
    return Setting(
        model=identify(resolve_model(model, given["model"], _WHERE)),
        sampler=resolve_sampler(sampler, given["sampler"], _WHERE),
        likelihood=resolve_sampler("likelihood", {"draws": shared["draws"]}, _WHERE),
        budget=budget if info.knob == "steps" else None,
        temperature=_number(shared["temperature"], "temperature"),
        guidance=_number(shared["guidance"], "guidance") or 0.0,
        seed=_whole(shared["seed"], "seed", 0) or 0,
        max_gen_toks=_whole(shared["max_gen_toks"], "max_gen_toks", 1) or 256,
    )


_SHARED: dict[str, Scalar] = {
    "steps": None,
    "draws": 128,
    "temperature": None,
    "guidance": None,
    "seed": None,
    "max_gen_toks": None,
}


def _name(arguments: dict[str, Scalar], kind: str) -> str:
    name = arguments.pop(kind, None)
    if not isinstance(name, str):
        raise UserError(f"{_WHERE}: {kind} is missing; write model=llada,sampler=confidence,steps=128")
    return name


def _owner(name: str, owners: Mapping[str, set[str]]) -> tuple[str, str]:
    kind, dot, plain = name.partition(".")
    if dot and kind in owners:
        return kind, plain
    having = [kind for kind, names in owners.items() if name in names]
    if len(having) == 2:
        raise UserError(f"{_WHERE}: both model and sampler have {name!r}; write model.{name} or sampler.{name}")
    if not having:
        known = set().union(*owners.values(), _SHARED)
        raise UserError(f"{_WHERE}: neither model nor sampler has {name!r}.{did_you_mean(name, known)}")
    return having[0], name


def _whole(value: Scalar, name: str, low: int) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value < 2**32:
        raise UserError(f"{_WHERE}: {name} is {value!r}; it must be a whole number of at least {low}")
    return value


def _number(value: Scalar, name: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e6:
        raise UserError(f"{_WHERE}: {name} is {value!r}; it must be a number")
    return float(value)
