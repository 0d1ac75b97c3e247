"""The autoencoder of latent diffusion (Rombach et al. 2022, arXiv 2112.10752): diffusers' `AutoencoderKL`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harness.errors import UserError
from harness.models.image.files import randomized
from harness.models.text.checkpoint import Checkpoint


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


def load_kl(checkpoint: Checkpoint, device: str) -> KLCodec:
    """The autoencoder of a folder in diffusers' layout, in float32; UserError where tensors are missing or too many."""
    checkpoint.fetch()
    try:
        network, report = _class().from_pretrained(
            str(checkpoint.folder), use_safetensors=True, output_loading_info=True, low_cpu_mem_usage=False
        )
    except (OSError, ValueError, TypeError, RuntimeError) as error:
        raise UserError(f"vae: {checkpoint.folder} cannot be loaded as diffusers' AutoencoderKL: {error}") from None
    wrong = {key: sorted(report[key]) for key in ("missing_keys", "unexpected_keys", "mismatched_keys") if report[key]}
    if wrong:
        raise UserError(f"vae: the tensors in {checkpoint.folder} are not those of its config.json. {wrong}")
    return KLCodec(network.eval().requires_grad_(False).to(device))


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
    with torch.device("meta"):
        network = _class().from_config(config)
    return KLCodec(randomized(network, torch.float32, device))


def _class() -> Any:
    try:
        from diffusers import AutoencoderKL
    except ImportError:
        raise UserError("this model needs diffusers: pip install 'mdm-harness[images]'.") from None
    return AutoencoderKL
