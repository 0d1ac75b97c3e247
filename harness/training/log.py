"""The log of a training: one JSON line a step, and its curve."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


class Log:
    """Lines `{"step", "loss", …}` in `path`, flushed one by one."""

    def __init__(self, path: Path, step: int) -> None:
        """Open the log of a training that resumes after `step`: lines of later steps, which come again, are dropped."""
        self.lines = [line for line in _read(path) if line["step"] <= step]
        path.write_text("".join(json.dumps(line) + "\n" for line in self.lines), encoding="utf-8")
        self._file = path.open("a", encoding="utf-8")

    def add(self, line: dict[str, Any]) -> None:
        """Append one line."""
        self.lines.append(line)
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def plot(self, path: Path) -> None:
        """Draw the loss (mean of 20 steps) and the validation as a PNG."""
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6, 3.5), layout="constrained")
        axes = figure.add_subplot(xlabel="step", ylabel="training loss")
        losses = [line["loss"] for line in self.lines]
        blocks = range(0, len(losses), 20)
        axes.plot(
            [min(start + 20, len(losses)) for start in blocks],
            [sum(losses[start : start + 20]) / len(losses[start : start + 20]) for start in blocks],
            color="0.6",
        )
        validations = [line for line in self.lines if "validation" in line]
        right = axes.twinx()
        right.plot([line["step"] for line in validations], [line["validation"] for line in validations], "o-", ms=3)
        right.set_ylabel("validation")
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
