"""A model of lm-eval that answers by one of our models and samplers."""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any, TypeVar

import torch
from lm_eval.api.model import LM
from lm_eval.models.utils import normalize_gen_kwargs, postprocess_generated_text
from tqdm import tqdm

import harness
from harness.components import make_sampler
from harness.engine.cost import Cost
from harness.engine.engine import Engine
from harness.engine.generator import Generation, Job
from harness.errors import UserError
from harness.executors.loader import ModelLoader
from harness.executors.memory import halved
from harness.lm_model.arguments import read_setting
from harness.samplers import samplers
from harness.spec import Decoding, SamplerSpec, Scalar, canonical_json, content_hash
from harness.task import Request

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")


class MaskedDiffusionLM(LM):  # type: ignore[misc]
    """`--model mdm --model_args model=NAME,sampler=NAME,…`: see `harness.lm_model.arguments`.

    A request's random numbers depend on the number of its document, as in runs of our own, so that both give the same
    texts. Likelihoods are LLaDA's bound; whether a text is what greedy decoding writes is not known, and told as False.
    """

    def __init__(
        self,
        batch_size: int | str = 1,
        max_batch_size: int | None = None,
        device: str | None = None,
        **arguments: Scalar,
    ) -> None:
        super().__init__()
        if not str(batch_size).isdecimal() or int(batch_size) < 1:
            raise UserError(f"--batch_size is {batch_size!r}; give a number, since rows of a batch keep their shape")
        self.setting = read_setting(arguments)
        device = device or "cuda"
        if device.startswith("cuda") and not torch.cuda.is_available():  # which is lm-eval's default
            log.warning("no CUDA device here: %s becomes cpu", device)
            device = "cpu"
        self._model = ModelLoader(device)(self.setting.model)
        self._device = torch.device(device)
        missing = samplers[self.setting.sampler.name].info.needs - self._model.capabilities
        if missing:
            raise UserError(
                f"sampler {self.setting.sampler.name!r} needs {', '.join(sorted(missing))}, which model "
                f"{self.setting.model.name!r} does not offer"
            )
        self._rows = int(batch_size)
        self._costs: dict[str, list[Cost]] = defaultdict(list)

    @classmethod
    def create_from_arg_obj(
        cls, arg_dict: dict[str, Any], additional_config: dict[str, Any] | None = None
    ) -> MaskedDiffusionLM:
        """As lm-eval calls it; what the arguments say themselves wins over lm-eval's flags."""
        given = {name: value for name, value in (additional_config or {}).items() if value is not None}
        return cls(**{**given, **arg_dict})

    # What lm-eval asks

    def generate_until(self, requests: Sequence[Any]) -> list[str]:
        """A text for each request, up to its first stop text."""
        settings = [normalize_gen_kwargs(each.args[1], self.setting.max_gen_toks) for each in requests]
        asked = [
            Request(
                _document(each),
                prompt=each.args[0],
                until=tuple(kwargs["until"]),
                length=kwargs["max_gen_toks"],
            )
            for each, kwargs in zip(requests, settings, strict=True)
        ]
        temperatures = [self._temperature(kwargs) for kwargs in settings]
        texts = {}
        for place, made in self._make("generate_until", self.setting.sampler, asked, temperatures):
            if made.output.text is None:
                raise UserError(f"model {self.setting.model.name!r} writes no text, which lm-eval's tasks need")
            texts[place] = postprocess_generated_text(made.output.text, settings[place]["until"], None)
            self.cache_hook.add_partial("generate_until", requests[place].args, texts[place])
        return [texts[place] for place in range(len(requests))]

    def loglikelihood(self, requests: Sequence[Any]) -> list[tuple[float, bool]]:
        """The bound for each context and text, and False."""
        return self._likelihoods("loglikelihood", requests, lambda value: (value, False))

    def loglikelihood_rolling(self, requests: Sequence[Any]) -> list[float]:
        """The bound for each whole text, which must be no longer than the model takes."""
        return self._likelihoods("loglikelihood_rolling", requests, lambda value: value)

    def _likelihoods(self, kind: str, requests: Sequence[Any], answer: Callable[[float], Answer]) -> list[Answer]:
        if "likelihood" not in self._model.capabilities:
            raise UserError(f"model {self.setting.model.name!r} cannot score texts that are given")
        pairs = [each.args if len(each.args) > 1 else ("", *each.args) for each in requests]
        asked = [
            Request(_document(each), prompt=context, continuation=text)
            for each, (context, text) in zip(requests, pairs, strict=True)
        ]
        answers = {}
        for place, made in self._make(kind, self.setting.likelihood, asked, [0.0] * len(asked)):
            (value,) = made.output.logp or ()
            answers[place] = answer(value)
            self.cache_hook.add_partial(kind, requests[place].args, answers[place])
        return [answers[place] for place in range(len(requests))]

    def _make(
        self, kind: str, spec: SamplerSpec, asked: Sequence[Request], temperatures: Sequence[float]
    ) -> Iterator[tuple[int, Generation]]:
        """The place of each request and what is made of it, as soon as it is; a request that is asked again has another
        sample index. Out of memory halves the batch, for all that follows."""
        jobs = self._jobs(spec, asked, temperatures)
        left = {id(job): place for place, job in enumerate(jobs)}
        label = f"mdm · {spec.name}"
        with tqdm(total=len(jobs), desc=label, unit="request", disable=None) as bar:
            while left:
                try:
                    for made in Engine(self._model, self._rows).generate(jobs, lambda job: id(job) not in left):
                        self._costs[kind].append(made.cost)
                        bar.update()
                        yield left.pop(id(made.job)), made
                except torch.OutOfMemoryError as error:
                    self._rows = halved(self._rows, label, error)

    def _jobs(self, spec: SamplerSpec, asked: Sequence[Request], temperatures: Sequence[float]) -> list[Job]:
        sampler, info = make_sampler(spec), samplers[spec.name].info
        budget = self.setting.budget if info.knob == "steps" else None
        times: Counter[tuple[Any, ...]] = Counter()
        jobs = []
        for request, temperature in zip(asked, temperatures, strict=True):
            key = (request.document, request.prompt, request.continuation)
            decoding = Decoding(temperature=temperature, guidance=self.setting.guidance)
            jobs.append(Job("lm-eval", request, times[key], sampler, info, decoding, budget, self.setting.seed))
            times[key] += 1
        return jobs

    def _temperature(self, kwargs: Any) -> float:
        """That of `model_args`, else the task's: lm-eval decodes greedily unless told to sample."""
        if self.setting.temperature is not None:
            return self.setting.temperature
        return float(kwargs.get("temperature") or 1.0) if kwargs.get("do_sample") else 0.0

    # Chat templates

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        """The conversation in the tokenizer's own template, as a text."""
        turns = tuple((turn["role"], turn["content"]) for turn in chat_history)
        text: str = self._codec().render(turns)
        return text

    def chat_template(self, chat_template: bool | str = False) -> str:
        """The template, for lm-eval's records."""
        return str(self._codec().tokenizer.chat_template)

    @property
    def tokenizer_name(self) -> str:
        """What names the tokenizer in lm-eval's cache of requests."""
        return content_hash(self.setting.to_json()["model"])

    def _codec(self) -> Any:
        codec = getattr(self._model, "codec", None)
        if not hasattr(codec, "render"):
            raise UserError(f"model {self.setting.model.name!r} has no chat template; leave out --apply_chat_template")
        return codec

    # What lm-eval keeps

    def get_model_info(self) -> dict[str, Any]:
        """For lm-eval's results: the setting, the rows of a batch, and mean costs of a response by kind of request
        (`harness.engine.cost`) with the number of responses that were made rather than found in a cache."""
        costs = {kind: {"responses": len(each), **_means(each)} for kind, each in self._costs.items()}
        told = {"harness": harness.__version__, **self.setting.to_json(), "batch_size": self._rows, "cost": costs}
        return {"mdm": told}

    def set_cache_hook(self, cache_hook: Any) -> None:
        """Take lm-eval's cache of responses; UserError for one of another setting, since its keys do not tell."""
        own, stored = canonical_json(self.setting.to_json()).decode(), cache_hook.dbdict
        if stored is not None:
            found = stored.get(_SETTING)
            if found != own and len(stored):
                raise UserError(
                    "--use_cache: the responses in this cache are of another model, sampler or setting. Name another "
                    "file, one for each setting."
                )
            stored[_SETTING] = own
        super().set_cache_hook(cache_hook)


_SETTING = "mdm-harness: the setting of all responses here"


def _document(request: Any) -> str:
    """The number that lm-eval gives the document, else a hash of what is asked."""
    return content_hash(list(request.args)) if request.doc_id is None else str(request.doc_id)


def _means(costs: Iterable[Cost]) -> dict[str, float | None]:
    rows = [asdict(cost) for cost in costs]
    return {
        name: None if any(row[name] is None for row in rows) else sum(row[name] for row in rows) / len(rows)
        for name in rows[0]
    }
