"""The confidences by which samplers choose tokens to mask again, each as a function of rows and calls of the model.

A score is `(rows, ask) -> (B, L) float64`, read at the visible positions only; low = doubtful. Where two samplers share
a score, the first paper is cited.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from harness.bench.injection import Injected
from harness.canvas import Ask
from harness.engine import rng
from harness.prediction import Query

Score = Callable[[Injected, Ask], Tensor]

_COPIES = 16
"""Leave-one-out copies of a row in one call; it changes the memory needed and nothing else."""


def visible(rows: Injected, ask: Ask) -> Tensor:
    """Probability of a token at its own visible position, one call. FreeCorrection's score at its last look alone."""
    return _probability(ask, rows.canvas.tokens, rows.canvas.visible)


def time_averaged(rows: Injected, ask: Ask) -> Tensor:
    """The mean of `visible` over the canvases seen since the token was unmasked, the present one included; a call each.

    FreeCorrection as released (Ouyang et al. 2026, arXiv 2602.02927).
    """
    total = torch.zeros(rows.canvas.tokens.shape, dtype=torch.float64, device=rows.canvas.tokens.device)
    for step in range(1, rows.steps + 1):
        total += _probability(ask, rows.before(step), rows.canvas.visible & (rows.step < step))
    return total / (rows.steps - rows.step).clamp(min=1)


def leave_one_out(rows: Injected, ask: Ask) -> Tensor:
    """Probability of a token given all other visible ones; a sequence-forward for each visible token.

    The other reading of FreeCorrection; what PRISM (arXiv 2510.01384) trains a head for.
    """
    canvas = rows.canvas
    batch, length = canvas.tokens.shape
    places = canvas.visible.nonzero()[:, 1].view(batch, -1)  # every row has as many
    score = torch.zeros(batch, length, dtype=torch.float64, device=canvas.tokens.device)
    for part in torch.split(places, _COPIES, dim=1):
        copies = part.shape[1]
        left_out = one_hot(part, length).bool().flatten(0, 1)
        tokens = canvas.tokens.repeat_interleave(copies, dim=0)
        prediction = ask(Query(tokens.masked_fill(left_out, canvas.mask_id), left_out, copies=copies))
        chance = prediction.logp(tokens).double().exp().where(left_out, 0.0)
        score += chance.view(batch, copies, length).sum(dim=1)
    return score


def shadow(rows: Injected, ask: Ask) -> Tensor:
    """Probability of a token at a mask beside the canvas that has its position id and does not see its place; one call
    of the longer canvas. WINO (Hong et al. 2025, arXiv 2507.18578), with the whole canvas as one block.

    Where layers follow each other it is no true leave-one-out: the other tokens have seen the one in question.
    """
    canvas = rows.canvas
    length, device = canvas.tokens.shape[1], canvas.tokens.device
    hidden = torch.zeros(2 * length, 2 * length, dtype=torch.bool, device=device)
    hidden[:length, length:] = True
    hidden[length:, :length] = torch.eye(length, dtype=torch.bool, device=device)
    bias = torch.zeros(hidden.shape, device=device).masked_fill(hidden, float("-inf"))
    query = Query(
        tokens=torch.cat([canvas.tokens, torch.full_like(canvas.tokens, canvas.mask_id)], dim=1),
        need=torch.cat([torch.zeros_like(canvas.visible), canvas.visible], dim=1),
        positions=torch.cat([canvas.positions, canvas.positions], dim=1),
        valid=torch.cat([canvas.valid, canvas.visible], dim=1),
        attention_bias=bias.expand(len(canvas.tokens), -1, -1),
    )
    return ask(query).logp(torch.cat([canvas.tokens, canvas.tokens], dim=1))[:, length:].double().exp()


def memory(rows: Injected, ask: Ask) -> Tensor:
    """Probability that a token had when it was unmasked, never renewed; a call for each step of the decoding.

    It is that of a decoder which made these errors itself: of the token it wrote, right or wrong, given those it had
    written in earlier steps. RCR (He et al. 2025, arXiv 2508.13148), ReMDM-conf (Wang et al. 2025, arXiv 2503.00307).
    """
    canvas = rows.canvas
    score = torch.zeros(canvas.tokens.shape, dtype=torch.float64, device=canvas.tokens.device)
    for step in range(rows.steps):
        fresh = canvas.visible & (rows.step == step)
        chance = ask(Query(rows.before(step), fresh)).logp(canvas.tokens)
        score = torch.where(fresh, chance.double().exp(), score)
    return score


def random(rows: Injected, ask: Ask) -> Tensor:
    """The control: a uniform number, no call."""
    canvas = rows.canvas
    length = canvas.tokens.shape[1]
    return rng.uniform(canvas.seed, "inject-control", canvas.document, canvas.sample, canvas.step, length)


def _probability(ask: Ask, tokens: Tensor, where: Tensor) -> Tensor:
    """(B, L) float64: the probability of `tokens` at `where`, 0 elsewhere."""
    return ask(Query(tokens, where)).logp(tokens).double().exp().where(where, 0.0)


SCORES: Mapping[str, Score] = {
    score.__name__: score for score in (visible, time_averaged, leave_one_out, shadow, memory, random)
}
NEEDS: Mapping[str, frozenset[str]] = {"shadow": frozenset({"positions", "attention_bias"})}
"""Capabilities of the model without which a score is not available."""
