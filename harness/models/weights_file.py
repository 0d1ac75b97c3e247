"""Weights as safetensors files that say how to build their network: those shipped here, or a user's own by path."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from harness.errors import UserError, did_you_mean
from harness.spec import Scalar

if TYPE_CHECKING:
    from torch import Tensor, nn

Config = TypeVar("Config")
Network = TypeVar("Network", bound="nn.Module")

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


def revision(weights: str) -> str:
    """What names the weights in a `ModelSpec`: first 16 hex digits of the SHA-256 of their file."""
    return hashlib.sha256(find_weights(weights).read_bytes()).hexdigest()[:16]


def digits_revision(*, weights: str = "digits") -> str:
    """The revision of the model `digits`."""
    return revision(weights)


def digits_dit_revision(*, weights: str = "mc_dit/clean_to_clean_0") -> str:
    """The revision of the model `digits_dit`."""
    return revision(weights)


def mini_revision(*, weights: str = "mini") -> str:
    """The revision of the model `mini`."""
    return revision(weights)


def table_revision(*, weights: str = "table_digits") -> str:
    """The revision of the model `table`."""
    return revision(weights)


def read_weights(weights: str, config_type: type[Config]) -> tuple[Config, dict[str, Tensor]]:
    """The network's configuration and its tensors; UserError if the file is not weights of such a network."""
    from safetensors import SafetensorError, safe_open

    path = find_weights(weights)
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {}).get("about", "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
    except SafetensorError as error:
        raise UserError(f"weights: {path} is not a readable safetensors file: {error}.") from None
    if about.get("network") != config_type.__name__:
        raise UserError(
            f"weights: {path} holds {about.get('network', 'no named network')}, not {config_type.__name__}."
        )
    return config_type(**about["config"]), tensors


def filled(weights: str, config_type: type[Config], make: Callable[[Config], Network]) -> Network:
    """The network `make(config)` with the tensors of a file, for inference; UserError if they do not fit it."""
    config, tensors = read_weights(weights, config_type)
    network = make(config)
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        problem = str(error).splitlines()[-1].strip()
        raise UserError(f"weights: {find_weights(weights)} does not fit the network of today: {problem}") from None
    return network.eval()


def read_facts(weights: str) -> dict[str, Any]:
    """What `write_weights` noted beside the configuration of the network."""
    from safetensors import safe_open

    with safe_open(find_weights(weights), framework="pt") as file:
        return dict(json.loads((file.metadata() or {}).get("about", "{}")))


def write_weights(path: Path, config: Any, tensors: Mapping[str, Tensor], **about: Scalar) -> None:
    """Write `tensors` with the dataclass `config` of their network and further facts about them; atomic."""
    write_tensors(path, tensors, {"network": type(config).__name__, "config": dataclasses.asdict(config), **about})


def write_tensors(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    """Write a safetensors file with the plain data `about` in its header.

    `path` holds the old content or the new one, never a part; the same content is the same bytes.
    """
    from safetensors.torch import save

    # One key: safetensors writes several in random order.
    metadata = {"about": json.dumps(about, sort_keys=True)}
    content = save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, metadata)
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)
