"""The blocks of VQGAN's convolutional codecs (Esser et al. 2021, arXiv 2012.09841; CompVis/taming-transformers)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class Residual(nn.Module):
    """Two convolutions added to what they read."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = norm(before), norm(after)
        self.conv1, self.conv2 = nn.Conv2d(before, after, 3, padding=1), nn.Conv2d(after, after, 3, padding=1)
        self.nin_shortcut = nn.Conv2d(before, after, 1) if before != after else None

    def forward(self, x: Tensor) -> Tensor:
        change: Tensor = self.conv2(F.silu(self.norm2(self.conv1(F.silu(self.norm1(x))))))
        kept: Tensor = x if self.nin_shortcut is None else self.nin_shortcut(x)
        return kept + change


class Attention(nn.Module):
    """Each place attends to all, with one head."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = norm(width)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(width, width, 1) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x)
        q, k, v = (part(y).flatten(2).mT for part in (self.q, self.k, self.v))
        mixed = F.scaled_dot_product_attention(q, k, v).mT.reshape(x.shape)
        change: Tensor = self.proj_out(mixed)
        return x + change


class Down(nn.Module):
    """Half the sides."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        halved: Tensor = self.conv(F.pad(x, (0, 1, 0, 1)))
        return halved


class Up(nn.Module):
    """Twice the sides."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        doubled: Tensor = self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return doubled


def norm(width: int) -> nn.GroupNorm:
    """In 32 groups of channels."""
    return nn.GroupNorm(32, width, eps=1e-6)
