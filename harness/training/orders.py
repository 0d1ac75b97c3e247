"""Objectives of masked diffusion whose positions have schedules α_l(t) = 1 − t^w_l of their own, w learnt as well.

"Masked Diffusion Models are Secretly Learned-Order Autoregressive Models" (arXiv 2511.19152). What a row looks like
while it is predicted depends on w, so the gradient has a part through the draw of the masks: that is estimated from two
draws by leave-one-out REINFORCE (RLOO; Kool et al. 2019, "Buy 4 REINFORCE samples, get a baseline for free!").
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from harness.models.tables.race import draw_orders, prefix_log_prob

Predict = Callable[[Tensor, Tensor], Tensor]
"""Tokens (B, L) and where they are masked, (B, L) bool, to log-probabilities (B, L, V)."""


def order_space(predict: Predict, tokens: Tensor, log_rates: Tensor) -> Tensor:
    """(B,) nats: an unbiased estimate of the bound of each of `tokens` (B, L) at log w (L,), with an unbiased gradient.

    Not the paper's: the same expectation, taken over orders. Of an order drawn at the rates, the first k positions are
    seen, k uniform on 0 … L − 1, and the next one is averaged over all it may be. No time is cut off, and the variance
    is lower.
    """
    length = tokens.shape[1]
    both = tokens.repeat(2, 1)
    count = (_spread(tokens) * length).long().clamp(max=length - 1).repeat(2)[:, None]
    orders = draw_orders(log_rates, len(both)).to(tokens.device)
    masked = torch.zeros_like(both, dtype=torch.bool).scatter(
        1, orders, torch.arange(length, device=tokens.device) >= count
    )
    nats = _nats(predict(both, masked), both)
    following = log_rates.masked_fill(~masked, float("-inf")).softmax(dim=1)
    value = length * (following * nats).sum(dim=1)
    return leave_one_out(value, prefix_log_prob(orders, log_rates).gather(1, count).squeeze(1))


def continuous_time(predict: Predict, tokens: Tensor, log_rates: Tensor, start: float = 1e-3) -> Tensor:
    """(B,) nats: the same by the paper's equation 8, and at `start` the loss of what is still masked there.

    Between `start` and 1 the integrand is Σ_l w_l / t · (−log μ_l) over masked l at a uniform time. Without the second
    part, positions whose w goes to 0 would stay masked where nothing counts them. With log w (L, V) the rates are those
    of values (GenMD4: Shi et al. 2024, arXiv 2406.04329, section 6): that of the true value takes the place of w_l, and
    Σ_v w_v μ_v − w, which is 0 where all are equal, is added.
    """
    both = tokens.repeat(2, 1)
    time = (start + (1 - start) * _spread(tokens)).repeat(2)[:, None]
    rates = _of_values(log_rates, both).exp()

    def masks(time: Tensor) -> tuple[Tensor, Tensor]:
        """Draws at `time` (2B, 1), and their log-probability."""
        log_masked = rates * time.log()
        masked = torch.rand_like(rates) < log_masked.detach().exp()
        seen = (-torch.expm1(log_masked)).clamp(min=1e-30).log()
        return masked, torch.where(masked, log_masked, seen).sum(dim=1)

    masked, log_prob = masks(time)
    logp = predict(both, masked)
    rate = rates * _nats(logp, both)
    if log_rates.dim() == 2:
        rate = rate + (log_rates.exp() * logp.exp()).sum(dim=2) - rates
    value = (1 - start) * (rate * masked / time).sum(dim=1)
    estimate = leave_one_out(value, log_prob)

    masked, log_prob = masks(torch.full_like(time, start))
    some = masked.any(dim=1).nonzero().squeeze(1)  # the others, nearly all, have nothing left to predict
    rest = torch.zeros_like(value)
    if len(some):
        nats = _nats(predict(both[some], masked[some]), both[some])
        rest = rest.index_add(0, some, (nats * masked[some]).sum(dim=1))
    return estimate + leave_one_out(rest, log_prob)


def leave_one_out(value: Tensor, log_prob: Tensor) -> Tensor:
    """(B,): the mean of two draws' values, with the gradient of their expectation.

    value, log_prob  (2B,): the first draws, then the second ones
    """
    first, second = value.chunk(2)
    # Of no value by itself, only of a gradient.
    score = log_prob - log_prob.detach()
    one, other = score.chunk(2)
    return (first + second + (first - second).detach() * (one - other)) / 2


def _nats(logp: Tensor, tokens: Tensor) -> Tensor:
    """(B, L): −log-probability of the true tokens."""
    return -logp.gather(-1, tokens[..., None]).squeeze(-1)


def _of_values(log_rates: Tensor, tokens: Tensor) -> Tensor:
    """(B, L): the rate of each position, or of the value that it holds."""
    if log_rates.dim() == 1:
        return log_rates.expand(tokens.shape)
    return log_rates[torch.arange(tokens.shape[1], device=tokens.device), tokens]


def _spread(tokens: Tensor) -> Tensor:
    """(B,) in (0, 1): uniform numbers, one in each of B equal parts, which lowers the variance."""
    rows = len(tokens)
    return (torch.rand((), device=tokens.device) + torch.arange(rows, device=tokens.device)) / rows
