"""Cells as files of lm-evaluation-harness: `results_{date}.json` and `samples_{task}_{date}.jsonl` (lm_eval 0.4.13).

What lm-eval's own tools read is there: metrics by `metric,filter`, and for each document and filter one line with the
document, what was asked, the responses, what the filter left of them, and the values of the metrics.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any

from harness.analysis.scoring import scorer_id
from harness.errors import UserError
from harness.lm_tasks.find import PREFIX
from harness.lm_tasks.task import LmEvalTask
from harness.spec import CellSpec
from harness.store import CellStore, SampleKey, ScoreSummary
from harness.store.files import make_folder, write_file, writing
from harness.task import Document, Metrics, Output, Request, Sample, Task


def write(cell: CellStore, task: Task, output: Path) -> Path | None:
    """The file of results of a cell, in `output/<model>/<cell>/`; None where the outputs are neither texts nor
    likelihoods. Raises UserError for a cell that is not scored as it stands."""
    return _Export(cell, task).write(output)


@dataclass
class _Export:
    """One cell on its way out."""

    cell: CellStore
    task: Task

    def write(self, output: Path) -> Path | None:
        if not all(out.text is not None or out.logp is not None for out in self._outputs.values()):
            return None
        summary = self._summary
        from lm_eval.utils import sanitize_model_name

        modified: float = (self.cell.folder / "generations.jsonl").stat().st_mtime
        date = datetime.fromtimestamp(modified).isoformat().replace(":", "-")
        folder: Path = output / sanitize_model_name(_model_name(self.cell.spec)) / self.cell.id
        with writing(folder):
            make_folder(folder)
        lines = [json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in self._rows()]
        write_file(folder / f"samples_{self._name}_{date}.jsonl", "".join(lines).encode("utf-8", "surrogatepass"))
        results = json.dumps(self._results(summary, modified), indent=2, ensure_ascii=False, default=str)
        write_file(folder / f"results_{date}.json", results.encode())
        return folder / f"results_{date}.json"

    @property
    def _name(self) -> str:
        return self.task.file.name.removeprefix(PREFIX)

    @cached_property
    def _outputs(self) -> dict[SampleKey, Output]:
        return self.cell.generations()

    @cached_property
    def _summary(self) -> ScoreSummary:
        found = self.cell.read_summary(scorer_id(self.task))
        if found is None or not found.covers(self._outputs):
            raise UserError(f"{self.cell.folder} is not scored as it stands: mdm-eval score the run first.")
        return found

    def _rows(self) -> Iterator[dict[str, Any]]:
        """lm-eval's lines: all documents under the first filter, then under the next."""
        scores = self.cell.read_scores(self._summary.scorer)
        by_document: dict[str, list[SampleKey]] = {}
        for key in sorted(self._outputs):
            by_document.setdefault(key.document, []).append(key)
        asked = [
            (number, document, by_document[document.id])
            for number, document in enumerate(self.task.documents())
            if document.id in by_document
        ]
        for chosen in _filters(self.task):
            for number, document, keys in asked:
                samples = [Sample(document, key.sample, self._outputs[key]) for key in keys]
                yield self._row(number, document, samples, chosen, [scores.get(key, {}) for key in keys])

    def _row(
        self, number: int, document: Document, samples: Sequence[Sample], chosen: str, scores: Sequence[Metrics]
    ) -> dict[str, Any]:
        from lm_eval.utils import handle_non_serializable, hash_string

        request, task = self.task.request(document), self.task
        arguments = [_arguments(part, self.cell.spec) for part in request.rows]
        if isinstance(task, LmEvalTask):
            doc, target = document.data["doc"], task.target(document)
            responses, filtered = task.told(samples), task.filtered(samples)[chosen]
        else:
            doc, target = dict(document.data), document.data.get("answer", "")
            responses = [[sample.output.text for sample in samples]]
            filtered = [sample.output.text for sample in samples[:1]]
        metrics = _values(scores, chosen)
        told = json.dumps(doc, indent=2, default=handle_non_serializable, ensure_ascii=False)
        return {
            "doc_id": number,
            "doc": doc,
            "target": str(target),
            "arguments": {
                f"gen_args_{i}": {"arg_0": first, "arg_1": second} for i, (first, second) in enumerate(arguments)
            },
            "resps": responses,
            "filtered_resps": filtered,
            "filter": chosen,
            "metrics": list(metrics),
            "doc_hash": hash_string(told),
            "prompt_hash": hash_string(str(arguments[0][0])),
            "target_hash": hash_string(str(target)),
            **metrics,
        }

    def _results(self, summary: ScoreSummary, date: float) -> dict[str, Any]:
        import lm_eval

        spec, file, name = self.cell.spec, self.task.file, self._name
        metrics: dict[str, Any] = {}
        for key, value in summary.metrics.items():
            metric, chosen = _split(key)
            metrics[f"{metric},{chosen}"] = value.value
            metrics[f"{metric}_stderr,{chosen}"] = "N/A" if value.stderr is None else value.stderr
        higher = {_split(metric.key)[0]: metric.direction == "higher" for metric in file.metrics}
        costs = list(self.cell.costs().values())
        return {
            "results": {name: {"name": name, "alias": name, "sample_len": summary.documents, **metrics}},
            "group_subtasks": {name: []},
            "configs": {name: {"task": name, "metadata": {"mdm": spec.task.model_dump(mode="json")}, **spec.task.args}},
            "versions": {name: f"mdm {file.semantics}.{file.scorer}"},
            "n-shot": {name: spec.task.args.get("num_fewshot", 0)},
            "higher_is_better": {name: higher},
            "n-samples": {name: {"original": len(self.task.documents()), "effective": summary.documents}},
            "config": {
                "model": "mdm",
                "model_args": _model_args(spec),
                "model_dtype": spec.model.dtype,
                "model_revision": spec.model.revision,
                "batch_sizes": [],
                "mdm": {"cell": self.cell.id, **spec.model_dump(mode="json"), "cost": _mean_costs(costs)},
            },
            "date": date,
            "lm_eval_version": lm_eval.__version__,
            "model_source": "mdm",
            "model_name": _model_name(spec),
            "task_hashes": {},
        }


