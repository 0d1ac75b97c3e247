"""Tables as tokens: those that come with scikit-learn, or a CSV file of the user's, through one discretiser.

A column of numbers becomes quantile bins, one of few different numbers or of words keeps its values. Edges of bins are
those of the training rows; the words of a column are known beforehand, as the schema of a table is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import UserError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

Tokens = NDArray[np.int64]

FEW = 16
"""Numbers of up to so many different values are no bins."""
MOST_WORDS, MOST_COLUMNS, FEWEST_ROWS = 64, 64, 20
TEST, VALIDATION = 0.2, 0.15
"""Shares of the rows, rounded."""


@dataclass(frozen=True)
class Table:
    """A table of L columns.

    columns  name of each column to what its tokens 0, 1, … stand for
    train, validation, test  (N, L) int64
    """

    columns: Mapping[str, list[str]]
    train: Tokens
    validation: Tokens
    test: Tokens

    @property
    def digest(self) -> str:
        """16 hex digits that depend on every token and its place."""
        found = hashlib.sha256(repr(list(self.columns.items())).encode())
        for part in (self.train, self.validation, self.test):
            found.update(np.ascontiguousarray(part, dtype="<u1").tobytes())
        return found.hexdigest()[:16]


def load_table(data: str, bins: int, split: int) -> Table:
    """The table `data` (a name of `TABLES`, or the path of a `.csv` file with a header), its rows in the order of the
    random seed `split`: test rows, validation rows, and the rest for training. Raises UserError."""
    frame = _read(data)
    if not 2 <= bins <= 64:
        raise UserError(f"table {data!r}: bins is {bins}; it must be from 2 to 64.")
    if len(frame) < FEWEST_ROWS or not 2 <= frame.shape[1] <= MOST_COLUMNS:
        raise UserError(
            f"table {data!r} has {len(frame)} rows and {frame.shape[1]} columns; it must have at least {FEWEST_ROWS} "
            f"rows, and 2 to {MOST_COLUMNS} columns."
        )
    frame = frame.iloc[np.random.RandomState(split).permutation(len(frame))]  # numpy has frozen this stream
    test, validation = round(TEST * len(frame)), round(VALIDATION * len(frame))
    columns, tokens = {}, []
    for name in frame.columns:
        values, labels = _discretised(frame[name], test + validation, bins, f"table {data!r}: column {name!r}")
        columns[str(name)] = labels
        tokens.append(values)
    rows = np.stack(tokens, axis=1)
    return Table(columns, rows[test + validation :], rows[test : test + validation], rows[:test])


def _discretised(column: pd.Series[Any], held_out: int, bins: int, where: str) -> tuple[Tokens, list[str]]:
    """Tokens (N,) and what each stands for; the first `held_out` rows have no say in where bins begin."""
    missing = column.isna().to_numpy()
    if column.dtype.kind in "iuf":
        numbers = column.to_numpy(np.float64, na_value=np.nan)
        tokens, labels = _bins(numbers, numbers[held_out:], bins)
    else:
        words = column.astype(str)
        labels = sorted(words[~missing].unique())
        if len(labels) > MOST_WORDS:
            raise UserError(f"{where} has {len(labels)} different words, and may have {MOST_WORDS}. Leave it out.")
        tokens = np.searchsorted(np.array(labels, dtype=object), words.to_numpy(object)).astype(np.int64)
    if missing.any():
        labels = [*labels, "missing"]
    tokens[missing] = len(labels) - 1
    return tokens, labels


def _bins(numbers: NDArray[np.float64], train: NDArray[np.float64], bins: int) -> tuple[Tokens, list[str]]:
    known = np.unique(numbers[np.isfinite(numbers)])
    if len(known) <= FEW:
        tokens = np.searchsorted(known, numbers).clip(max=len(known) - 1)
        return tokens.astype(np.int64), [f"{value:g}" for value in known]
    edges = np.unique(np.quantile(train[np.isfinite(train)], np.arange(1, bins) / bins))
    names = [f"{edge:.4g}" for edge in edges]
    inner = [f"{low} to {high}" for low, high in pairwise(names)]
    labels = [f"below {names[0]}", *inner, f"from {names[-1]}"]
    return np.searchsorted(edges, numbers, side="right").astype(np.int64), labels


def _read(data: str) -> pd.DataFrame:
    if not data.endswith(".csv"):
        if data not in TABLES:
            raise UserError(f"table {data!r} is neither known nor a path to a .csv file.{did_you_mean(data, TABLES)}")
        return TABLES[data]()

    import pandas as pd

    path = Path(data).expanduser()
    try:
        frame: pd.DataFrame = pd.read_csv(path, skipinitialspace=True)
        return frame
    except OSError as error:
        raise UserError(f"table {data!r} cannot be read: {error.strerror}.") from None
    except (ValueError, UnicodeDecodeError) as error:  # pandas' own errors are among them
        raise UserError(f"table {data!r} is no CSV file: {error}.") from None


def _digits() -> pd.DataFrame:
    """1,797 digits as 4x4 means of 2x2 pixels, in five grey levels, and their label as the 17th column."""
    import pandas as pd
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    pooled = images.reshape(-1, 4, 2, 4, 2).mean(axis=(2, 4)).reshape(-1, 16)
    names = [f"pixel_{row}_{column}" for row in range(4) for column in range(4)]
    frame: pd.DataFrame = pd.DataFrame(np.round(pooled / 4).astype(np.int64), columns=names)
    frame["label"] = labels
    return frame


def _shipped(name: str) -> Callable[[], pd.DataFrame]:
    def load() -> pd.DataFrame:
        import sklearn.datasets

        frame: pd.DataFrame = getattr(sklearn.datasets, f"load_{name}")(as_frame=True).frame
        return frame

    return load


TABLES: Mapping[str, Callable[[], pd.DataFrame]] = {
    "digits": _digits,
    "breast_cancer": _shipped("breast_cancer"),
    "diabetes": _shipped("diabetes"),
    "wine": _shipped("wine"),
}
