"""The codec of aMUSEd (Patil et al. 2024, arXiv 2401.01808), which Lumina-DiMOO uses: the `VQModel` of diffusers."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.errors import UserError
from harness.models.image.files import WeightsFile, fill, randomized
from harness.models.text.checkpoint import read_json

RELEASED = {
    "act_fn": "silu",
    "block_out_channels": [128, 256, 256, 512, 768],
    "down_block_types": ["DownEncoderBlock2D"] * 5,
    "up_block_types": ["UpDecoderBlock2D"] * 5,
    "in_channels": 3,
    "out_channels": 3,
    "latent_channels": 64,
    "layers_per_block": 2,
    "lookup_from_codebook": True,
    "mid_block_add_attention": False,
    "norm_num_groups": 32,
    "num_vq_embeddings": 8192,
    "sample_size": 32,
}
"""The sizes of aMUSEd's codec, as its `config.json` writes them."""


class VQCodec:
    """Pictures to grids of codes and back; the sides are `factor` times those of the grid."""

    def __init__(self, network: Any) -> None:
        self.network = network
        self.codes = int(network.config.num_vq_embeddings)
        self.factor = 2 ** (len(network.config.block_out_channels) - 1)

    @torch.inference_mode()
    def picture(self, codes: Sequence[int], grid: tuple[int, int]) -> NDArray[np.uint8]:
        """(H, W, 3) of the codes of one picture, row by row: levels 255 x, rounded, as diffusers writes them."""
        latents = torch.tensor([codes], device=self.network.device).view(1, *grid)
        shape = (1, *grid, self.network.config.latent_channels)
        decoded: Tensor = self.network.decode(latents, force_not_quantize=True, shape=shape).sample[0]
        levels = (decoded.float().clamp(0, 1) * 255).round().to(torch.uint8)
        picture: NDArray[np.uint8] = levels.permute(1, 2, 0).cpu().numpy()
        return picture

    @torch.inference_mode()
    def look(self, picture: NDArray[np.uint8]) -> list[int]:
        """The codes, row by row, of a picture (H, W, 3) whose sides are multiples of `factor`."""
        pixels = torch.from_numpy(picture).to(self.network.device).permute(2, 0, 1)[None].float() / 255
        latents = self.network.encode(pixels).latents
        codes: list[int] = self.network.quantize(latents)[2][2].flatten().tolist()
        return codes


def load_vq(file: WeightsFile, device: str) -> VQCodec:
    """The codec of a file with its `config.json` beside it, in float32; UserError where it is none."""
    network = _empty(_config(file.path.parent))
    return VQCodec(fill(network, file.tensors(device), file.path, torch.float32, device))


def random_vq(device: str) -> VQCodec:
    """The codec of aMUSEd's size with weights that nothing was learnt in."""
    return VQCodec(randomized(_empty(RELEASED), torch.float32, device))


def _config(folder: Path) -> Mapping[str, Any]:
    config = read_json(folder / "config.json", "codec")
    if not config.get("lookup_from_codebook"):
        raise UserError(
            f"codec: {folder / 'config.json'} is not that of aMUSEd's codec: lookup_from_codebook is not true in it."
        )
    return config


def check_diffusers() -> None:
    """Raise UserError where diffusers is not installed."""
    if importlib.util.find_spec("diffusers") is None:
        raise UserError("the codec of this model needs diffusers: pip install 'mdm-harness[images]'.")


def _empty(config: Mapping[str, Any]) -> Any:
    check_diffusers()
    from diffusers import VQModel

    kind: Any = VQModel
    try:
        with torch.device("meta"):
            return kind.from_config(dict(config))
    except (TypeError, ValueError) as error:
        raise UserError(f"codec: its config.json does not describe a VQModel: {error}.") from None