def _filters(task: Task) -> list[str]:
    return list(dict.fromkeys(_split(metric.key)[1] for metric in task.file.metrics))


def _split(key: str) -> tuple[str, str]:
    """Metric and filter: `pass@1@create_test` is of `create_test`, `pass@1` and `acc` of none."""
    metric, _, chosen = key.rpartition("@")
    return (key, "none") if not metric or chosen.isdecimal() else (metric, chosen)


def _values(scores: Sequence[Metrics], chosen: str) -> dict[str, Any]:
    """The values of a filter's metrics: the mean over the samples where they are numbers, else that of the first."""
    names = [key for key in dict.fromkeys(key for each in scores for key in each) if _split(key)[1] == chosen]
    found = {}
    for key in names:
        values = [each[key] for each in scores if key in each]
        numbers = all(isinstance(value, bool | int | float) for value in values)
        found[_split(key)[0]] = fmean(values) if numbers else values[0]
    return found


def _arguments(request: Request, spec: CellSpec) -> tuple[Any, Any]:
    if request.continuation is not None:
        return request.prompt, request.continuation
    temperature = spec.decoding.temperature
    settings = {"max_gen_toks": request.length, "until": list(request.until), "do_sample": temperature > 0}
    return request.prompt, {**settings, "temperature": temperature}


def _model_name(spec: CellSpec) -> str:
    return str(spec.model.args.get("pretrained") or spec.model.name)


def _model_args(spec: CellSpec) -> dict[str, Any]:
    """As they are written for `--model mdm`."""
    model = {name: value for name, value in spec.model.args.items() if name not in spec.sampler.args}
    both = {f"model.{name}": value for name, value in spec.model.args.items() if name in spec.sampler.args}
    budget = {} if spec.budget is None else {"steps": spec.budget}
    decoding = {"temperature": spec.decoding.temperature, "guidance": spec.decoding.guidance, "seed": spec.seed}
    shared = {"model": spec.model.name, "sampler": spec.sampler.name, **budget, **decoding}
    return {**shared, **model, **both, **spec.sampler.args}


def _mean_costs(costs: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
    names = dict.fromkeys(name for cost in costs for name in cost)
    values = {name: [cost.get(name) for cost in costs] for name in names}
    return {
        name: None if None in each else fmean(value for value in each if value is not None)
        for name, each in values.items()
    }
