"""From names and arguments to objects, with every mistake named before anything runs."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import math
import typing
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from harness.errors import UserError, did_you_mean
from harness.models import models
from harness.samplers import samplers
from harness.samplers.base import Real, Whole
from harness.spec import DTYPES, ModelSpec, SamplerSpec, Scalar

_NOT_COMPILED = (("device_map", "auto"), ("layout", "auto"))
"""Arguments with which a network is spread over devices, or is not one of the harness's own."""


def resolve_sampler(name: str, args: Mapping[str, Scalar], where: str) -> SamplerSpec:
    """The sampler's specification with every default written out; raises UserError on any mistake in `args`.

    `protocol` is a parameter of any sampler whose release has quirks, for which `official` stands, or which several
    releases sample with, each by its name.
    """
    given = dict(args)
    if "protocol" in given:
        given = {**_protocol(name, given.pop("protocol"), where), **given}
    sampler = make_sampler(SamplerSpec(name=name, args=given), where)
    return SamplerSpec(name=name, args=dataclasses.asdict(sampler))


def _protocol(name: str, protocol: Scalar, where: str) -> dict[str, Scalar]:
    info = samplers[name].info
    known = dict((*((("official", info.official),) if info.official else ()), *info.protocols))
    if not known:
        raise UserError(f"{where}: sampler {name!r} has no parameter 'protocol': its release has no quirks to follow.")
    if protocol not in known:
        raise UserError(
            f"{where}: sampler {name!r}: protocol is {protocol!r}; it can be {' or '.join(known)}, or left out"
        )
    return dict(known[str(protocol)])


def make_sampler(spec: SamplerSpec, where: str = "sampler") -> Any:
    """The sampler (a frozen dataclass) that the specification describes."""
    cls = samplers[spec.name].load()
    fields = {field.name: field for field in dataclasses.fields(cls)}
    hints = typing.get_type_hints(cls)
    args = {}
    for name, value in spec.args.items():
        if name not in fields:
            raise UserError(f"{where}: sampler {spec.name!r} has no parameter {name!r}.{did_you_mean(name, fields)}")
        label = f"{where}: sampler {spec.name!r}: {name}"
        args[name] = _in_range(_typed(value, _declared(hints[name]), label), fields[name].metadata, label)
    return cls(**args)


def resolve_model(name: str, args: Mapping[str, Scalar], where: str) -> ModelSpec:
    """The model's specification with every default but the device written out."""
    factory = models[name].load()
    parameters = _keyword_parameters(factory)
    typed = _bind(factory, args, f"{where}: model {name!r}")
    defaults = {key: p.default for key, p in parameters.items() if p.default is not inspect.Parameter.empty}
    resolved = {**defaults, **typed}
    resolved.pop("device", None)
    # A dtype that is none is for the model to name.
    dtype = {"dtype": resolved["dtype"]} if resolved.get("dtype") in DTYPES else {}
    return ModelSpec(name=name, args=resolved, **dtype)


def identify(spec: ModelSpec) -> ModelSpec:
    """With the revision that names the model's weights; a checkpoint is checked on the way."""
    naming = models[spec.name].info.revision
    if naming is None:
        return spec
    if isinstance(naming, str):
        module, _, function = naming.partition(":")
        naming = getattr(importlib.import_module(module), function)
    return spec.model_copy(update={"revision": naming(**spec.args)})


def compiled(spec: ModelSpec, where: str) -> ModelSpec:
    """The same model with its network compiled, which rounds otherwise and so is another; UserError if it cannot be."""
    if not models[spec.name].info.compiles:
        able = ", ".join(sorted(entry.name for entry in models if entry.info.compiles))
        raise UserError(f"{where}: --compile: model {spec.name!r} cannot be compiled. Those that can are {able}.")
    for name, value in _NOT_COMPILED:
        if spec.args.get(name) == value:
            raise UserError(f"{where}: --compile: model {spec.name!r} cannot be compiled with {name}={value}.")
    return spec.model_copy(update={"args": {**spec.args, "compile": True}})


def model_arguments(name: str) -> list[str]:
    """What a model takes beside its device."""
    return [argument for argument in _keyword_parameters(models[name].load()) if argument != "device"]


def sampler_arguments(name: str) -> list[str]:
    """The parameters of a sampler."""
    return [field.name for field in dataclasses.fields(samplers[name].load())]


def load_model(spec: ModelSpec, device: str) -> Any:
    """The model itself: a Denoiser, a Network, or both."""
    args = dict(spec.args)
    to_compile = args.pop("compile", False)
    model = models[spec.name].load()(**args, device=device)
    if to_compile and device != "meta":
        from harness.models.compiling import compile_model

        compile_model(model)
    return model


def _bind(factory: Callable[..., Any], args: Mapping[str, Scalar], where: str) -> dict[str, Any]:
    parameters = _keyword_parameters(factory)
    known = [name for name in parameters if name != "device"]
    hints = typing.get_type_hints(factory)
    for name in args:
        if name not in known:
            raise UserError(f"{where} has no argument {name!r}.{did_you_mean(name, known)}")
    missing = [name for name in known if parameters[name].default is inspect.Parameter.empty and name not in args]
    if missing:
        raise UserError(f"{where} needs {', '.join(missing)}")
    return {name: _typed(value, hints.get(name, Any), f"{where}: {name}") for name, value in args.items()}


def _keyword_parameters(factory: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(factory).parameters)


def _declared(hint: Any) -> Any:
    return {Real: float, Whole: int}.get(hint, hint)


def _typed(value: Any, hint: Any, label: str) -> Any:
    """The value as `hint`, without turning words into numbers or numbers into words."""
    try:
        return TypeAdapter(hint, config=ConfigDict(strict=True)).validate_python(value)
    except ValidationError as error:
        raise UserError(f"{label} is {value!r}: {error.errors()[0]['msg'].lower()}") from None


def _in_range(value: Any, metadata: Mapping[str, Any], label: str) -> Any:
    choices, low, high = (metadata.get(key) for key in ("choices", "low", "high"))
    if choices and value not in choices:
        raise UserError(f"{label} is {value!r}.{did_you_mean(str(value), choices)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"{label} is {value!r}; it must be a finite number")
    if isinstance(value, int) and abs(value) >= 2**63:
        raise UserError(f"{label} is {value!r}; it must fit 64 bits")
    if (low is not None and value < low) or (high is not None and value > high):
        bounds = f"at least {low:g}" if high is None else f"between {low:g} and {high:g}"
        raise UserError(f"{label} is {value!r}; it must be {bounds}")
    return value
