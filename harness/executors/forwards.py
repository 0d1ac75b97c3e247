"""What a run really computed, beside what it charged to its samples: some forward passes serve several samples."""

from __future__ import annotations

import sys

from harness.engine.sharing import Forwards
from harness.store import RunStore
from harness.store.files import append_lines, encode

FILE = "forwards.jsonl"
"""In the folder of a run: a line for each piece of work that came to its end, in the order of time."""


def tell(run: RunStore, name: str, forwards: Forwards) -> None:
    """Note and print what `name` charged and computed, where samplers made anything."""
    if not forwards.charged:
        return
    append_lines(run.root / FILE, [encode({"name": name, **forwards._asdict()})])
    spared = 1 - forwards.computed / forwards.charged
    print(
        f"{name}: {forwards.charged} forward passes charged, {forwards.computed} computed ({spared:.1%} shared)",
        file=sys.stderr,
    )
