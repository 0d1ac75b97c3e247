"""How likely rows are to a table's model, along orders: exact for one order, a bound on −log p(row) for their mean."""

from __future__ import annotations

import torch
from torch import Tensor

from harness.models.tables.network import TableTransformer
from harness.models.tables.race import draw_orders

BATCH = 512


@torch.inference_mode()
def nats_along(network: TableTransformer, rows: Tensor, orders: Tensor) -> Tensor:
    """(N,) float64: −log p of `rows` (N, L) int64, each generated in its own of the `orders` (N, L), by the chain
    rule: L forwards a row."""
    orders = orders.to(rows.device)
    chunks = [slice(start, start + BATCH) for start in range(0, len(rows), BATCH)]
    return torch.cat([_nats(network, rows[chunk], orders[chunk]) for chunk in chunks])


def _nats(network: TableTransformer, rows: Tensor, orders: Tensor) -> Tensor:
    places = torch.arange(rows.shape[1], device=rows.device).expand_as(rows)
    valid = torch.ones_like(rows, dtype=torch.bool)
    each = torch.arange(len(rows), device=rows.device)
    tokens = torch.full_like(rows, network.config.mask_id)
    total = torch.zeros(len(rows), dtype=torch.float64, device=rows.device)
    for position in orders.T:
        true = rows[each, position]
        total -= network(tokens, places, valid)[each, position, true].double()
        tokens[each, position] = true
    return total


def order_bound(network: TableTransformer, rows: Tensor, log_rates: Tensor, orders: int, seed: int = 0) -> Tensor:
    """(N,) float64: an unbiased estimate of each row's bound under orders drawn at the rates (L,), `orders` of each."""
    drawn = draw_orders(log_rates, len(rows) * orders, torch.Generator().manual_seed(seed))
    nats = nats_along(network, rows.repeat_interleave(orders, dim=0), drawn)
    return nats.view(-1, orders).mean(dim=1)


def fixed_order_nats(network: TableTransformer, rows: Tensor) -> Tensor:
    """(N,) float64: the exact −log p of each row where columns come by falling rate."""
    return nats_along(network, rows, network.log_rates().detach().argsort(descending=True, stable=True).expand_as(rows))
