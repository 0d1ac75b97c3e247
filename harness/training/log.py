"""The log of a training: one JSON line a step, and its curve."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from harness.errors import UserError

UNREAD = 20
"""Losses are read from the device so many at a time: each reading waits for it."""


class Log:
    """Lines `{"step", "loss", …}` in `path`."""

    def __init__(self, path: Path, step: int) -> None:
        """Open the log of a training that resumes after `step`: lines of later steps, which come again, are dropped."""
        self.lines = [line for line in _read(path) if line["step"] <= step]
        self._unread: list[tuple[int, Tensor]] = []
        path.write_text("".join(json.dumps(line) + "\n" for line in self.lines), encoding="utf-8")
        self._file = path.open("a", encoding="utf-8")

    def add(self, step: int, loss: Tensor, numbers: Mapping[str, float]) -> None:
        """One line more, written soon, or at once if it has further `numbers`.

        Raises UserError if a loss is not finite.
        """
        self._unread.append((step, loss))
        if numbers or len(self._unread) == UNREAD:
            self._write(numbers)

    def _write(self, numbers: Mapping[str, float]) -> None:
        """The unread lines, `numbers` with the last."""
        losses = torch.stack([loss for _, loss in self._unread]).tolist()
        new = [{"step": step, "loss": loss} for (step, _), loss in zip(self._unread, losses, strict=True)]
        wrong = next((line for line in new if not math.isfinite(line["loss"])), None)
        if wrong:
            raise UserError(f"the loss is {wrong['loss']} at step {wrong['step']}: lower learning_rate.")
        new[-1] |= numbers
        self._file.write("".join(json.dumps(line) + "\n" for line in new))
        self._file.flush()
        self.lines += new
        self._unread = []

    def close(self) -> None:
        """Write what is unread, and close the file."""
        if self._unread:
            self._write({})
        self._file.close()

    def plot(self, path: Path) -> None:
        """Draw the loss (mean of at least 20 steps) with the validation, and each other number, as a PNG."""
        from matplotlib.figure import Figure

        validations = [line for line in self.lines if "validation" in line]
        others = [name for name in validations[-1] if name not in ("step", "loss", "validation")] if validations else []
        heights = [2, *[1] * len(others)]
        figure = Figure(figsize=(6, 3.5 + 1.6 * len(others)), layout="constrained")
        panels = figure.subplots(len(heights), squeeze=False, sharex=True, height_ratios=heights)[:, 0]
        size = max(20, len(self.lines) // 200)
        blocks = [self.lines[start : start + size] for start in range(0, len(self.lines), size)]
        means = [sum(line["loss"] for line in block) / len(block) for block in blocks]
        panels[0].plot([block[-1]["step"] for block in blocks], means, color="0.6")
        panels[0].set_ylabel("training loss")
        for axes, name in zip([panels[0].twinx(), *panels[1:]], ["validation", *others], strict=True):
            axes.plot([line["step"] for line in validations], [line[name] for line in validations], "o-", ms=3)
            axes.set_ylabel(name.replace("_", " ") if len(name) < 20 else name.replace("_", "\n"), fontsize="small")
        panels[-1].set_xlabel("step")
        figure.savefig(path, dpi=150)


def _read(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(line))
        except json.JSONDecodeError:  # torn by a kill; its step comes again
            break
    return lines
