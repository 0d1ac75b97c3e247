"""Texts without a prompt, and how good they are: no single number tells, so that several stand side by side."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from harness.errors import UserError
from harness.jsonl import read_json_lines
from harness.metrics.causal_scorer import CausalScorer
from harness.metrics.clustered import clustered_mean
from harness.metrics.text import repetition, unigram_entropy
from harness.task import Document, Metrics, Observations, Request, Sample, SetMetric, Slots


class Unconditional(Slots):
    """`count` texts of `max_tokens` tokens, or up to the first end of text.

    gen_ppl        exp of the mean −log p of a token under `scorer`, over all tokens of all texts but the first of each
    token_entropy  of the token frequencies within a text, which falls where a low perplexity is had by repetition
    repetition     of all sequences of four words, the share that stood before in the text
    mauve          by its own library and settings, on the scorer's features of as many reference texts
    """

    observed_by = ("scorer", "context", "reference")

    @cached_property
    def _scorer(self) -> CausalScorer:
        return CausalScorer(self.settings["scorer"], self.settings["context"])

    @cached_property
    def _reference(self) -> list[str]:
        path = Path(self.settings["reference"])
        if not path.is_file():
            raise UserError(f"task unconditional: reference is {str(path)!r}, and there is no such file.")
        texts = [row.get("text") for _, row in read_json_lines(path)]
        if not all(isinstance(text, str) and text.strip() for text in texts):
            raise UserError(f"task unconditional: each line of {path} must have a `text`.")
        return [str(text) for text in texts]

    def check(self) -> None:
        """Raise UserError where settings are out of range, or scorer, reference or MAUVE's library are not there."""
        for name, low in (("count", 1), ("max_tokens", 1), ("context", 2)):
            if self.settings[name] < low:
                raise UserError(f"task unconditional: {name} is {self.settings[name]}; it must be at least {low}.")
        self._scorer.check()
        if not self.settings["reference"]:
            return
        if importlib.util.find_spec("mauve") is None:
            raise UserError("task unconditional: mauve needs a package: pip install 'mdm-harness[mauve]'")
        if len(self._reference) < self.settings["count"]:
            raise UserError(
                f"task unconditional: reference has {len(self._reference)} texts; mauve needs as many as the count, "
                f"{self.settings['count']}."
            )

    def request(self, document: Document) -> Request:
        """A text, about nothing."""
        return Request(document.id, length=self.settings["max_tokens"])

    def observe(self, samples: Sequence[Sample]) -> Observations:
        """`nll` and `tokens` of each text; with a reference also `feature`, and the `reference_feature` of a text."""
        read = self._scorer.read([_text(sample) for sample in samples])
        scores = {"nll": read.nll, "tokens": read.tokens}
        if not self.settings["reference"]:
            return scores
        real = self._scorer.read(self._reference[: len(samples)])
        return {**scores, "feature": read.features, "reference_feature": real.features}

    def score(self, sample: Sample, observation: Mapping[str, Any]) -> Metrics:
        """`token_entropy` and `repetition`; for the record `nll` and `tokens` as the scorer sees them."""
        return {
            "token_entropy": unigram_entropy(sample.output.tokens),
            "repetition": repetition(_text(sample), 4),
            "nll": float(observation["nll"]),
            "tokens": int(observation["tokens"]),
        }

    def aggregate(self, samples: Sequence[Sample], observations: Observations) -> dict[str, SetMetric]:
        """`gen_ppl`, with the error of its logarithm carried over, and `mauve` where there is a reference."""
        metrics = {}
        if samples and observations["tokens"].sum() > 0:
            mean = clustered_mean(observations["nll"].tolist(), observations["tokens"].tolist())
            value = math.exp(mean.value)
            metrics["gen_ppl"] = SetMetric(value, None if mean.stderr is None else mean.stderr * value)
        if "feature" in observations and len(samples) >= 2:
            metrics["mauve"] = SetMetric(_mauve(observations["reference_feature"], observations["feature"]))
        return metrics


def _text(sample: Sample) -> str:
    if sample.output.text is None:
        raise UserError("task unconditional scores text, and the model's output has none; use a text model.")
    return sample.output.text


def _mauve(real: Any, generated: Any) -> float:
    from mauve import compute_mauve  # type: ignore[import-not-found]

    return float(compute_mauve(p_features=real, q_features=generated, seed=25, verbose=False).mauve)
