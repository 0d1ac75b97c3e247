"""What a user can declare, typed and validated; canonical JSON and the content hashes that name cells."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Literal, get_args

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

Scalar = bool | int | float | str | None

Dtype = Literal["float32", "bfloat16", "float16", "float64"]
DTYPES: tuple[Dtype, ...] = get_args(Dtype)


class Spec(BaseModel):
    """Base of all specifications: immutable, no unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Component(Spec):
    """A registered name with its arguments."""

    name: str
    args: dict[str, Scalar] = Field(default_factory=dict)


class ModelSpec(Component):
    """A model: registered name, arguments, revision of its weights (a content hash or a hub revision), dtype."""

    revision: str | None = None
    dtype: Dtype = "float32"


class TaskSpec(Component):
    """A task: name, settings (`args`), and the scoring protocol."""

    protocol: str | None = None


class SamplerSpec(Component):
    """A sampler: name and all its parameters, defaults written out."""


class Decoding(Spec):
    """How tokens are drawn, whatever the sampler: temperature (0 = arg-max) and guidance `w` (0 = off)."""

    temperature: float = Field(default=1.0, ge=0)
    guidance: float = 0.0


class CellSpec(Spec):
    """Everything that changes the tokens of a cell. Its hash is the cell's generation id.

    task       with those settings only that shape requests, and without a protocol
    data       hash of the task's documents
    semantics  hand-raised versions of the components
    budget     steps for a sampler whose knob is `steps`, else None
    """

    model: ModelSpec
    task: TaskSpec
    data: str
    sampler: SamplerSpec
    decoding: Decoding
    budget: int | None
    seed: int = Field(ge=0, lt=2**32)
    semantics: dict[str, int]

    @property
    def id(self) -> str:
        """16 hex digits."""
        return content_hash(self.model_dump(mode="json"))


class MetricSpec(Spec):
    """A metric as `task.yaml` declares it; accuracies are fractions in [0, 1]."""

    key: str
    label: str
    direction: Literal["higher", "lower"]
    level: Literal["sample", "set"] = "sample"
    unit: str = ""


class TaskFile(Spec):
    """The content of a `task.yaml`.

    code         `task.py:Class`
    models       patterns of model names the task is for (`exact/*`); empty = any
    settings     the task's parameters with their defaults
    scoring      the settings among them that change no request, and so are no part of a cell's identity
    semantics    raised by hand when the same settings begin to give other requests
    scorer       the same for scores
    requires     Python modules the scorer imports
    decoding     default decoding
    """

    name: str
    summary: str
    code: str
    citation: str = ""
    models: list[str] = Field(default_factory=list)
    settings: dict[str, Scalar] = Field(default_factory=dict)
    scoring: list[str] = Field(default_factory=list)
    protocols: list[str] = Field(default_factory=lambda: ["default"], min_length=1)
    metrics: list[MetricSpec] = Field(min_length=1)
    primary: str
    semantics: int = 1
    scorer: int = 1
    requires: list[str] = Field(default_factory=list)
    decoding: Decoding = Decoding()


class Reported(Spec):
    """A number of the literature, to stand beside what a sweep measures: `value` in the metric's own unit, a fraction
    where that is one. `source` says where it is from, and how it was got where the sweep does otherwise."""

    metric: str
    value: float
    source: str


class Sweep(Spec):
    """One block of a suite: every combination of its models, tasks, samplers, budgets, seeds and decodings.

    models, tasks, samplers  names, `name:parameter=value|value` strings, mappings with `name`, or lists of these
    budgets      steps, for samplers whose knob is `steps`; the others take the values of their own knob
    limit        first documents of each task; None = all
    samples      outputs for each document
    temperature  token temperature, one or several; None = the task's own
    guidance     guidance scale, one or several; None = the task's own
    published    numbers of the literature to compare with; they change nothing
    """

    models: Any
    tasks: Any
    samplers: Any
    budgets: list[int] = Field(default_factory=list)
    seeds: list[int] = Field(default_factory=lambda: [0], min_length=1)
    limit: int | None = Field(default=None, ge=1)
    samples: int = Field(default=1, ge=1)
    temperature: float | list[float] | None = None
    guidance: float | list[float] | None = None
    published: list[Reported] = Field(default_factory=list)


PLANNED_ROWS = 32
"""Rows of a batch where nobody says, or before it is known."""


def _checked_size(value: object) -> object:
    if value == "auto" or (type(value) is int and value >= 1):
        return value
    raise PydanticCustomError("batch_size", "must be a whole number of at least 1, or auto")


BatchSize = Annotated[int | Literal["auto"], BeforeValidator(_checked_size)]
"""Rows side by side; `auto`: as many as the device's memory holds."""


class SuiteFile(Spec):
    """The content of a suite's YAML: a declared set of cells. With `compile` the network of every model is compiled."""

    name: str
    description: str = ""
    batch_size: BatchSize = PLANNED_ROWS
    compile: bool = False
    sweeps: list[Sweep] = Field(min_length=1)


def canonical_json(value: Any) -> bytes:
    """The one JSON form of a value: sorted keys, no spaces, UTF-8."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def content_hash(value: Any) -> str:
    """First 16 hex digits of the SHA-256 of the canonical JSON."""
    return hashlib.sha256(canonical_json(value)).hexdigest()[:16]
