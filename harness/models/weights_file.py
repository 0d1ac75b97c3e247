"""Weights as safetensors files that say how to build their network: those shipped here, or a user's own by path."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from harness.errors import UserError, did_you_mean

if TYPE_CHECKING:
    from torch import Tensor

Config = TypeVar("Config")

SHIPPED = Path(__file__).parent / "weights"


def find_weights(weights: str) -> Path:
    """The file of a shipped name such as `digits`, or of a path ending in `.safetensors`; UserError if absent."""
    if weights.endswith(".safetensors"):
        path = Path(weights).expanduser()
        if not path.is_file():
            raise UserError(f"weights: no file {weights!r}.")
        return path
    path = SHIPPED / f"{weights}.safetensors"
    if not path.is_file():
        shipped = [file.stem for file in SHIPPED.glob("*.safetensors")]
        hint = did_you_mean(weights, shipped)
        raise UserError(f"weights: {weights!r} is neither shipped nor a path to a .safetensors file.{hint}")
    return path


def digits_revision(*, weights: str = "digits") -> str:
    """The revision of the model `digits` for `ModelSpec`: first 16 hex digits of the SHA-256 of its weights file."""
    return hashlib.sha256(find_weights(weights).read_bytes()).hexdigest()[:16]


def read_weights(weights: str, config_type: type[Config]) -> tuple[Config, dict[str, Tensor]]:
    """The network's configuration and its tensors; UserError if the file is not weights of such a network."""
    from safetensors import SafetensorError, safe_open

    path = find_weights(weights)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except SafetensorError as error:
        raise UserError(f"weights: {path} is not a readable safetensors file: {error}.") from None
    if metadata.get("network") != config_type.__name__:
        raise UserError(
            f"weights: {path} holds {metadata.get('network', 'no named network')}, not {config_type.__name__}."
        )
    return config_type(**json.loads(metadata["config"])), tensors


def write_weights(path: Path, config: Any, tensors: Mapping[str, Tensor], **about: str) -> None:
    """Write `tensors` with the dataclass `config` of their network and further metadata; atomic."""
    metadata = {
        "network": type(config).__name__,
        "config": json.dumps(dataclasses.asdict(config), sort_keys=True),
        **about,
    }
    write_tensors(path, tensors, metadata)


def write_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a safetensors file so that `path` holds the old content or the new one, never a part."""
    from safetensors.torch import save

    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        file.write(save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, metadata))
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
