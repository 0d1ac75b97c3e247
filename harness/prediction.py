"""A question to the model and its lazy answer.

`Prediction` computes a quantity when it is first read, over the needed positions only. Confidences are float32. Nothing
sorts the vocabulary. A draw is an inverse CDF at one uniform per position. Most quantities come from two passes over
the logits, made once: the highest logit and the probability mass of each tile of the vocabulary (`harness/tiles.py`);
or from a single compiled pass (`harness/fused.py`), where the model was asked to be compiled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor

from harness.fused import Fused
from harness.tiles import Passes, Plain, add_up, blocks, inverse_cdf, peaks

Random = Callable[[str, int], Tensor]
"""`random(purpose, count)`: (B, L, count) float64 in (0, 1), the same again for the same arguments."""


@dataclass(frozen=True)
class Query:
    """What one model call runs, row `i` for canvas row `i`.

    With `copies` = c, rows `c i … c i + c − 1` are for canvas row `i`, and every B below is c times the canvas's. The
    length may differ from the canvas's too, if `positions` and `valid` are given.

    tokens         (B, L) int64  what the model reads
    need           (B, L) bool   where a prediction is wanted
    rows           (B,) bool     the rows that this call is for; None = all. Other rows are neither charged nor answered
    positions      (B, L) int64  position ids in place of the canvas's
    valid          (B, L) bool   attended positions in place of the canvas's
    attention_bias (B, L, L)     added to the attention scores; needs the capability `attention_bias`
    time           (B,)          diffusion time; needs the capability `time`
    guidance       (B,)          guidance scale in place of the canvas's
    start                        random numbers for a model that begins from tokens of its own in place of the masks;
                                 needs the capability `start`
    outputs                      further outputs by name, such as `attention`; each needs its capability
    """

    tokens: Tensor
    need: Tensor
    rows: Tensor | None = None
    positions: Tensor | None = None
    valid: Tensor | None = None
    attention_bias: Tensor | None = None
    time: Tensor | None = None
    guidance: Tensor | None = None
    start: Random | None = None
    outputs: frozenset[str] = frozenset()
    copies: int = 1


@dataclass(frozen=True, eq=False)
class Prediction:
    """The model's distributions at `need`, from `logits` (N, V): one row per needed position, in row-major order.

    Everything but `full` has the canvas shape (B, L) and is 0 where no prediction was asked for. `temperature` (B,)
    is that of draws; all confidences, entropies and log-probabilities are at temperature 1. `places` are the positions
    of `need`, flat into B * L, where they were looked for before: to look again is to wait for the device again.
    `temperatures` are those of all rows, where the host knows them and need not ask. With `fused` the passes over the
    vocabulary are one, compiled.
    """

    logits: Tensor
    need: Tensor
    temperature: Tensor
    extra: Mapping[str, Tensor] = field(default_factory=dict)
    places: Tensor | None = None
    temperatures: frozenset[float] | None = None
    fused: bool = False

    @cached_property
    def index(self) -> Tensor:
        """(N,) int64: the needed positions, flat into B * L."""
        return self.need.flatten().nonzero().squeeze(1) if self.places is None else self.places

    @cached_property
    def _logp(self) -> Tensor:
        return torch.log_softmax(self.logits, dim=-1, dtype=torch.promote_types(self.logits.dtype, torch.float32))

    @cached_property
    def _passes(self) -> Passes:
        return Fused(self.logits) if self.fused else Plain(self.logits)

    @cached_property
    def _peaks(self) -> tuple[Tensor, Tensor, Tensor]:
        return peaks(self.logits, self._passes.peaks)

    @cached_property
    def _mass(self) -> Tensor:
        return self._passes.mass(self.peak)

    @cached_property
    def _log_total(self) -> Tensor:
        """(N,) float64: by how much the log of the sum over the vocabulary exceeds the highest logit."""
        return self._mass.sum(dim=-1).log()

    @property
    def peak(self) -> Tensor:
        """(N,): the highest logit; NaN where any is."""
        return self._peaks[0]

    def _scatter(self, values: Tensor) -> Tensor:
        out = values.new_zeros(self.need.shape)
        out.view(-1)[self.index] = values
        return out

    @cached_property
    def top1(self) -> Tensor:
        """(B, L) int64: the most probable token, the lowest id among equals."""
        return self._scatter(self._peaks[1])

    @cached_property
    def confidence(self) -> Tensor:
        """(B, L) float32: probability of the most probable token."""
        return self._scatter((-self._log_total).exp().float())

    @cached_property
    def top2(self) -> Tensor:
        """(B, L) float32: probability of the second most probable token."""
        best, _, second = self._peaks
        return self._scatter((second.double() - best.double() - self._log_total).exp().float())

    @property
    def margin(self) -> Tensor:
        """(B, L) float32: confidence minus the second probability."""
        return self.confidence - self.top2

    @cached_property
    def entropy(self) -> Tensor:
        """(B, L) float32, nats."""
        spread = -self._passes.slope(self.peak) / self._log_total.exp()
        return self._scatter((self._log_total + spread).float())

    def logp(self, tokens: Tensor) -> Tensor:
        """(B, L) float32: log-probability of `tokens` (B, L) at each needed position; −inf is possible."""
        chosen = self.logits.gather(-1, tokens.flatten()[self.index][:, None]).squeeze(-1)
        return self._scatter((chosen.double() - self.peak.double() - self._log_total).float())

    def draw(self, uniform: Tensor, temperature: Tensor | None = None) -> Tensor:
        """(B, L) int64: a token per position by inverse CDF at `uniform` (B, L) float64 in (0, 1).

        At temperature 0 it is the arg-max. A token of probability 0 is never drawn.
        """
        tau = self.per_position((self.temperature if temperature is None else temperature)[:, None], torch.float64)
        cold, plain = _kinds(tau, self.temperatures if temperature is None else None)
        if cold:
            return self.top1
        divisor = None if plain else _divisor(tau)
        mass = self._mass if plain else self._passes.mass(self.peak, divisor)
        drawn = inverse_cdf(self.logits, uniform.flatten()[self.index], self.peak, divisor, mass)
        return self._scatter(torch.where(tau <= 0, self._peaks[1], drawn))

    def _with(self, logits: Tensor) -> Prediction:
        """Other logits at the same positions."""
        return replace(self, logits=logits, places=self.index)

    def pick(self, copy: Tensor, copies: int) -> Prediction:
        """The predictions for copy `copy` (B,) int64 of each canvas row, from those of a query of `copies` copies."""
        rows = torch.arange(len(copy), device=copy.device) * copies + copy
        chosen = torch.zeros_like(self.need[:, 0]).index_fill(0, rows, True)
        logits = self.logits[chosen[self.index // self.need.shape[1]]]
        extra = {name: value[rows] for name, value in self.extra.items()}
        known, fused = self.temperatures, self.fused
        return Prediction(logits, self.need[rows], self.temperature[rows], extra, temperatures=known, fused=fused)

    def tempered(self) -> Prediction:
        """The distributions at the row's temperature, for methods whose scores are those of the draw; a further draw
        is at temperature 1. Rows at temperature 0 stay as they are."""
        tau = self.per_position(self.temperature[:, None], torch.float64)
        if _kinds(tau, self.temperatures)[1]:
            return self
        temperature = torch.where(self.temperature > 0, 1.0, self.temperature)
        divisor = _divisor(tau).to(self._logp.dtype)
        known = self.temperatures and frozenset(1.0 if each > 0 else each for each in self.temperatures)
        return replace(self._with(self._logp / divisor[:, None]), temperature=temperature, temperatures=known)

    def filtered(self, top_p: Tensor | float = 1.0, top_k: Tensor | int = 0) -> Prediction:
        """Only the likeliest tokens: the fewest whose probability reaches `top_p`, at most `top_k` (0 = any number).

        The token that crosses `top_p` is kept, and so at least one; equals count in the order of their ids. Both
        arguments are a number or (B, 1). Probabilities are those at temperature 1: `tempered().filtered(…)` has the
        usual order of a language model's decoding.
        """
        share, count = self.per_position(top_p, torch.float64), self.per_position(top_k, torch.int64)
        # Asking first costs a synchronisation and saves several passes over the vocabulary.
        by_share, by_count = bool((share < 1).any()), bool((count > 0).any())
        if not (by_share or by_count):
            return self
        weights = self._logp.exp().float()
        removed = torch.zeros_like(weights, dtype=torch.bool)
        if by_share:
            removed |= ~_likeliest(self._logp, weights, share) & (share < 1)[:, None]
        if by_count:
            removed |= ~_likeliest(self._logp, torch.ones_like(weights), count) & (count > 0)[:, None]
        return self._with(self.logits.masked_fill(removed, float("-inf")))

    def without(self, tokens: Sequence[int], where: Tensor | None = None) -> Prediction:
        """`tokens` made impossible at `where` (B, L), or everywhere; not where they are all that is possible."""
        if not tokens:
            return self
        logits = self.logits.clone()
        for token in tokens:  # few; as a tensor they would have to be brought to the device, and so waited for
            logits[:, token].fill_(float("-inf"))
        keep = logits.amax(dim=-1) == float("-inf")
        if where is not None:
            keep |= ~where.flatten()[self.index]
        return self._with(torch.where(keep[:, None], self.logits, logits))

    def per_position(self, value: Tensor | float, dtype: torch.dtype) -> Tensor:
        """(N,): a number, or a (B, 1) or (B, L) tensor, at each needed position."""
        value = torch.as_tensor(value, dtype=dtype, device=self.need.device)
        return value.expand(self.need.shape).flatten()[self.index]

    def full(self, where: Tensor) -> Tensor:
        """(M, V) float32 log-probabilities at the M positions of `where` (B, L), a subset of `need`, row-major."""
        return (self._logp if where is self.need else self._logp[where.flatten()[self.index]]).float()

    def kl_from(self, base: Prediction) -> Tensor:
        """(B, L) float32: KL(base ‖ self) in nats at `need`, which `base.need` must cover."""
        place = (base.need.flatten().cumsum(0) - 1)[self.index]
        parts = [self.logits.new_empty(0, dtype=torch.float32)]
        for rows in blocks(self.logits):
            p = _wide(base.logits[place[rows]]).log_softmax(dim=-1).float()
            q = _wide(self.logits[rows]).log_softmax(dim=-1).float()
            weight = p.exp()
            parts.append(add_up(torch.where(weight > 0, weight * (p - q), 0.0)).float())
        return self._scatter(torch.cat(parts))


def _wide(values: Tensor) -> Tensor:
    """At least float32."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def _kinds(tau: Tensor, known: frozenset[float] | None) -> tuple[bool, bool]:
    """Whether all temperatures `tau` (N,) are 0, and whether all are 0 or 1: each spares a pass over the vocabulary.
    That those which are `known` have more kinds changes no token; without them each question waits for the device."""
    if known is not None:
        return all(each <= 0 for each in known), all(each <= 0 or each == 1 for each in known)
    cold = tau <= 0
    return bool(cold.all()), bool((cold | (tau == 1)).all())


