"""What a `task.yaml` says of a task, read from lm-eval's configuration of it; no data are loaded."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import UserError
from harness.lm_tasks.find import find, own_folder, read_config
from harness.spec import Decoding, MetricSpec, Scalar, TaskFile, content_hash

SEMANTICS = 1
"""Raised by hand whenever the bridge begins to make other requests of the same task of lm-eval."""
PROTOCOL = "lm_eval"
SCORED = ("multiple_choice", "loglikelihood")
"""Kinds of tasks that ask how likely texts are."""

# Whether a text is what greedy decoding writes is not known from a bound, so that metrics of that are left out.
_GREEDY = {"multiple_choice": {"exact_match"}, "loglikelihood": {"acc"}}


def declare(name: str, include: Sequence[Path]) -> TaskFile:
    """The task `lm_eval:…` as its `task.yaml` would be; raises UserError for one that is not known or cannot be run.

    Metrics are `metric`, or `metric@filter` where the filter has a name. Those that are a mean over documents are of
    level `sample`. `code` is the path of lm-eval's file.
    """
    path = find(name, include)
    config = read_config(path)
    if "class" in config:
        config = {"output_type": "generate_until", **config}
        metrics = list(_metrics_of_class(name, path))
    else:
        _refuse(name, config)
        metrics = list(_metrics(config))
    if not metrics:
        raise UserError(f"task {name!r} has metrics of greedy decoding only, which likelihoods do not tell.")
    return TaskFile(
        name=name,
        summary=f"{config['task']} of lm-eval ({config['output_type']})",
        code=str(path),
        settings=_settings(config),
        protocols=[PROTOCOL],
        metrics=metrics,
        primary=metrics[0].key,
        semantics=SEMANTICS,
        scorer=_scorer(path, config),
        requires=["lm_eval", "datasets"],
        decoding=Decoding(temperature=_temperature(generation_kwargs(config))),
    )


def generation_kwargs(config: Mapping[str, Any]) -> dict[str, Any]:
    """lm-eval's settings of generation, its aliases and defaults resolved."""
    from lm_eval.models.utils import normalize_gen_kwargs

    silent = logging.getLogger("lm_eval.models.utils")
    level = silent.level
    silent.setLevel(logging.ERROR)  # it warns of tasks that are as they are
    try:
        kwargs: dict[str, Any] = normalize_gen_kwargs(config.get("generation_kwargs") or {})
    finally:
        silent.setLevel(level)
    return kwargs


def _refuse(name: str, config: Mapping[str, Any]) -> None:
    if config.get("doc_to_image") is not None or config.get("doc_to_audio") is not None:
        raise UserError(f"task {name!r} asks about pictures or sounds, which this bridge does not hand on.")
    if config.get("output_type") not in ("generate_until", *SCORED):
        raise UserError(f"task {name!r} asks for the perplexity of whole texts ({config.get('output_type')}).")


def _settings(config: Mapping[str, Any]) -> dict[str, Scalar]:
    shared: dict[str, Scalar] = {"num_fewshot": config.get("num_fewshot") or 0, "fewshot_seed": 1234}
    if config["output_type"] in SCORED:
        return shared
    # A Python class says it with each request only.
    length = None if "class" in config else generation_kwargs(config)["max_gen_toks"]
    return {**shared, "max_tokens": length, "multiturn": True, "system": ""}


def _metrics_of_class(name: str, path: Path) -> Iterator[MetricSpec]:
    """The metrics of a task that is a Python class, which it tells of itself before it has data."""
    from lm_eval.api.metrics import mean

    kind = read_config(path, functions=True)["class"]
    try:
        task = kind.__new__(kind)
        aggregation, higher = task.aggregation(), task.higher_is_better()
    except Exception as error:  # the code of others: anything may be wrong with it
        raise UserError(
            f"task {name!r} is a Python class that does not tell its metrics before its data are loaded "
            f"({type(error).__name__}: {error}). Run it from lm-eval's side: mdm-eval lm-eval --model mdm …"
        ) from error
    for metric, function in aggregation.items():
        yield MetricSpec(
            key=metric,
            label=metric,
            direction="higher" if higher.get(metric, True) else "lower",
            level="sample" if function in (mean, np.mean) else "set",
        )


def _metrics(config: Mapping[str, Any]) -> Iterator[MetricSpec]:
    from lm_eval.api.registry import DEFAULT_METRIC_REGISTRY

    kind = config["output_type"]
    listed = config.get("metric_list") or [{"metric": name} for name in DEFAULT_METRIC_REGISTRY[kind]]
    filters = [each["name"] for each in config.get("filter_list") or [{"name": "none"}]]
    for chosen in filters:
        for metric in listed:
            for name in _names(metric):
                if name not in _GREEDY.get(kind, ()):
                    yield _metric(name, chosen, metric, config)


def _names(metric: Mapping[str, Any]) -> list[str]:
    """What lm-eval calls the values of a metric. `pass_at_k` of code gives one for each k."""
    name = str(metric["metric"]).rpartition(".")[2] if "/" in str(metric["metric"]) else str(metric["metric"])
    if name == "pass_at_k" and "k" in metric:
        counts = metric["k"] if isinstance(metric["k"], list) else [metric["k"]]
        return [f"pass@{count}" for count in counts]
    return [name]


def _metric(name: str, chosen: str, metric: Mapping[str, Any], config: Mapping[str, Any]) -> MetricSpec:
    from lm_eval.api.metrics import mean
    from lm_eval.api.registry import get_metric_aggregation, is_higher_better

    aggregation = metric.get("aggregation") or get_metric_aggregation(name)
    higher = metric.get("higher_is_better")
    if higher is None:
        higher = is_higher_better(name)
    over_documents = aggregation in ("mean", mean) and (config.get("repeats") or 1) == 1
    return MetricSpec(
        key=metric_key(name, chosen),
        label=name if chosen == "none" else f"{name} ({chosen})",
        direction="lower" if higher is False else "higher",
        level="sample" if over_documents else "set",
    )


def metric_key(metric: str, chosen: str) -> str:
    """The key of lm-eval's metric under a filter."""
    return metric if chosen == "none" else f"{metric}@{chosen}"


def _temperature(kwargs: Mapping[str, Any]) -> float:
    """lm-eval decodes greedily unless told to sample."""
    return float(kwargs.get("temperature") or 0.0) if kwargs.get("do_sample") else 0.0


def _scorer(path: Path, config: Mapping[str, Any]) -> int:
    """A number for what scores: lm-eval's version, the configuration, and the code beside it."""
    import lm_eval

    code = [hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(path.parent.glob("*.py"))]
    told = repr(sorted(config.items())).replace(str(path.parent), "").replace(str(own_folder()), "")
    return int(content_hash([lm_eval.__version__, told, code])[:8], 16)
