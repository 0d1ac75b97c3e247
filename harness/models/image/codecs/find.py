"""Where a codec's weights are: a folder, or a repository on the hub."""

from __future__ import annotations

from harness.errors import UserError
from harness.models.image.files import WeightsFile
from harness.models.text.checkpoint import Checkpoint, download, find_checkpoint

_NAMES = tuple(
    f"{stem}.{suffix}"
    for suffix in ("safetensors", "bin")
    for stem in ("diffusion_pytorch_model", "model", "pytorch_model")
)
"""What files of weights of one part of a model are called, the preferred first."""


def find_codec(name: str) -> Checkpoint:
    """The codec of a folder or of a hub name `owner/name`; UserError if there is none."""
    try:
        return find_checkpoint(name)
    except UserError as error:
        raise UserError(f"codec: {str(error).removeprefix('pretrained: ')}") from None


def codec_file(place: Checkpoint, subfolder: str = "") -> WeightsFile:
    """The file of weights in the folder `subfolder` of `place`, fetched from the hub if need be; UserError if none."""
    folder = place.folder / subfolder
    if place.hub is not None:
        names = (*(f"{subfolder}/{name}" if subfolder else name for name in _NAMES), "*.json")
        download(*place.hub, names)
    for name in _NAMES:
        if (folder / name).is_file():
            return WeightsFile(folder / name)
    raise UserError(f"codec: {folder} has no weights of a codec: none of {', '.join(_NAMES)} is there.")
