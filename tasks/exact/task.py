"""Draw from a known joint, and measure how far the draws are from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from harness.errors import UserError
from harness.metrics.exact import total_variation
from harness.models.exact import Joint, joint_of
from harness.task import Document, Metrics, Observations, Request, Sample, SetMetric, Slots

LISTED = 4096
"""The largest space on which the total variation of whole sequences is reported."""


class Exact(Slots):
    """`count` samples of the joint of an `exact/*` model.

    pair_tv   total variation between empirical and true distribution of a pair of tokens, averaged over the pairs
              that carry the structure: neighbours (chain, independent), parent and child (tree), token and check of
              its group (parity). Sees misfits and lost diversity. The floor is the mean of exact samples.
    nll_gap   −log p(sample) minus the entropy of the joint, nats, so that exact samples have mean 0. Negative for
              samplers that prefer likely sequences: low is not good in itself, and lost diversity does not show.
    validity  whether the sample is possible without the joint's noise. Exact samples fall short of 1 by the noise.
    tv        total variation over whole sequences, where there are at most 4096 of them
    """

    def check(self) -> None:
        """Raise UserError for a `count` below 2, or without a known joint."""
        self.check_count()
        if self.model is None:
            raise UserError("task exact: the truth is that of an exact/* model, so it cannot score without the model.")
        _ = self.joint

    @cached_property
    def joint(self) -> Joint:
        """The distribution that samples are compared with."""
        assert self.model is not None
        return joint_of(self.model)

    @cached_property
    def entropy(self) -> float:
        """Its entropy, nats."""
        return self.joint.entropy()

    def request(self, document: Document) -> Request:
        """One sample, of the model's length."""
        return Request(document.id)

    def observe(self, samples: Sequence[Sample]) -> Observations:
        """`nll_gap` (n,) float64 and `validity` (n,) bool, computed for all samples at once."""
        if not samples:
            return {}
        tokens = self._tokens(samples)
        gap = -self.joint.log_prob(tokens) - self.entropy
        return {"nll_gap": gap.numpy(), "validity": self.joint.valid(tokens).numpy()}

    def score(self, sample: Sample, observation: Mapping[str, Any]) -> Metrics:
        """`nll_gap` and `validity` of one sample."""
        return {"nll_gap": float(observation["nll_gap"]), "validity": bool(observation["validity"])}

    def aggregate(self, samples: Sequence[Sample], observations: Observations) -> dict[str, SetMetric]:
        """`pair_tv`, and `tv` where the whole space is small; nothing for fewer than two samples."""
        if len(samples) < 2:
            return {}
        tokens, joint = self._tokens(samples), self.joint
        metrics = {"pair_tv": total_variation(joint.pairs(tokens), joint.pair_probabilities())}
        if joint.space <= LISTED:
            _, probabilities = joint.enumerate()
            metrics["tv"] = total_variation(joint.index(tokens)[:, None], probabilities[None])
        return metrics

    def _tokens(self, samples: Sequence[Sample]) -> Tensor:
        # (N, L), refused unless each is a complete sequence of the joint.
        vocab, length = self.joint.vocab, self.joint.length
        for sample in samples:
            tokens = sample.output.tokens
            if len(tokens) != length or not all(0 <= token < vocab for token in tokens):
                raise UserError(
                    f"task exact: document {sample.document.id!r}, sample {sample.index}: {list(tokens)} are "
                    f"not {length} tokens from 0 to {vocab - 1}."
                )
        return torch.tensor([sample.output.tokens for sample in samples])
