"""Inception features of pictures by clean-fid (Parmar et al. 2022, arXiv:2104.11222), in each of its modes.

clean              clean-fid's resize (bicubic, antialiased, by PIL), the original network as NVIDIA ported it
legacy_tensorflow  the same network with the resize of the original code, which is part of it
legacy_pytorch     pytorch-fid's resize (bilinear, not antialiased) and port of the network
"""

from __future__ import annotations

import hashlib
import logging
import warnings
from collections.abc import Sequence
from functools import cached_property
from itertools import groupby
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import UserError
from harness.remote import RemoteFile

log = logging.getLogger(__name__)

_NVIDIA = RemoteFile(
    "inception-2015-12-05.pt",
    "https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained/metrics/inception-2015-12-05.pt",
    "f58cb9b6ec323ed63459aa4fb441fe750cfe39fafad6da5cb504a16f19e958f4",
)
_PYTORCH_FID = RemoteFile(
    "pt_inception-2015-12-05-6726825d.pth",
    "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
    "6726825d",
)
FILES = {"clean": _NVIDIA, "legacy_tensorflow": _NVIDIA, "legacy_pytorch": _PYTORCH_FID}
"""Mode to the published weights."""
WIDTH = 2048


class Inception:
    """The network of a mode.

    weights  path of the file, or of its folder; empty = looked for in `folders`, else downloaded
    needs    who asks, for error messages
    """

    width = WIDTH

    def __init__(
        self, mode: str, weights: str = "", folders: Sequence[Path] = (), needs: str = "FID", at_once: int = 64
    ) -> None:
        self.mode, self.at_once = mode, at_once
        self._weights, self._folders, self._needs = weights, folders, needs

    @cached_property
    def path(self) -> Path:
        """The weights' file; UserError where it cannot be had."""
        file = FILES[self.mode]
        if not self._weights:
            return file.find(self._needs, self._folders)
        path = Path(self._weights).expanduser()
        path = path / file.name if path.is_dir() else path
        if not path.is_file() or path.name != file.name:
            raise UserError(
                f"{self._needs}: inception is {self._weights!r}; for {self.mode} it must be the file {file.name} or "
                f"its folder. The file is published at {file.url} (SHA-256 {file.sha256})."
            )
        return path

    @cached_property
    def identity(self) -> str:
        """Mode and hash of the weights, and a warning where they are not those that are published."""
        digest = hashlib.sha256(self.path.read_bytes()).hexdigest()
        if not digest.startswith(FILES[self.mode].sha256):
            log.warning("%s: %s is not the published network: these numbers compare with no others",
                        self._needs, self.path)  # fmt: skip
        return f"{self.mode} {digest}"

    def check(self) -> None:
        """Raise UserError where the weights cannot be had."""
        _ = self.identity

    def see(self, pictures: Sequence[NDArray[np.uint8]]) -> dict[str, NDArray[np.float32]]:
        """`features` (n, 2048) of pictures (H, W, 3) RGB of any size; of the original network also `probabilities`
        (n, 1008), for the Inception score: at the original resize and without the bias of the last layer."""
        from cleanfid.resize import build_resizer

        with warnings.catch_warnings():  # clean-fid silences all for good
            resize = build_resizer(self.mode)
        features = self._in_batches([resize(picture) for picture in pictures], self._features, WIDTH)
        if self.mode == "legacy_pytorch":
            return {"features": features}
        return {"features": features, "probabilities": self._in_batches(pictures, self._probabilities, 1008)}

    def _in_batches(self, pictures: Sequence[NDArray[Any]], run: Any, width: int) -> NDArray[np.float32]:
        """(n, width): `run` of pictures (H, W, 3), those of one size that follow each other together."""
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
        found = [np.zeros((0, width), dtype=np.float32)]
        for _, same in groupby(pictures, key=lambda picture: picture.shape):
            group = list(same)
            for start in range(0, len(group), self.at_once):
                batch = torch.from_numpy(np.stack(group[start : start + self.at_once])).permute(0, 3, 1, 2)
                with torch.inference_mode():
                    found.append(run(batch.float().to(device)).cpu().numpy())
        return np.concatenate(found)

    def _features(self, batch: Any) -> Any:
        if self.mode == "legacy_pytorch":
            return self._network(batch / 255)[0].flatten(1)
        return self._network(batch)

    def _probabilities(self, batch: Any) -> Any:
        return self._network.base(batch, no_output_bias=True)

    @cached_property
    def _network(self) -> Any:
        """clean-fid's own, whose loading of weights is pointed at the file."""
        import torch

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that TorchScript, and torchvision's arguments, are of the past
                network = self._pytorch_fid() if self.mode == "legacy_pytorch" else self._nvidia()
        except (OSError, RuntimeError, ValueError, AttributeError, UnpicklingError) as error:
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise UserError(f"{self.path} is not the Inception network of {self.mode}: {reason}") from error
        return network.eval().requires_grad_(False).to("cuda" if torch.cuda.is_available() else "cpu")

    def _nvidia(self) -> Any:
        from cleanfid.inception_torchscript import InceptionV3W

        resizes = self.mode == "legacy_tensorflow"
        return InceptionV3W(str(self.path.parent), download=False, resize_inside=resizes)

    def _pytorch_fid(self) -> Any:
        import torch
        from cleanfid import inception_pytorch

        official = inception_pytorch.load_state_dict_from_url
        inception_pytorch.load_state_dict_from_url = lambda *_, **__: torch.load(
            self.path, map_location="cpu", weights_only=True
        )
        try:
            return inception_pytorch.InceptionV3(output_blocks=[3], resize_input=False)
        finally:
            inception_pytorch.load_state_dict_from_url = official