def _divisor(tau: Tensor) -> Tensor:
    """(N,) float64: the temperature that logits are divided by, 1 where it is 0."""
    # Below the smallest temperature all but the arg-max underflow anyway, and the quotient must not overflow.
    return torch.where(tau <= 0, 1.0, tau.clamp(min=1e-30))


def _likeliest(logp: Tensor, weight: Tensor, target: Tensor) -> Tensor:
    """(N, V) bool: the first tokens, by falling `logp` (N, V) and then by id, whose `weight` (N, V) adds up to
    `target` (N,); one at least. Equal tokens have equal weights."""
    # The bits of positive floats, read as integers, are in the same order.
    surprise = logp.float().abs().view(torch.int32)
    few = min(1024, logp.shape[1])
    ids = logp.topk(few).indices
    short = weight.gather(1, ids).cumsum(dim=1, dtype=torch.float64) < target[:, None]
    place = short.sum(dim=1, keepdim=True)
    limit = surprise.gather(1, ids.gather(1, place.clamp(max=few - 1))).squeeze(1)
    far = (place.squeeze(1) == few).nonzero().squeeze(1)
    if far.numel():
        limit[far] = _last_needed(surprise[far], weight[far], target[far])
    last = surprise == limit[:, None]
    each = torch.where(last, weight, 0.0).amax(dim=-1).double()
    missing = (target - _mass(surprise, weight, limit - 1)) / each.clamp(min=torch.finfo(torch.float64).tiny)
    among = last.cumsum(dim=-1, dtype=torch.int32) <= missing.ceil().clamp(min=1)[:, None]
    return (surprise < limit[:, None]) | (last & among)


def _last_needed(surprise: Tensor, weight: Tensor, target: Tensor) -> Tensor:
    """(N,) the lowest limit on `surprise` (N, V) int32 within which `weight` adds up to `target`, by bisection."""
    low, high = surprise.amin(dim=-1), surprise.amax(dim=-1)
    for _ in range(31):
        middle = low + (high - low) // 2
        enough = _mass(surprise, weight, middle) >= target
        low, high = torch.where(enough, low, torch.minimum(middle + 1, high)), torch.where(enough, middle, high)
    return high


def _mass(surprise: Tensor, weight: Tensor, limit: Tensor) -> Tensor:
    """(N,) float64: the `weight` of all that is at most `limit` (N,)."""
    return torch.where(surprise <= limit[:, None], weight, 0.0).sum(dim=-1, dtype=torch.float64)
