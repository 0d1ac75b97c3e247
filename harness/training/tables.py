"""The training on tables: masked diffusion whose columns, or their values, may learn schedules of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from harness.errors import UserError, did_you_mean
from harness.models.tables.data import load_table
from harness.models.tables.likelihood import fixed_order_nats, order_bound
from harness.models.tables.network import METHODS, TableConfig, TableTransformer
from harness.models.tables.race import order_entropy
from harness.spec import Scalar
from harness.training.orders import Predict, continuous_time, order_space
from harness.training.problem import Problem, fill

VALIDATION_ROWS, TEST_ROWS = 300, 1000
"""The most that are measured."""
VALIDATION_ORDERS, TEST_ORDERS = 2, 8
"""Orders along which each row is measured."""
VALIDATION_TIMES, TEST_TIMES = 64, 256
"""Times at which a schedule of values is measured."""


@dataclass(frozen=True)
class Sizes:
    """Of the network; the table says the rest."""

    width: int
    depth: int
    heads: int
    dropout: float = 0.0


@dataclass(frozen=True)
class Objective:
    """What is learnt of which table.

    data    a table of `harness.models.tables.data`, or the path of a .csv file
    bins    of a column of many different numbers
    split   seed of the split into training, validation and test rows
    method  `uniform`: all columns alike, the control. `order_space`: a rate for each column, by the bound over orders.
            `rloo`: the same by the paper's equation 8. `genmd4`: a rate for each value of each column, by equation 8.
            All predict each row under two masks, the control too
    """

    data: str
    bins: int = 8
    split: int = 0
    method: str = "order_space"

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise UserError(f"recipe: objective.method is {self.method!r}.{did_you_mean(self.method, METHODS)}")


def table(network: Mapping[str, Scalar], objective: Mapping[str, Scalar], device: str) -> Problem:
    """A table's rows; validated by the bound under the model's own orders, in nats a row."""
    wanted, sizes = fill(Objective, "objective", objective), fill(Sizes, "network", network)
    data = load_table(wanted.data, wanted.bins, wanted.split)
    config = TableConfig(
        names=list(data.columns),
        labels=list(data.columns.values()),
        data=wanted.data,
        bins=wanted.bins,
        split=wanted.split,
        digest=data.digest,
        method=wanted.method,
        **asdict(sizes),
    )
    parts = (data.train, data.validation[:VALIDATION_ROWS], data.test[:TEST_ROWS])
    train, validation, test = (torch.from_numpy(part).to(device) for part in parts)
    length = train.shape[1]

    def loss(model: nn.Module, batch: Tensor, progress: float) -> Tensor:
        assert isinstance(model, TableTransformer)
        estimate = order_space if wanted.method in ("uniform", "order_space") else continuous_time
        return estimate(_predictor(model), train[batch], model.log_rates()).mean() / length

    def bound(model: nn.Module, rows: Tensor, orders: int, times: int) -> Tensor:
        assert isinstance(model, TableTransformer)
        if wanted.method == "genmd4":
            return value_bound(model, rows, times)
        return order_bound(model, rows, model.log_rates(), orders)

    def measure(model: nn.Module) -> dict[str, float]:
        assert isinstance(model, TableTransformer)
        rates = model.log_rates().detach()
        entropy = {} if rates.dim() == 2 else {"order_entropy": order_entropy(rates, 512)}
        return entropy | {"largest_log_rate": float(rates.max()), "smallest_log_rate": float(rates.min())}

    def report(model: nn.Module) -> dict[str, float | list[float]]:
        assert isinstance(model, TableTransformer)
        own = bound(model, test, TEST_ORDERS, TEST_TIMES)
        uniform = order_bound(model, test, torch.zeros(length), TEST_ORDERS)
        found: dict[str, float | list[float]] = {
            "nats_per_row": float(own.mean()),
            "nats_per_row_stderr": float(own.std() / len(own) ** 0.5),
            "nats_per_row_uniform_orders": float(uniform.mean()),
            "nats": own.tolist(),
        }
        if wanted.method != "genmd4":
            fixed = fixed_order_nats(model, test)
            found |= {"nats_per_row_fixed_order": float(fixed.mean()), "nats_fixed_order": fixed.tolist()}
            rates = zip(data.columns, model.log_rates().tolist(), strict=True)
            found |= {f"log_rate/{name}": rate for name, rate in rates}
        return found | measure(model)

    return Problem(
        config,
        TableTransformer(config),
        len(train),
        loss,
        lambda model: float(bound(model, validation, VALIDATION_ORDERS, VALIDATION_TIMES).mean()),
        report,
        measure=measure,
    )


def _predictor(model: TableTransformer) -> Predict:
    def predict(tokens: Tensor, masked: Tensor) -> Tensor:
        places = torch.arange(tokens.shape[1], device=tokens.device).expand_as(tokens)
        logp: Tensor = model(tokens.masked_fill(masked, model.config.mask_id), places, torch.ones_like(masked))
        return logp

    return predict


@torch.inference_mode()
def value_bound(model: TableTransformer, rows: Tensor, times: int, seed: int = 0) -> Tensor:
    """(N,) float64: the bound of each row by equation 8 at `times` times, of a network whose values have rates."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        predict, rates = _predictor(model), model.log_rates()
        each = [
            continuous_time(predict, rows[:, None].expand(-1, times, -1)[i], rates).mean() for i in range(len(rows))
        ]
    return torch.stack(each).double()
