"""DAWN: dependency-aware fast inference (Luo et al. 2026, arXiv 2602.06953; silence1024/DAWN `llada/generate.py`)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from harness.canvas import Ask, Canvas, Edit, State, StepView
from harness.prediction import Query
from harness.samplers.attention import independent_set, last_layers
from harness.samplers.base import Real, Whole, param
from harness.samplers.schedule import current_block, ranks, top


@dataclass(frozen=True)
class DAWN:
    """Unmask what is confident, what leans on confident tokens, and a set of the rest that is not strongly coupled.

    An edge joins i to j where j attends to i with at least τ_edge, on average over the heads of the last layers; keys
    that draw more than τ_sink of all attention (sinks) have none. A step unmasks, in the current block, the positions
    with confidence of at least τ; those of at least τ_induce with an edge from a visible position that the model
    predicts with at least τ; and, by falling confidence, those of at least τ_low that share no edge with one another.
    If there is none, the most confident one.

    As in the repository, a candidate of the third kind is dropped if it has an edge from a position that is of the
    first two kinds at once. The repository's greedy set may also overwrite the first token of the prompt; this one does
    not. The thresholds on attention are absolute and were set for canvases of hundreds of tokens: at fewer than
    1 / τ_sink tokens nearly every position is a sink.
    """

    tau: Real = param(0.9, "confidence from which a position is unmasked", low=0.0, high=1.0)
    tau_induce: Real = param(0.7, "the same for positions that lean on confident tokens", low=0.0, high=1.0)
    tau_low: Real = param(0.7, "the same for positions that are not coupled", low=0.0, high=1.0)
    tau_edge: Real = param(0.07, "attention from which two positions are coupled", low=0.0, high=1.0)
    tau_sink: Real = param(0.01, "mean attention above which a key is a sink", low=0.0, high=1.0)
    layers: float = param(0.125, "share of the layers, from the last, whose attention is averaged", low=0.0, high=1.0)
    block: Whole = param(0, "block length of semi-autoregressive order; 0 = the whole canvas", low=0)

    def init(self, canvas: Canvas) -> State:
        return {}

    def step(self, view: StepView, ask: Ask) -> Edit:
        canvas = view.canvas
        allowed = current_block(view, self.block)
        shown = canvas.valid & ~view.masked
        prediction = ask(Query(canvas.tokens, allowed | shown, outputs=frozenset({"attention"})))
        edge = self._edges(last_layers(prediction.extra["attention"], self.layers), canvas.valid)
        confidence = prediction.confidence

        def led_by(sources: Tensor) -> Tensor:
            return (edge & sources[:, :, None]).any(dim=1)

        sure = allowed & (confidence >= self.tau)
        induced = allowed & led_by(shown & (confidence >= self.tau)) & (confidence >= self.tau_induce)
        rest = allowed & (confidence >= self.tau_low) & ~sure & ~induced & ~led_by(sure & induced)
        free = independent_set(edge | edge.transpose(1, 2), ranks(confidence, rest), rest)
        commit = sure | induced | free
        best = top(torch.ones_like(canvas.step), confidence, allowed)
        commit = torch.where(commit.any(dim=1, keepdim=True), commit, best)
        return Edit(commit, prediction.draw(view.random("tokens")))

    def _edges(self, attention: Tensor, valid: Tensor) -> Tensor:
        """(B, L, L) bool: [b, i, j] where j attends to i, another position that is no sink, with at least τ_edge."""
        readers = attention * valid[:, :, None]
        sink = readers.sum(dim=1) / valid.sum(dim=1, keepdim=True) > self.tau_sink
        itself = torch.eye(attention.shape[1], dtype=torch.bool, device=attention.device)
        kept = attention.masked_fill(itself | sink[:, None], 0.0)
        threshold = torch.as_tensor(self.tau_edge, device=kept.device).reshape(-1, 1, 1)
        return (kept >= threshold).transpose(1, 2)
