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
        """Draw the loss (mean of at least 20 steps) with the validation, and each other number, as a PNG."""
        from matplotlib.figure import Figure

        validations = [line for line in self.lines if "validation" in line]
        others = [
            name for name in (validations[-1] if validations else ()) if name not in ("step", "loss", "validation")
        ]
        figure = Figure(figsize=(6, 3.5 + 1.6 * len(others)), layout="constrained")
        panels = figure.subplots(1 + len(others), squeeze=False, sharex=True, height_ratios=[2, *[1] * len(others)])[
            :, 0
        ]
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
