"""Tiny checkpoints of image models in the layout of the released ones, with weights that a formula gives: the released
code ran on the same ones, and `models/image/official.json` has the names and shapes of its tensors and what it made."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


@cache
def official() -> dict[str, Any]:
    return json.loads((Path(__file__).parent / "models/image/official.json").read_text())


def tensors(model: str) -> dict[str, Tensor]:
    """All weights of `model`, by the released names."""
    found = {name: formula(name, shape) for name, shape in official()[model]["shapes"].items()}
    if "head.weight" in found:
        found["head.weight"] = found["tok_emb.weight"]
    return found


def formula(name: str, shape: Sequence[int]) -> Tensor:
    size, turn = math.prod(shape), zlib.crc32(name.encode()) % 1000 / 1000
    place = torch.arange(size, dtype=torch.float64)
    value = torch.sin(place * (1.3 + turn) + 12.9898 * torch.sin(place * 0.37 + 7 * turn))
    if len(shape) == 1:
        value = 1 + 0.2 * value if name.endswith("weight") else 0.1 * value
    else:
        value = value * (2 / (shape[-1] if len(shape) == 3 else math.prod(shape[1:]))) ** 0.5
    return value.float().view(*shape)


class Callback:
    """What old releases keep beside their weights."""


def write(folder: Path) -> Path:
    """The files of Halton-MaskGIT, of MaskGIT in PyTorch with its student, and of both codecs."""
    folder.mkdir(exist_ok=True)
    halton = {f"module.{name}": tensor for name, tensor in tensors("halton_maskgit").items()}
    torch.save({"model_state_dict": halton, "iter": 5, "global_epoch": 1}, folder / "halton.pth")
    torch.save({"model_state_dict": tensors("maskgit_pytorch"), "iter": 5}, folder / "maskgit.pth")
    torch.save(tensors("maskgit_pytorch"), folder / "student.bin")
    used = {"quantize.codebook_used": torch.zeros(65536)}
    torch.save({"model": tensors("llamagen") | used, "optimizer": {}}, folder / "llamagen.pt")
    training = {"callbacks": {Callback: {"best": Callback()}}, "epoch": 3}
    loss = {"loss.discriminator.main.0.weight": torch.zeros(3)}
    torch.save({"state_dict": tensors("taming") | loss, **training}, folder / "taming.ckpt")
    return folder


def halton_arguments(folder: Path) -> dict[str, Any]:
    return {"pretrained": f"{folder}/halton.pth", "codec": f"{folder}/llamagen.pt", "heads": 5}


def maskgit_arguments(folder: Path, file: str = "maskgit.pth") -> dict[str, Any]:
    return {"pretrained": f"{folder}/{file}", "codec": f"{folder}/taming.ckpt", "heads": 4}
