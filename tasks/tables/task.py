"""Rows like those of the table that the model was trained on, compared with the real ones.

The reference is what the model could see, training and validation rows. The floor of each metric is what rows of the
same origin would reach: the expected distance between that many rows and as many others as the reference has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from itertools import combinations

import numpy as np
import torch
from torch import Tensor

from harness.errors import UserError
from harness.metrics.exact import expected_total_variation, total_variation
from harness.models.tables.data import load_table
from harness.models.tables.network import TableConfig
from harness.models.weights_file import read_weights
from harness.task import Document, Observations, Request, Sample, SetMetric, Slots


class Tables(Slots):
    """`count` rows.

    column_shape  total variation between the values of a column in generated and real rows, averaged over columns
    pair_trend    the same of the pairs of values of two columns, averaged over all pairs
    """

    def check(self) -> None:
        """Raise UserError for a `count` below 2, without a model, or if the table is not what it was trained on."""
        self.check_count()
        if self.model is None:
            raise UserError("task tables: the real rows are those that a model was trained on, so it needs the model.")
        _ = self.reference

    @cached_property
    def config(self) -> TableConfig:
        """What the weights say of their table."""
        assert self.model is not None
        return read_weights(str(self.model.args.get("weights", "table_digits")), TableConfig)[0]

    @cached_property
    def reference(self) -> Tensor:
        """(N, L) int64: the real rows."""
        table = load_table(self.config.data, self.config.bins, self.config.split)
        if table.digest != self.config.digest:
            raise UserError(
                f"task tables: the table {self.config.data!r} is not the one that the model was trained on: it hashes "
                f"to {table.digest} instead of {self.config.digest}."
            )
        return torch.from_numpy(np.concatenate([table.train, table.validation]))

    def request(self, document: Document) -> Request:
        """One row."""
        return Request(document.id)

    def aggregate(self, samples: Sequence[Sample], observations: Observations) -> dict[str, SetMetric]:
        """Both metrics; nothing for fewer than two rows."""
        if len(samples) < 2:
            return {}
        rows = torch.tensor([self._row(sample) for sample in samples])
        values = self.config.mask_id
        return {
            "column_shape": _distance(rows, self.reference, values),
            "pair_trend": _distance(_pairs(rows, values), _pairs(self.reference, values), values**2),
        }

    def _row(self, sample: Sample) -> tuple[int, ...]:
        tokens, sizes = sample.output.tokens, self.config.sizes
        if len(tokens) != len(sizes) or not all(0 <= token < size for token, size in zip(tokens, sizes, strict=True)):
            raise UserError(
                f"task tables: document {sample.document.id!r}, sample {sample.index}: {list(tokens)} is no row of the "
                f"table {self.config.data!r}, whose columns have {', '.join(map(str, sizes))} values."
            )
        return tokens


def _pairs(rows: Tensor, values: int) -> Tensor:
    """(N, L (L − 1) / 2) int64 in [0, V²): the values of every two columns."""
    first, second = torch.tensor(list(combinations(range(rows.shape[1]), 2))).T
    return rows[:, first] * values + rows[:, second]


def _distance(cells: Tensor, real: Tensor, values: int) -> SetMetric:
    probabilities = torch.stack([torch.bincount(column, minlength=values) for column in real.T]).double() / len(real)
    # The difference of two shares has the variance of one share of n rows, 1/n being the sum of both.
    as_many = round(1 / (1 / len(cells) + 1 / len(real)))
    return replace(total_variation(cells, probabilities), floor=expected_total_variation(probabilities, as_many))
