"""From results to pictures, each with the table of what it shows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from harness.analysis.curves import Panel
from harness.analysis.figures import spec
from harness.analysis.figures.results import Results
from harness.analysis.leaderboard import frontier
from harness.analysis.matched import along_knob, gains
from harness.analysis.paired.estimators import Estimate
from harness.analysis.paired.ranking import Ranking, rank_all
from harness.analysis.plots import Published, assign_styles, overview_figure, plottable
from harness.analysis.plots.effects import EffectRow, effect_figure
from harness.analysis.plots.looks import share_scale, styles_of
from harness.analysis.plots.pareto import pareto_figure
from harness.analysis.plots.settings import gain_figure, knob_figure
from harness.analysis.plots.traces import ActivityPanel, OrderPanel, activity_figure, order_figure
from harness.analysis.plots.training import training_figure
from harness.analysis.plots.wins import WinPanel, win_figure
from harness.analysis.traces import Trace, activity, commit_times, mean_times, precedence
from harness.analysis.training import along_training
from harness.analysis.units import Units
from harness.errors import UserError


class Drawn(NamedTuple):
    """A picture and the numbers in it."""

    figure: Figure
    numbers: pd.DataFrame


def draw(drawing: Any, form: spec.Form, results: Results) -> Drawn:
    """One drawing of a figure; raises UserError where the results have nothing that it could show."""
    makers: dict[str, Callable[[Any, spec.Form, Results], Drawn]] = {
        "curves": _curves,
        "pareto": _pareto,
        "knob": _knob,
        "gain": _gain,
        "order": _order,
        "activity": _activity,
        "wins": _wins,
        "effects": _effects,
        "groups": _groups,
        "training": _training,
    }
    return makers[drawing.kind](drawing, form, results)


def _curves(drawing: spec.Curves, form: spec.Form, results: Results) -> Drawn:
    published = [Published(**number.model_dump()) for number in form.published]
    rows = [_shown(results.panels(axis), drawing) for axis in drawing.axes]
    shown = [panel for row in rows for panel in row]
    columns = len(rows[0]) if len(rows) > 1 else None
    figure = overview_figure(shown, assign_styles(shown), columns, published)
    return Drawn(figure, pd.concat([panel.points.assign(axis=panel.axis) for panel in shown], ignore_index=True))


def _pareto(drawing: spec.Pareto, form: spec.Form, results: Results) -> Drawn:
    shown = _shown(results.panels(drawing.axis), drawing)
    numbers = []
    for panel in shown:
        best = frontier(plottable(panel.points), panel.metric.direction == "higher")
        numbers.append(panel.points.assign(frontier=panel.points.index.isin(best.index)))
    return Drawn(pareto_figure(shown, assign_styles(shown)), pd.concat(numbers, ignore_index=True))


def _knob(drawing: spec.Knob, form: spec.Form, results: Results) -> Drawn:
    panels = _shown(results.panels(), drawing)
    rows = [(panel, along_knob(panel, drawing.sampler, drawing.baselines)) for panel in panels]
    rows = [(panel, found) for panel, found in rows if not found.empty]
    if not rows:
        raise UserError(f"drawing 'knob': no panel has the curve {drawing.sampler!r}")
    (knob,) = {str(name) for name in results.table.loc[results.table["sampler"] == drawing.sampler, "knob"]}
    figure = knob_figure(rows, drawing.sampler, knob, drawing.baselines, assign_styles(panels))
    numbers = [found.assign(task=panel.task, model=panel.model) for panel, found in rows]
    return Drawn(figure, pd.concat(numbers, ignore_index=True))


def _gain(drawing: spec.Gain, form: spec.Form, results: Results) -> Drawn:
    lengths = form.lengths
    if lengths is None:
        raise UserError("drawing 'gain' needs the 'lengths' of the form")
    groups: dict[tuple[str, str], list[tuple[float, Panel]]] = {}
    for value, part in results.along(lengths.argument, lengths.tokens):
        for panel in part.panels():
            groups.setdefault((panel.task, panel.model), []).append((lengths.tokens[value], panel))
    if not groups:
        raise UserError(f"drawing 'gain': no cell has the argument {lengths.argument!r} at any of {[*lengths.tokens]}")
    rows = [
        (panels[0][1], gains(panels, drawing.sampler, drawing.setting, drawing.baselines)) for panels in groups.values()
    ]
    if all(found.empty for _, found in rows):
        raise UserError(f"drawing 'gain': no panel has {drawing.sampler!r} at {drawing.setting!r}")
    styles = styles_of((name, name) for name in (drawing.sampler, *drawing.baselines))
    numbers = [found.assign(task=panel.task, model=panel.model) for panel, found in rows]
    name = f"{drawing.sampler} ({drawing.setting})"
    return Drawn(gain_figure(rows, name, styles), pd.concat(numbers, ignore_index=True))


def _order(drawing: spec.Order, form: spec.Form, results: Results) -> Drawn:
    panels, numbers = [], []
    for (task, model), settings in results.traces().items():
        panel = _order_panel(task, model, settings, form)
        panels.append(panel)
        for i, name in enumerate(panel.names):
            early = vars(panel.precedence[i]) if panel.precedence else {}
            positions = {f"position_{place}": time for place, time in enumerate(panel.times[i])}
            numbers.append({"task": task, "model": model, "sampler": name, **early, **positions})
    return Drawn(order_figure(panels), pd.DataFrame(numbers))


def _order_panel(
    task: str, model: str, settings: Mapping[tuple[str, str, str], Sequence[Trace]], form: spec.Form
) -> OrderPanel:
    times = [commit_times(traces) for traces in settings.values()]
    means = np.full((len(times), max(each.shape[1] for each in times)), np.nan)  # an answer may be shorter than others
    for row, each in zip(means, times, strict=True):
        row[: each.shape[1]] = mean_times(each)
    panel = OrderPanel(f"{model} · {task}", [_named(label, setting) for _, label, setting in settings], means)
    if (grid := form.grids.get(task.partition("@")[0])) is not None:
        if len(grid) != 2 or grid[0] * grid[1] != means.shape[1]:
            raise UserError(
                f"grids: {task} is {grid}, and should be a height and a width of {means.shape[1]} positions"
            )
        panel = replace(panel, grid=(grid[0], grid[1]))
    for structure in form.structure:
        if structure.model == model:
            early = [precedence(each, structure.positions) for each in times]
            panel = replace(panel, structure=structure.positions, structure_name=structure.name, precedence=early)
    return panel


def _activity(drawing: spec.Activity, form: spec.Form, results: Results) -> Drawn:
    panels, numbers, looks = [], [], []
    for (task, model), settings in results.traces(drawing.settings).items():
        several = len(settings) > len({label for _, label, _ in settings})
        curves = {}
        for (sampler, label, setting), traces in settings.items():
            name = _named(label, setting) if several else label
            curves[name] = activity(traces)
            looks.append((sampler, name))
            for step, values in enumerate(zip(*vars(curves[name]).values(), strict=True), 1):
                named = dict(zip(vars(curves[name]), values, strict=True))
                numbers.append({"task": task, "model": model, "sampler": name, "step": step, **named})
        panels.append(ActivityPanel(f"{model} · {task}", curves))
    if not panels:
        raise UserError(f"drawing 'activity': no cell has one of the settings {', '.join(drawing.settings)}")
    return Drawn(activity_figure(panels, styles_of(looks)), pd.DataFrame(numbers))


def _wins(drawing: spec.Wins, form: spec.Form, results: Results) -> Drawn:
    rankings = [ranking for ranking in rank_all(results.table, results.tasks) if ranking.pairs]
    if not rankings:
        raise UserError("drawing 'wins': no task and model has two samplers on the same documents and costs")
    panels = [
        WinPanel(f"{each.model} · {each.task}", each.metric.label, each.span, pd.DataFrame(map(vars, each.pairs)))
        for each in rankings
    ]
    numbers = [pd.DataFrame(map(vars, each.pairs)).assign(task=each.task, model=each.model) for each in rankings]
    return Drawn(win_figure(panels), pd.concat(numbers, ignore_index=True))


def _effects(drawing: spec.Effects, form: spec.Form, results: Results) -> Drawn:
    rankings = sorted(
        (each for each in rank_all(results.table, results.tasks) if each.effect is not None),
        key=lambda each: (each.model, results.place(each.task)),
    )
    if not rankings:
        raise UserError("drawing 'effects': no task and model has two samplers on the same documents and costs")
    rows = [_effect_row(each) for each in rankings]
    return Drawn(effect_figure(rows), pd.DataFrame(map(vars, rows)))


def _effect_row(ranking: Ranking) -> EffectRow:
    effect, metric = ranking.effect, ranking.metric
    assert effect is not None
    found, units = effect.difference, Units(ranking.fraction, metric.unit)
    if metric.direction == "lower":
        found = Estimate(-found.value, -found.high, -found.low, found.stderr)
    times = 100 if ranking.fraction else 1
    told = f"{units.difference(found).replace('-', '−')}\n{effect.best} over {effect.worst}"
    if effect.best == effect.worst:
        told = "none\nall samplers are equal"
    low, high = ranking.span
    return EffectRow(
        ranking.model,
        ranking.task,
        "points" if ranking.fraction else metric.label,
        times * found.value,
        times * found.low,
        times * found.high,
        times * effect.chance,
        f"{told}, {low:.3g} to {high:.3g} NFE",
    )


def _groups(drawing: spec.Groups, form: spec.Form, results: Results) -> Drawn:
    compared = results.compared(form.groups, as_models=drawing.panels == "groups")
    shown = _shown(compared.panels(drawing.axis), drawing)
    columns = len({panel.model for panel in shown})
    figure = overview_figure(shown, assign_styles(shown), columns)
    if drawing.panels == "groups":
        for first in range(0, len(shown), columns):
            share_scale(figure.axes[first : first + columns])
    numbers = [panel.points.assign(metric=panel.metric.key) for panel in shown]
    return Drawn(figure, pd.concat(numbers, ignore_index=True))


def _training(drawing: spec.Training, form: spec.Form, results: Results) -> Drawn:
    ((axis, axis_label),) = drawing.axis.items()
    numbers = {name: along_training(paths, axis, list(drawing.numbers)) for name, paths in form.logs.items()}
    figure = training_figure(numbers, axis_label, drawing.numbers, styles_of((name, name) for name in numbers))
    return Drawn(figure, pd.concat([rows.assign(model=name) for name, rows in numbers.items()], ignore_index=True))


def _shown(panels: list[Panel], drawing: Any) -> list[Panel]:
    shown = [panel for panel in panels if not plottable(panel.points).empty]
    if not shown:
        raise UserError(f"drawing {drawing.kind!r}: the run has no scores that could be drawn")
    return shown


def _named(label: str, setting: str) -> str:
    return f"{label} ({setting})" if setting else label
