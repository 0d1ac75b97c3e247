"""Weights in one file, as image models are often released: a pickle, read with `weights_only=True`, or safetensors."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from harness.errors import UserError
from harness.models.text.checkpoint import SMALL_FILES, download, pieces, some

Net = TypeVar("Net", bound=nn.Module)
_SUFFIXES = (".safetensors", ".pth", ".pt", ".ckpt", ".bin")
_HUB_FILE = re.compile(r"([\w.-]+/[\w.-]+)/([\w./-]+)")
_WRAPPERS = ("ema", "model_state_dict", "state_dict", "model")
"""Under one of these names releases keep the tensors, beside the state of the training."""
_PREFIXES = ("module.", "_orig_mod.")
"""What data-parallel training and compilation put before names."""


@dataclass(frozen=True)
class WeightsFile:
    """A file of weights. `hub` is (repository, commit, file) where it is one of the hub's, fetched when it is read."""

    path: Path
    hub: tuple[str, str, str] | None = None

    @property
    def revision(self) -> str:
        """The commit on the hub, or 16 hex digits of SHA-256 over the file's size and 64 pieces of it."""
        return self.hub[1] if self.hub else hashlib.sha256(b"".join(pieces(self.path))).hexdigest()[:16]

    @property
    def is_here(self) -> bool:
        """Whether it is on disk: a file of the hub comes when it is read."""
        return self.path.is_file()

    def tensors(self, device: str = "cpu") -> dict[str, Tensor]:
        """Every tensor by its name, on the CPU, or without its values on the device `meta`, for which the file's header
        is enough; UserError where the file cannot be read, or is cut off."""
        if self.hub is not None:
            repository, commit, name = self.hub
            download(repository, commit, (name,))
        if not self.is_here:
            raise UserError(f"pretrained: there is no file {self.path}.")
        content = _read(self.path, "meta" if device == "meta" else "cpu")
        for name in _WRAPPERS:
            inner = content.get(name)
            if isinstance(inner, Mapping):
                content = inner
                break
        found = {_bare(key): value for key, value in content.items() if isinstance(value, Tensor)}
        if not found:
            raise UserError(f"pretrained: {self.path} holds no tensors.")
        return found


def find_file(name: str, hub_revision: str = "", argument: str = "pretrained") -> WeightsFile:
    """The file of a path, or of a hub name `owner/name/file` at a branch, tag or commit; UserError if there is none.

    Nothing large is fetched now.
    """
    path = Path(name).expanduser()
    if path.suffix in _SUFFIXES:
        if path.is_file():
            if hub_revision:
                raise UserError(f"hub_revision is {hub_revision!r}, but {argument} is the file {name}; leave it out.")
            return WeightsFile(path)
        if match := _HUB_FILE.fullmatch(name):
            folder = download(match[1], hub_revision, tuple(SMALL_FILES))
            return WeightsFile(folder / match[2], (match[1], folder.name, match[2]))
    kinds = ", ".join(_SUFFIXES)
    raise UserError(f"{argument}: {name!r} is neither a file ({kinds}) nor one on the hub such as owner/name/file.pth.")


def fill(
    network: Net,
    tensors: Mapping[str, Tensor],
    where: Any,
    dtype: torch.dtype,
    device: str,
    official: Callable[[str], str] = str,
    ignored: Iterable[str] = (),
) -> Net:
    """The `network`, built on the device `meta`, with the weights `tensors`.

    `official` gives the name in the release of each name in the network; tensors whose names begin with one of
    `ignored` are no part of it. UserError, which lists them, where tensors are missing, too many or of another shape.
    """
    wanted = {official(name): (name, value.shape) for name, value in network.state_dict().items()}
    found = {key for key in tensors if not key.startswith(tuple(ignored))}
    lists = {
        "missing": wanted.keys() - found,
        "unexpected": found - wanted.keys(),
        "of another shape": {key for key in wanted.keys() & found if tensors[key].shape != wanted[key][1]},
    }
    if told := "; ".join(f"{label}: {some(names)}" for label, names in lists.items() if names):
        raise UserError(f"pretrained: the tensors in {where} are not those of this model. {told}.")
    own = {name: tensors[key].to(device, dtype) for key, (name, _) in wanted.items()}
    network.load_state_dict(own, assign=True)
    return network.eval().requires_grad_(False)


def randomized(network: Net, dtype: torch.dtype, device: str) -> Net:
    """The `network`, built on the device `meta`, with weights that nothing was learnt in: always the same ones. On the
    device `meta` it stays without any."""
    if device == "meta":
        return network.to(dtype).eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    own = {}
    for name, parameter in network.state_dict().items():
        shape = parameter.shape
        if len(shape) == 1:
            value = torch.ones(shape) if name.endswith("weight") else torch.zeros(shape)
        else:
            fan_in = shape[-1] if len(shape) == 3 else shape[1:].numel()
            value = torch.randn(shape, generator=generator) * fan_in**-0.5
        own[name] = value.to(device, dtype)
    network.load_state_dict(own, assign=True)
    return network.eval().requires_grad_(False)


def size_of(tensors: Mapping[str, Tensor], key: str, axis: int, where: Any) -> int:
    """The length of the tensor `key` along `axis`; UserError where there is no such tensor."""
    if key not in tensors or tensors[key].dim() <= axis:
        raise UserError(f"pretrained: the tensors in {where} are not those of this model. missing: {key}.")
    return tensors[key].shape[axis]


def count_of(tensors: Mapping[str, Tensor], prefix: str) -> int:
    """How many numbers, from 0 on, follow `prefix` in the names of the tensors."""
    numbers = {key[len(prefix) :].partition(".")[0] for key in tensors if key.startswith(prefix)}
    return 1 + max((int(number) for number in numbers if number.isdigit()), default=-1)


class _Inert:
    """Stands for any class in a pickle that is not known to be harmless: nothing of it is run."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass


def _read(path: Path, device: str) -> Mapping[str, Any]:
    try:
        if path.suffix == ".safetensors":
            return _read_safetensors(path, device)
        # Old releases have the settings of their training in the file; weights alone are wanted.
        unknown = torch.serialization.get_unsafe_globals_in_checkpoint(path)
        with torch.serialization.safe_globals([(_Inert, name) for name in unknown]):
            content = torch.load(path, map_location=device, weights_only=True, mmap=True)
    except Exception as error:  # each way to be broken has a class of its own
        reason = str(error).strip().split("\n")[0]
        raise UserError(f"pretrained: {path} is not a readable file of weights: {reason}") from None
    if not isinstance(content, Mapping):
        raise UserError(f"pretrained: {path} holds {type(content).__name__}, not tensors by name.")
    return content


def _read_safetensors(path: Path, device: str) -> Mapping[str, Tensor]:
    from safetensors import safe_open
    from safetensors.torch import load_file

    if device != "meta":
        return load_file(path)
    with safe_open(path, framework="pt") as file:
        shapes = {key: file.get_slice(key).get_shape() for key in file.keys()}  # noqa: SIM118 (no mapping)
    return {key: torch.empty(shape, device=device) for key, shape in shapes.items()}


def _bare(key: str) -> str:
    for prefix in _PREFIXES:
        key = key.removeprefix(prefix)
    return key
