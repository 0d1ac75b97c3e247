"""A checkpoint in the Hugging Face layout: found on disk or on the hub, and checked before anything is computed."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

SMALL_FILES = ["*.json", "*.jinja", "*.txt", "*.model", "*.py"]
_INDEX, _SINGLE = "model.safetensors.index.json", "model.safetensors"
_FREQUENCIES = "rotary_emb.inv_freq"
"""Some releases store the frequencies of rotary positions, which follow from the configuration."""
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_PIECES, _PIECE = 64, 4096


@dataclass(frozen=True)
class Checkpoint:
    """A model's folder. `hub` is (repository, commit) where the folder is the hub's cache of it."""

    folder: Path
    hub: tuple[str, str] | None = None

    @property
    def revision(self) -> str:
        """What names the weights: the commit on the hub, or a fingerprint of the folder."""
        return self.hub[1] if self.hub else fingerprint(self.folder)

    @cached_property
    def config(self) -> dict[str, Any]:
        """The content of `config.json`."""
        path = self.folder / "config.json"
        if not path.is_file():
            raise UserError(f"pretrained: {self.folder} is no checkpoint: it has no config.json.")
        return read_json(path)

    @cached_property
    def shards(self) -> dict[str, list[str]]:
        """File name to the names of the tensors in it; UserError if the weights, or one file of them, are missing."""
        index = self.folder / _INDEX
        if index.is_file():
            places = {key: str(file) for key, file in read_json(index).get("weight_map", {}).items()}
        else:
            self.fetch()
            places = dict.fromkeys(sorted(self._open(_SINGLE).keys()), _SINGLE)
        files: dict[str, list[str]] = {}
        for key, file in places.items():
            if not key.endswith(_FREQUENCIES):
                files.setdefault(file, []).append(key)
        if self.hub is None and (missing := [name for name in files if not (self.folder / name).is_file()]):
            raise UserError(
                f"pretrained: {self.folder} lacks {len(missing)} of the {len(files)} files of weights that its "
                f"{_INDEX} names: {', '.join(sorted(missing)[:5])}. Download them again."
            )
        return files

    def check_keys(self, expected: Sequence[str]) -> None:
        """Raise UserError that lists the tensors which are missing, or which nobody expects."""
        found = {key for keys in self.shards.values() for key in keys}
        missing, extra = set(expected) - found, found - set(expected)
        if missing or extra:
            parts = {"missing": missing, "unexpected": extra}
            told = "; ".join(f"{label}: {some(names)}" for label, names in parts.items() if names)
            raise UserError(f"pretrained: the tensors in {self.folder} are not those of this model. {told}.")

    @property
    def is_here(self) -> bool:
        """Whether all files of weights are on disk: those of the hub come when they are read."""
        return all((self.folder / file).is_file() for file in self.shards)

    def check_shapes(self, expected: Mapping[str, Sequence[int]]) -> None:
        """Raise UserError for a file that is cut off, or a tensor of another shape; of the files, headers are read."""
        for file, keys in self.shards.items():
            opened = self._open(file)
            inside = set(opened.keys())
            for key in keys:
                if key not in inside:
                    raise UserError(
                        f"pretrained: {self.folder / file} lacks the tensor {key}, which the index puts there."
                    )
                shape, wanted = tuple(opened.get_slice(key).get_shape()), tuple(expected[key])
                if shape != wanted:
                    raise UserError(
                        f"pretrained: in {self.folder / file} the tensor {key} is {shape}; config.json asks for "
                        f"{wanted}."
                    )

    def tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Every tensor with its name, file by file, on the CPU."""
        for file, keys in self.shards.items():
            opened = self._open(file)
            for key in keys:
                yield key, opened.get_tensor(key)

    def _open(self, file: str) -> Any:
        from safetensors import SafetensorError, safe_open

        path = self.folder / file
        if not path.is_file():
            other = "; only safetensors are read" if any(self.folder.glob("*.bin")) else ""
            raise UserError(f"pretrained: {self.folder} has no weights: neither {_INDEX} nor {_SINGLE}{other}.")
        try:
            return safe_open(path, framework="pt")
        except SafetensorError as error:
            raise UserError(f"pretrained: {path} is not a readable safetensors file: {error}.") from None

    def fetch(self) -> None:
        """Have the files of weights on disk."""
        if self.hub is not None:
            download(*self.hub, (*SMALL_FILES, "*.safetensors"))


def find_checkpoint(pretrained: str, hub_revision: str = "") -> Checkpoint:
    """The checkpoint of a folder, or of a hub name `owner/name` at a branch, tag or commit; UserError if there is none.

    Of the hub's files only the small ones are fetched now; the weights follow when they are read.
    """
    path = Path(pretrained).expanduser()
    if path.is_dir():
        if hub_revision:
            raise UserError(
                f"hub_revision is {hub_revision!r}, but pretrained is the folder {pretrained}; leave it out."
            )
        return Checkpoint(path)
    if path.exists() or not _HUB_NAME.fullmatch(pretrained):
        raise UserError(f"pretrained: {pretrained!r} is neither a folder nor a name on the hub such as owner/name.")
    folder = download(pretrained, hub_revision, tuple(SMALL_FILES))
    return Checkpoint(folder, (pretrained, folder.name))


@lru_cache(maxsize=64)
def download(repository: str, revision: str, patterns: tuple[str, ...]) -> Path:
    """The hub's files in the local cache, in a folder named by their commit."""
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(repository, revision=revision or None, allow_patterns=list(patterns)))
    except Exception as error:  # each way to fail has a class of its own, and none is ours to mend
        reason = str(error).strip().split("\n")[0]
        raise UserError(
            f"pretrained: {repository}{f' at {revision}' if revision else ''} cannot be had from the hub, "
            f"and no such folder exists here: {reason}"
        ) from None


def fingerprint(folder: Path) -> str:
    """16 hex digits that tell one checkpoint from another: of SHA-256 over its small files, and over the size, the
    header and 64 pieces of each file of weights, since to read all of it would take as long as to load it."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        if path.suffix == ".safetensors":
            digest.update(b"".join(pieces(path)))
        elif any(path.match(pattern) for pattern in SMALL_FILES):
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def pieces(path: Path) -> Iterator[bytes]:
    """What tells a file of weights from others: its name and size, its header and 64 pieces of it."""
    size = path.stat().st_size
    yield f"{path.name} {size}".encode()
    with path.open("rb") as file:
        header = int.from_bytes(file.read(8), "little")
        yield file.read(min(header, size))
        for i in range(_PIECES):
            file.seek(i * max(size - _PIECE, 0) // (_PIECES - 1))
            yield file.read(_PIECE)


def read_json(path: Path, argument: str = "pretrained") -> dict[str, Any]:
    """The keys and values of a JSON file; UserError, in the words of a model's `argument`, where it holds none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{argument}: {path} cannot be read as JSON: {error}.") from None
    if not isinstance(content, Mapping):
        raise UserError(f"{argument}: {path} holds {type(content).__name__}, not keys and values.")
    return dict(content)


def some(names: set[str], most: int = 8) -> str:
    """The first names in alphabetical order, and how many more there are."""
    shown = ", ".join(sorted(names)[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
