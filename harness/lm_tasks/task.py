"""A task of lm-eval: prompts, examples, filters and metrics are lm-eval's, the outputs are ours."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from harness.dataset import data_folder
from harness.errors import UserError
from harness.lm_tasks.code import CodeJudge
from harness.lm_tasks.declare import generation_kwargs, metric_key
from harness.lm_tasks.find import read_config
from harness.lm_tasks.load import Asked, apply_filters, ask, judge, load
from harness.metrics.clustered import clustered_mean
from harness.spec import content_hash
from harness.task import Document, Metrics, Observations, Request, Sample, SetMetric, Task

Response = str | tuple[float, bool]


class LmEvalTask(Task):
    """A document is one of lm-eval's, its id the number that lm-eval gives it.

    Metrics that lm-eval averages over documents are metrics of a sample. The others, and all metrics of a task that
    has several answers to a document looked at together (`repeats`), are those of the set, aggregated by lm-eval.
    """

    @cached_property
    def _lm_task(self) -> Any:
        self._check_settings()
        if self._runs_code:
            if not self.allow_code_execution:
                raise UserError(
                    f"task {self.file.name!r} runs the code that the model writes. If you trust it as far as that, add "
                    "--allow-code-execution; the code gets no network, and limits on time, memory and files."
                )
            os.environ["HF_ALLOW_CODE_EVAL"] = "1"  # lm-eval's metric asks for it when it is loaded
        return load(self.file.name, self._path, self.settings, data_folder(self.data_dir))

    @property
    def _path(self) -> Path:
        return Path(self.file.code)

    @cached_property
    def _runs_code(self) -> bool:
        return bool(read_config(self._path).get("unsafe_code"))

    @cached_property
    def _asked(self) -> Mapping[str, Asked]:
        return {str(asked.id): asked for asked in ask(self._lm_task, self.settings)}

    @property
    def _scores(self) -> bool:
        """Whether texts are to be scored; else one is to be written."""
        return "max_tokens" not in self.settings

    @cached_property
    def _until(self) -> tuple[str, ...]:
        until = next(iter(self._asked.values())).instances[0].args[1].get("until") or []
        return tuple([until] if isinstance(until, str) else until)

    @property
    def repeats(self) -> int:
        """How many answers to a document lm-eval's metrics look at together."""
        return int(self._lm_task.get_config("repeats") or 1)

    def _check_settings(self) -> None:
        lowest = {"num_fewshot": 0, "max_tokens": 1, "fewshot_seed": 0}
        for name, low in lowest.items():
            if self.settings.get(name) is not None and self.settings[name] < low:
                raise UserError(f"task {self.file.name!r}: {name} is {self.settings[name]}; it must be at least {low}.")

    def check(self) -> None:
        """Raise UserError where data, packages or settings are wrong."""
        _ = self._asked

    def documents(self) -> Sequence[Document]:
        """lm-eval's documents in its order."""
        return [Document(name, {"doc": asked.doc}) for name, asked in self._asked.items()]

    def data_hash(self) -> str:
        """The hash of everything that is asked."""
        if self._scores:
            return content_hash({name: [each.args for each in asked.instances] for name, asked in self._asked.items()})
        told = [[name, asked.instances[0].args[0], asked.turns] for name, asked in self._asked.items()]
        # Where no setting says how many tokens are written, they are what is asked.
        own = [] if self.settings["max_tokens"] else [[_length(asked) for asked in self._asked.values()]]
        return content_hash([self._until, told, *own])

    def request(self, document: Document) -> Request:
        """lm-eval's prompt, also as a conversation; or the texts to be scored, each after its context."""
        asked = self._asked[document.id]
        if self._scores:
            pairs = [instance.args for instance in asked.instances]
            parts = [Request(document.id, prompt=context, continuation=text) for context, text in pairs]
            return Request(document.id, parts=tuple(parts))
        return Request(
            document.id,
            prompt=asked.instances[0].args[0],
            turns=asked.turns,
            until=self._until,
            length=self.settings["max_tokens"] or _length(asked),
        )

    def responses(self, sample: Sample) -> list[Response]:
        """The sample as lm-eval takes one: the text up to the first stop text; or a log-likelihood for each text, with
        False for whether it is what greedy decoding writes, since no declared metric reads that."""
        if self._scores:
            if sample.output.logp is None:
                raise UserError(f"task {self.file.name!r} scores likelihoods, and the output has none.")
            return [(value, False) for value in sample.output.logp]
        text = sample.output.text
        if text is None:
            raise UserError(f"task {self.file.name!r} scores text, and the model's output has none.")
        return [functools.reduce(lambda rest, end: rest.split(end)[0] if end else rest, self._until, text)]

    def target(self, document: Document) -> Any:
        """What lm-eval takes for the right answer."""
        return self._lm_task.doc_to_target(self._asked[document.id].doc)

    def told(self, samples: Sequence[Sample]) -> list[list[Any]]:
        """The responses of some samples of one document as lm-eval keeps them: by request, then by sample."""
        return [[_spelt(each) for each in answers] for answers in self._by_request(samples)]

    def filtered(self, samples: Sequence[Sample]) -> dict[str, list[Any]]:
        """The same by filter, as it leaves them."""
        asked = self._asked[samples[0].document.id]
        found = apply_filters(self._lm_task, asked, self._by_request(samples))
        return {name: [_spelt(each) for each in left] for name, left in found.items()}

    def _by_request(self, samples: Sequence[Sample]) -> tuple[tuple[Response, ...], ...]:
        return tuple(zip(*(self.responses(sample) for sample in samples), strict=True))

    def score(self, sample: Sample, observation: Mapping[str, Any]) -> Metrics:
        """lm-eval's values for this sample alone, as far as they are numbers."""
        if self.repeats > 1:
            return {}
        found = {metric_key(*name): _plain(value) for name, value in self._judge((sample,)).items()}
        return {key: value for key, value in found.items() if value is not None}

    def aggregate(self, samples: Sequence[Sample], observations: Observations) -> dict[str, SetMetric]:
        """lm-eval's aggregation of its values, one of each document (or of each sample, where it looks at one)."""
        wanted = {metric.key for metric in self.file.metrics if metric.level == "set"}
        if not wanted or not samples:
            return {}
        values: dict[tuple[str, str], list[Any]] = {}
        for group in self._groups(samples):
            for name, value in self._judge(group).items():
                values.setdefault(name, []).append(value)
        return {metric_key(*name): self._aggregate(name[0], each)
                for name, each in values.items() if metric_key(*name) in wanted}  # fmt: skip

    def _groups(self, samples: Sequence[Sample]) -> list[tuple[Sample, ...]]:
        if self.repeats == 1:
            return [(sample,) for sample in samples]
        groups: dict[str, list[Sample]] = {}
        for sample in sorted(samples, key=lambda sample: sample.index):
            groups.setdefault(sample.document.id, []).append(sample)
        return [tuple(groups[name]) for name in self._asked if name in groups]

    def _aggregate(self, metric: str, values: list[Any]) -> SetMetric:
        from lm_eval.api.metrics import mean

        function = self._lm_task.aggregation().get(metric, mean)
        if function in (mean, np.mean):
            return clustered_mean([float(value) for value in values], [1] * len(values))
        return SetMetric(float(function(values)))

    def _judge(self, samples: tuple[Sample, ...]) -> dict[tuple[str, str], Any]:
        """What lm-eval makes of samples of one document; remembered, as samples are scored and then aggregated."""
        return self._verdicts(samples[0].document.id, self._by_request(samples))

    @cached_property
    def _verdicts(self) -> Callable[[str, tuple[tuple[Response, ...], ...]], dict[tuple[str, str], Any]]:
        code = CodeJudge(self.file.name, self._path, self.settings, data_folder(self.data_dir))

        @functools.cache
        def verdicts(document: str, responses: tuple[tuple[Response, ...], ...]) -> dict[tuple[str, str], Any]:
            if not self._runs_code:
                return judge(self._lm_task, self._asked[document], responses)
            # Code that does not come to its end fails, in the benchmarks as here.
            return code.judge(document, responses) or dict.fromkeys(self._names, 0.0)

        return verdicts

    @property
    def _names(self) -> list[tuple[str, str]]:
        """Metric and filter of each declared metric."""
        filters = [each.name for each in self._lm_task._filters]
        keys = {metric.key for metric in self.file.metrics}
        bare = {key.removesuffix(f"@{chosen}") for key in keys for chosen in filters}
        return [(name, chosen) for chosen in filters for name in bare if metric_key(name, chosen) in keys]


def _length(asked: Asked) -> int:
    """How many tokens the request itself asks for."""
    return int(generation_kwargs({"generation_kwargs": asked.instances[0].args[1]})["max_gen_toks"])


def _spelt(response: Any) -> Any:
    """lm-eval keeps what is no text as a list of texts."""
    return [str(part) for part in response] if isinstance(response, tuple) else response


def _plain(value: Any) -> Any:
    """A number or a list of numbers, as such; None for anything else that lm-eval hands to its aggregations."""
    if isinstance(value, bool | int | float | np.generic):
        return value.item() if isinstance(value, np.generic) else value
    if isinstance(value, list | tuple | np.ndarray):
        items = [_plain(each) for each in value]
        return items if all(isinstance(each, bool | int | float) for each in items) else None
    return None
