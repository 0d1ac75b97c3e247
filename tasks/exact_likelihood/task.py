"""How likely a model holds sequences of a known joint, against how likely they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import torch

from harness.errors import UserError
from harness.models.exact import Joint, joint_of
from harness.task import Document, Metrics, Request, Sample, Task


class ExactLikelihood(Task):
    """A document is a sequence that was drawn from the joint of an `exact/*` model, with its log-probability.

    The conditionals of such a model belong to one joint, so that the Monte-Carlo bound is tight: `bias` is 0 but for
    chance, and `absolute_error` falls as 1 / √draws.
    """

    def check(self) -> None:
        """Raise UserError for a `count` below 1, or without a known joint."""
        if self.settings["count"] < 1:
            raise UserError(f"task exact_likelihood: count is {self.settings['count']}, but must be at least 1.")
        _ = self._joint

    @cached_property
    def _joint(self) -> Joint:
        if self.model is None:
            raise UserError("task exact_likelihood: the truth is that of an exact/* model, and there is none.")
        return joint_of(self.model)

    @cached_property
    def _documents(self) -> list[Document]:
        drawn = self._joint.sample(self.settings["count"], torch.Generator().manual_seed(0))
        truths = self._joint.log_prob(drawn).tolist()
        texts = [" ".join(map(str, tokens)) for tokens in drawn.tolist()]
        return [
            Document(f"{index:04d}", {"text": text, "logp": logp})
            for index, (text, logp) in enumerate(zip(texts, truths, strict=True))
        ]

    def documents(self) -> Sequence[Document]:
        """`count` sequences, ids `0000`, `0001`, …"""
        return self._documents

    def request(self, document: Document) -> Request:
        """How likely the sequence is."""
        return Request(document.id, continuation=document.data["text"])

    def score(self, sample: Sample, observation: Mapping[str, Any]) -> Metrics:
        """The error of the estimate, and its size."""
        if sample.output.logp is None:
            raise UserError("task exact_likelihood scores likelihoods, and the output has none.")
        (estimate,) = sample.output.logp
        error = estimate - sample.document.data["logp"]
        return {"bias": error, "absolute_error": abs(error)}
