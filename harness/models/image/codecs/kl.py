"""The autoencoder of latent diffusion (Rombach et al. 2022, arXiv 2112.10752): diffusers' `AutoencoderKL`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.errors import UserError
from harness.models.image.files import WeightsFile, fill, randomized
from harness.models.image.published import renamed
from harness.models.text.checkpoint import read_json


@dataclass(frozen=True)
class KLShape:
    """Sizes of the autoencoder; the defaults are those of `stabilityai/sd-vae-ft-ema`.

    width     channels at full resolution; at each halving of the sides they are `multipliers` times as many
    blocks    residual blocks at each resolution of the encoder
    channels  of the latents
    """

    width: int = 128
    multipliers: tuple[int, ...] = (1, 2, 4, 4)
    blocks: int = 2
    channels: int = 4


class KLCodec:
    """Latents (B, channels, h, w), scaled to a deviation of about 1, to pictures."""

    def __init__(self, network: Any) -> None:
        self.network = network
        self.channels = int(network.config.latent_channels)
        self.factor = 2 ** (len(network.config.block_out_channels) - 1)

    @torch.inference_mode()
    def picture(self, latents: Sequence[float], side: int) -> NDArray[np.uint8]:
        """(H, W, 3) of the latents of one picture, channel by channel: levels ⌊127.5 x + 128⌋, as DiT writes them."""
        values = torch.tensor(latents, dtype=self.network.dtype, device=self.network.device)
        scaled = values.view(1, self.channels, side, side) / self.network.config.scaling_factor
        decoded: Tensor = self.network.decode(scaled).sample[0]
        levels = (127.5 * decoded.float() + 128).clamp(0, 255).to(torch.uint8)
        picture: NDArray[np.uint8] = levels.permute(1, 2, 0).cpu().numpy()
        return picture


def load_kl(file: WeightsFile, device: str) -> KLCodec:
    """The autoencoder of a file with its `config.json` beside it, in float32; UserError where it is none."""
    tensors, network = file.tensors(device), _empty(read_json(file.path.parent / "config.json", "vae"))
    old = any(key.endswith(".query.weight") for key in tensors)
    official = partial(renamed, pairs=_OLD if old else ())
    return KLCodec(fill(network, tensors, file.path, torch.float32, device, official))


_OLD = ((r"\.to_q\.", ".query."), (r"\.to_k\.", ".key."), (r"\.to_v\.", ".value."), (r"\.to_out\.0\.", ".proj_attn."))
"""What attention is called in files from before diffusers 0.17, such as that of `stabilityai/sd-vae-ft-ema`."""


def random_kl(shape: KLShape, device: str) -> KLCodec:
    """An autoencoder with weights that nothing was learnt in."""
    levels = len(shape.multipliers)
    config = {
        "block_out_channels": [shape.width * each for each in shape.multipliers],
        "down_block_types": ["DownEncoderBlock2D"] * levels,
        "up_block_types": ["UpDecoderBlock2D"] * levels,
        "layers_per_block": shape.blocks,
        "latent_channels": shape.channels,
    }
    return KLCodec(randomized(_empty(config), torch.float32, device))


def _empty(config: Mapping[str, Any]) -> Any:
    try:
        from diffusers import AutoencoderKL
    except ImportError:
        raise UserError("this model needs diffusers: pip install 'mdm-harness[images]'.") from None
    kind: Any = AutoencoderKL
    try:
        with torch.device("meta"):
            return kind.from_config(dict(config))
    except (TypeError, ValueError) as error:
        raise UserError(f"vae: its config.json does not describe an AutoencoderKL: {error}.") from None
