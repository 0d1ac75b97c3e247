"""What a figure's YAML file may hold."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from harness.errors import UserError
from harness.spec import Spec

AxisName = Literal[
    "nfe", "nfe_nominal", "depth", "token_forwards", "flops", "output_tokens", "seconds", "joules", "steps"
]


class Curves(Spec):
    """Quality against each of some axes of cost: a row of panels for each axis."""

    kind: Literal["curves"]
    axes: list[AxisName] = Field(min_length=1)


class Pareto(Spec):
    """Every setting of every sampler, and the frontier."""

    kind: Literal["pareto"]
    axis: AxisName = "nfe"


class Knob(Spec):
    """Quality and cost along the knob of one sampler, and the quality of `baselines` at the same cost."""

    kind: Literal["knob"]
    sampler: str
    baselines: list[str] = Field(min_length=1)


class Gain(Spec):
    """What a sampler gains over baselines at the same cost, along the `lengths` of the form.

    setting  that of the sampler, as the leaderboard names it
    """

    kind: Literal["gain"]
    sampler: str
    baselines: list[str] = Field(min_length=1)
    setting: str


class Order(Spec):
    """When each position gets its last token, for every setting of the suite."""

    kind: Literal["order"]


class Activity(Spec):
    """What each step commits and masks again, for `settings` as the leaderboard names them, or for all."""

    kind: Literal["activity"]
    settings: list[str] = Field(default_factory=list)


class Wins(Spec):
    """Paired differences between all pairs of samplers, averaged over the costs that they share."""

    kind: Literal["wins"]


class Effects(Spec):
    """How much the choice of the sampler matters: best minus worst in each task, with its interval."""

    kind: Literal["effects"]


class Groups(Spec):
    """The `groups` of the form as curves: a column of panels for each sampler and a row for each metric.

    panels  `groups`: samplers are the curves instead, with a column for each group, and a row has one scale
    """

    kind: Literal["groups"]
    axis: AxisName = "nfe"
    panels: Literal["samplers", "groups"] = "samplers"


class Training(Spec):
    """Numbers of the form's `logs` while the models were trained.

    axis     name of the horizontal one in the logs, and what to call it
    numbers  those on the vertical ones, and what to call them; a panel each
    """

    kind: Literal["training"]
    axis: dict[str, str] = Field(min_length=1, max_length=1)
    numbers: dict[str, str] = Field(min_length=1)


Drawing = Annotated[
    Curves | Pareto | Knob | Gain | Order | Activity | Wins | Effects | Groups | Training, Field(discriminator="kind")
]


class PublishedNumber(Spec):
    """What the literature reports: a hollow marker in the panels of this task and axis, named with its source."""

    task: str
    sampler: str
    axis: AxisName = "nfe"
    cost: float = Field(gt=0)
    value: float
    source: str


class Structure(Spec):
    """The positions of a model's output that carry its structure, counted from 0."""

    model: str
    name: str
    positions: list[int] = Field(min_length=1)


class Lengths(Spec):
    """How long the outputs are: in tokens, for each value of an argument of the model or the task."""

    argument: str
    tokens: dict[int, int] = Field(min_length=2)


class Corrections(Spec):
    """A measurement by `bench corrections`, instead of a suite."""

    models: list[str] = Field(min_length=1)
    mask_ratios: list[float] = Field(min_length=1)
    error_shares: list[float] = Field(min_length=1)
    seeds: list[int] = Field(min_length=1)
    documents: int = Field(ge=2)
    steps: int = Field(ge=1)


class Form(Spec):
    """What is run for a figure, and what its drawings show of it.

    suite      path of a suite, from the folder of the figure's file
    metrics    task to the keys of the metrics that are drawn, one or several, where that is not the primary one
    models     model to what it is called, for models whose curves share a panel
    grids      task to height and width, where the positions are a picture
    groups     name to models, such as `digits_dit:weights=a|b`, that differ by the seed of their training alone
    logs       the same names to their logs, from the folder of the figure's file
    """

    suite: str | None = None
    corrections: Corrections | None = None
    metrics: dict[str, str | list[str]] = Field(default_factory=dict)
    models: dict[str, str] = Field(default_factory=dict)
    grids: dict[str, list[int]] = Field(default_factory=dict)
    structure: list[Structure] = Field(default_factory=list)
    lengths: Lengths | None = None
    groups: dict[str, str] = Field(default_factory=dict)
    logs: dict[str, list[str]] = Field(default_factory=dict)
    published: list[PublishedNumber] = Field(default_factory=list)


class FigureFile(Spec):
    """The content of a figure's YAML file.

    summary   one line on what it shows
    paper     the paper that has the figure
    figure    which figure of it; "" where it has none like it
    forms     `mini`, on built-in models; `paper`, on the models of the paper
    drawings  each becomes a picture; none for a measurement of corrections, which has its own
    """

    name: str
    summary: str
    paper: str
    figure: str = ""
    forms: dict[Literal["mini", "paper"], Form] = Field(min_length=1)
    drawings: list[Drawing] = Field(default_factory=list)

    def check(self, where: str) -> None:
        """Raise UserError, naming the file, for what no single key shows to be wrong."""
        for name, form in self.forms.items():
            if (form.suite is None) == (form.corrections is None):
                raise UserError(f"{where}: forms.{name} has to have one of 'suite' and 'corrections'")
            if form.suite is not None and not self.drawings:
                raise UserError(f"{where}: key 'drawings' is missing: what is to be drawn of forms.{name}")
        kinds = [drawing.kind for drawing in self.drawings]
        if len(set(kinds)) < len(kinds):
            raise UserError(f"{where}: drawings: a kind is there twice in {', '.join(kinds)}; make it two figures")
