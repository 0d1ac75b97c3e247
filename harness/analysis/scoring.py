"""Scores from stored outputs: no generative model, and no scorer network where its observations are stored."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
from tqdm import tqdm

from harness.catalogue import Catalogue
from harness.errors import UserError, noted
from harness.metrics.clustered import clustered_mean
from harness.spec import TaskSpec, content_hash
from harness.store import CellStore, MetricValue, RunStore, SampleKey
from harness.task import Document, Metrics, Observations, Sample, SetMetric, Task

log = logging.getLogger(__name__)

_KEPT = 2
"""Raised by hand whenever more is kept of scores than before, so that runs are scored again."""


def score_run(
    run: RunStore,
    catalogue: Catalogue,
    tasks: Sequence[TaskSpec],
    data_dir: str | None,
    problems: list[str] | None = None,
) -> int:
    """Score every cell that is not yet scored as it stands; return how many were.

    `tasks` says under which protocols and scoring settings: where none of them has a cell's request settings, those
    that leave them open. A cell of a task that it does not name is scored under the task's defaults. Cells that cannot
    be read or scored are left out and named in `problems`; without that list the first one raises.
    """
    opened: dict[str, Task] = {}
    scored = 0
    for cell in run.readable(problems):
        for spec in _scorings(cell, tasks, catalogue):
            folder = run.data_dir(cell.spec, data_dir)
            key = f"{spec.model_dump_json()} {cell.spec.model.model_dump_json()} {folder}"
            if key not in opened:
                opened[key] = catalogue.task(spec, folder, cell.spec.model)
                opened[key].check()
            with noted(problems):
                scored += score_cell(cell, opened[key])
    return scored


def score_cell(cell: CellStore, task: Task) -> bool:
    """Score one cell unless its scores are there and complete; True if it was scored."""
    scorer = scorer_id(task)
    done, summary = cell.done(), cell.read_summary(scorer)
    if not done or (summary is not None and summary.covers(done)):
        return False
    outputs = cell.generations()
    documents = {document.id: document for document in task.documents()}
    keys = sorted(key for key in outputs if key.document in documents)
    if len(keys) < len(outputs):
        log.warning("%s: %d samples are of documents that task %s does not have; they are not scored",
                    cell.folder, len(outputs) - len(keys), task.file.name)  # fmt: skip
    samples = [Sample(documents[key.document], key.sample, outputs[key]) for key in keys]
    observations = _observations(cell, task, keys, samples)
    scores = [
        task.score(sample, {name: array[i] for name, array in observations.items()}) for i, sample in enumerate(samples)
    ]
    found = summarise(task, samples, scores, observations)
    metrics = {key: MetricValue(each.value, len(samples), each.stderr, each.floor) for key, each in found.items()}
    parts = {key: each.parts for key, each in found.items() if each.parts and np.isfinite(each.parts).all()}
    for key, values in parts.items():
        if len(values) != len(samples):
            raise UserError(
                f"task {task.file.name!r}: metric {key!r} has {len(values)} parts of {len(samples)} outputs."
            )
    groups = {key.document: _groups(documents[key.document]) for key in keys}
    cell.write_scores(scorer, task.protocol, dict(zip(keys, scores, strict=True)), metrics, groups, parts)
    return True


def scorer_id(task: Task) -> str:
    """Task, protocol, scoring settings and state, the scorer's semantics and what is kept of scores, 16 hex digits."""
    scoring = {name: task.settings[name] for name in task.file.scoring}
    state = [task.scoring_state()] if task.scoring_state() else []
    return content_hash([task.file.name, task.protocol, scoring, task.file.scorer, _KEPT, *state])


def summarise(
    task: Task, samples: Sequence[Sample], scores: Sequence[Metrics], observations: Observations
) -> dict[str, SetMetric]:
    """Every declared metric that is there: means over samples, with errors clustered by document (or by the cluster
    that a document names), and the metrics of the whole set."""
    of_set = task.aggregate(samples, observations)
    clusters = [sample.document.cluster or sample.document.id for sample in samples]
    metrics = {}
    for metric in task.file.metrics:
        if metric.level == "set" and metric.key in of_set:
            metrics[metric.key] = of_set[metric.key]
        values = [(cluster, float(found[metric.key])) for cluster, found in zip(clusters, scores, strict=True)
                  if metric.level == "sample" and metric.key in found]  # fmt: skip
        if values:
            metrics[metric.key] = _mean(values)
    return metrics


def _mean(values: Sequence[tuple[str, float]]) -> SetMetric:
    grouped: dict[str, list[float]] = defaultdict(list)
    for cluster, value in values:
        grouped[cluster].append(value)
    return clustered_mean([sum(each) for each in grouped.values()], [len(each) for each in grouped.values()])


def _groups(document: Document) -> dict[str, str]:
    named = {"cluster": document.cluster, "stratum": document.stratum}
    return {name: group for name, group in named.items() if group is not None}


def _scorings(cell: CellStore, tasks: Sequence[TaskSpec], catalogue: Catalogue) -> list[TaskSpec]:
    """The task specifications under which a cell is scored: those with its request settings, else those that name none
    of them otherwise, as `pope` does not say that it means the short form alone."""
    own = cell.spec.task
    fits, wider = [], []
    for spec in tasks:
        if spec.name == own.name:
            identity = catalogue.task(spec, None, cell.spec.model).identity()
            given = {name: value for name, value in identity.args.items() if name in spec.args}
            if identity == own:
                fits.append(spec)
            elif given.items() <= own.args.items():
                wider.append(spec.model_copy(update={"args": {**own.args, **spec.args}}))
    return fits or wider or [own]


def _observations(cell: CellStore, task: Task, keys: Sequence[SampleKey], samples: Sequence[Sample]) -> Observations:
    """What scorer networks see, from the store if it covers these samples, else seen now and stored."""
    settings = [task.protocol if name == "protocol" else task.settings[name] for name in task.observed_by]
    observer = content_hash([task.file.name, task.file.scorer, *settings])
    stored = cell.read_observations(observer)
    if stored is not None and list(stored[0]) == list(keys):
        return stored[1]
    task.check_observers()
    if task.observed_at_once is not None:
        return _observe_in_turn(cell, task, observer, dict(zip(keys, samples, strict=True)), task.observed_at_once)
    observations = task.observe(samples)
    if observations:
        cell.write_observations(observer, keys, observations)
    return observations


def _observe_in_turn(
    cell: CellStore, task: Task, observer: str, samples: Mapping[SampleKey, Sample], at_once: int
) -> Observations:
    """The same a few samples at a time, each stored before the next; those that were seen before are left out."""
    seen = cell.observed(observer)
    left = [key for key in samples if key not in seen]
    with tqdm(total=len(left), desc=f"observing {task.file.name}", unit="sample", disable=None) as bar:
        for start in range(0, len(left), at_once):
            keys = left[start : start + at_once]
            cell.add_observations(observer, keys, task.observe([samples[key] for key in keys]))
            bar.update(len(keys))
    return cell.gather_observations(observer, list(samples))
