"""Networks of transformers by the folder or the hub name of their checkpoint; no code of a checkpoint's is run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.errors import UserError

WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin")


def check(name: str, what: str, *parts: str) -> None:
    """Raise UserError where the checkpoint cannot be had, without loading its weights.

    what   the network, as the error calls it
    parts  names of the classes of transformers that read the checkpoint beside its weights, such as `AutoTokenizer`
    """
    for part in parts:
        load(part, name, what)
    if Path(name).is_dir() and not any((Path(name) / file).is_file() for file in WEIGHTS):
        raise UserError(f"{what}: the folder {name} has no {WEIGHTS[0]}.{_advice(name)}")


def load(kind: str, name: str, what: str) -> Any:
    """`from_pretrained` of a class of transformers that is no network: a configuration, a tokenizer and the like."""
    import transformers

    try:
        return getattr(transformers, kind).from_pretrained(name)
    except (OSError, ValueError, RuntimeError, TypeError) as error:
        raise UserError(f"{what} {name!r} cannot be loaded: {_line(error)}{_advice(name)}") from error


def load_network(kind: str, name: str, what: str) -> Any:
    """The network in float32, on a GPU if there is one. UserError also where a tensor of it is missing."""
    import torch
    import transformers

    try:
        network, found = getattr(transformers, kind).from_pretrained(
            name, dtype=torch.float32, output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError, TypeError) as error:
        raise UserError(f"{what} {name!r} cannot be loaded: {_line(error)}{_advice(name)}") from error
    missing = sorted(found["missing_keys"])
    if missing:
        raise UserError(f"{what} {name!r}: its weights lack {len(missing)} tensors, the first is {missing[0]}.")
    return network.eval().requires_grad_(False).to("cuda" if torch.cuda.is_available() else "cpu")


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _advice(name: str) -> str:
    if Path(name).is_dir():
        return " A folder must hold config.json, preprocessor_config.json, the tokenizer's files and model.safetensors."
    return (
        f" Without network, get it with `hf download {name} --local-dir DIR` where there is one (the files are at "
        f"https://huggingface.co/{name}/tree/main), and give DIR in place of the name."
    )
