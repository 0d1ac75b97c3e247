"""For --include-path: models that take their time ($PACE, seconds a call) and meet with the accidents that files in
the folder $FAULTS name, each once, in whichever process comes first, at a call of the share $CHANCE of them (all)."""

import contextlib
import os
import random
import signal
import time
from pathlib import Path

import torch

from harness.executors import loader, making

making.FLUSH_SECONDS = float(os.environ.get("FLUSH", making.FLUSH_SECONDS))
MOMENTS = random.Random(0)


def accident(kind):
    if kind == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "hang":
        time.sleep(1000)
    if kind == "memory":
        raise torch.OutOfMemoryError("out of memory")
    raise RuntimeError(f"an accident of the kind {kind}")


def meet_accidents():
    for file in Path(os.environ["FAULTS"]).glob("*"):
        kind, _, again = file.name.partition("-")
        if again == "always":
            accident(kind)
        if MOMENTS.random() >= float(os.environ.get("CHANCE", 1)):
            continue
        with contextlib.suppress(FileNotFoundError):
            file.unlink()
            accident(kind)


def wrap(load):
    def load_model(spec, device):
        model = load(spec, device)
        logits = model.logits

        def late(inputs, index):
            time.sleep(float(os.environ.get("PACE", 0)))
            meet_accidents()
            return logits(inputs, index)

        model.logits = late
        return model

    load_model.wraps = load
    return load_model


if not hasattr(loader.load_model, "wraps"):
    loader.load_model = wrap(loader.load_model)
