"""Where a codec's weights are: a folder, or a repository on the hub."""

from __future__ import annotations

from dataclasses import dataclass

from harness.errors import UserError
from harness.models.image.files import WeightsFile
from harness.models.text.checkpoint import Checkpoint, download, find_checkpoint

_NAMES = tuple(
    f"{stem}.{suffix}"
    for suffix in ("safetensors", "bin")
    for stem in ("diffusion_pytorch_model", "model", "pytorch_model")
)
"""What files of weights of one part of a model are called, the preferred first."""


@dataclass(frozen=True)
class WeightsFolder:
    """A folder with the weights of one part of a model."""

    place: Checkpoint

    @property
    def revision(self) -> str:
        """What names them."""
        return self.place.revision

    @property
    def is_here(self) -> bool:
        """Whether they are on disk, as those of a folder should be: those of the hub come when they are read."""
        return self.place.hub is None or any((self.place.folder / name).is_file() for name in _NAMES)


def find_codec(name: str) -> Checkpoint:
    """The codec of a folder or of a hub name `owner/name`; UserError if there is none."""
    try:
        return find_checkpoint(name)
    except UserError as error:
        raise UserError(f"codec: {str(error).removeprefix('pretrained: ')}") from None


def codec_file(place: Checkpoint, subfolder: str = "", argument: str = "codec") -> WeightsFile:
    """The file of weights in the folder `subfolder` of `place`, fetched from the hub if need be; UserError if none."""
    folder = place.folder / subfolder
    if place.hub is not None:
        names = (*(f"{subfolder}/{name}" if subfolder else name for name in _NAMES), "*.json")
        download(*place.hub, names)
    for name in _NAMES:
        if (folder / name).is_file():
            return WeightsFile(folder / name)
    raise UserError(f"{argument}: {folder} has no weights of a codec: none of {', '.join(_NAMES)} is there.")
