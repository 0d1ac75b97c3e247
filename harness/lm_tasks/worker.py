"""The process that runs what a model wrote: `python -m harness.lm_tasks.worker`, spoken to by `harness.lm_tasks.code`.

It reads one line of JSON that says which task, loads it, answers `ready`, and then answers each further line, a
document and the responses to it, with lm-eval's verdicts. `harness.lm_tasks.confine` has its limits.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any, TextIO

from harness.lm_tasks.confine import leave_network, limit, write_only_in


def main() -> None:
    """Serve until standard input ends."""
    answers = os.fdopen(os.dup(1), "w")  # what the code prints goes elsewhere
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    leave_network()
    from harness.lm_tasks.load import ask, judge, load

    order = json.loads(sys.stdin.readline())
    data_dir = Path(order["data_dir"]) if order["data_dir"] else None
    task = load(order["name"], Path(order["path"]), order["settings"], data_dir)
    asked = {str(each.id): each for each in ask(task, order["settings"])}
    limit(order["memory"], order["file_size"])
    # Semaphores of multiprocessing, by which lm-eval limits the time of a program, are files in /dev/shm.
    write_only_in([os.getcwd(), "/dev/shm", os.devnull])
    _say(answers, "ready")
    for line in sys.stdin:
        document, responses = json.loads(line)
        verdicts = judge(task, asked[document], responses)
        _say(answers, [[metric, chosen, value] for (metric, chosen), value in verdicts.items()])


def _say(answers: TextIO, value: Any) -> None:
    import numpy as np

    def plain(value: Any) -> Any:
        return value.tolist() if isinstance(value, np.generic | np.ndarray) else str(value)

    print(json.dumps(value, default=plain), file=answers, flush=True)


if __name__ == "__main__":
    main()
