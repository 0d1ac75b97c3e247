"""DINOv2's features of pictures (Oquab et al. 2023, arXiv:2304.07193), for FD-DINOv2 (Stein et al. 2023,
arXiv:2306.04675): its class token, of pictures resized as clean-fid does."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from harness.metrics import pretrained

SIDE = 224
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_WHAT = "the DINOv2 network"


class Dinov2:
    """The network by the folder or hub name of its checkpoint."""

    def __init__(self, name: str, at_once: int = 64) -> None:
        self.name, self.at_once = name, at_once

    @property
    def identity(self) -> str:
        """What its features depend on."""
        return f"dinov2 {self.name}"

    @cached_property
    def width(self) -> int:
        """Of its features."""
        return int(pretrained.load("AutoConfig", self.name, _WHAT).hidden_size)

    def check(self) -> None:
        """Raise UserError where the checkpoint cannot be had."""
        pretrained.check(self.name, _WHAT, "AutoConfig")

    @cached_property
    def _network(self) -> Any:
        return pretrained.load_network("Dinov2Model", self.name, _WHAT)

    def see(self, pictures: Sequence[NDArray[np.uint8]]) -> dict[str, NDArray[np.float32]]:
        """`features` (n, d) of pictures (H, W, 3) RGB of any size."""
        from cleanfid.resize import make_resizer

        resize = make_resizer("PIL", False, "bicubic", (SIDE, SIDE))
        found = [np.zeros((0, self.width), dtype=np.float32)]
        for start in range(0, len(pictures), self.at_once):
            shown = np.stack([resize(picture) for picture in pictures[start : start + self.at_once]]) / 255
            batch = torch.from_numpy(((shown - _MEAN) / _STD).astype(np.float32)).permute(0, 3, 1, 2)
            with torch.inference_mode():
                out = self._network(pixel_values=batch.to(self._network.device))
            found.append(out.last_hidden_state[:, 0].float().cpu().numpy())
        return {"features": np.concatenate(found)}
