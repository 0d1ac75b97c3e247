"""Counter-based random numbers: a row's draws depend on (seed, purpose, document, sample, step, position) alone.

Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011), in int64 torch operations, so
that every device gives the same bits whatever the batch around a row.
"""

from __future__ import annotations

import hashlib
import zlib

import torch
from torch import Tensor

_MASK = 0xFFFFFFFF
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)
_ROUNDS = 10


def philox(counter: tuple[Tensor, Tensor, Tensor, Tensor], key: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
    """Four words of Philox 4x32-10, each int64 holding 32 bits; `counter` and `key` words broadcast."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(_ROUNDS):
        # The int64 products wrap; the two 32-bit halves come out right all the same.
        product0, product1 = c0 * _MULTIPLIERS[0], c2 * _MULTIPLIERS[1]
        high0, high1 = (product0 >> 32) & _MASK, (product1 >> 32) & _MASK
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, product1 & _MASK, high0 ^ c3 ^ k1, product0 & _MASK
        k0, k1 = (k0 + _WEYL[0]) & _MASK, (k1 + _WEYL[1]) & _MASK
    return c0, c1, c2, c3


def uniform(seed: Tensor, purpose: str, document: Tensor, sample: Tensor, step: Tensor, length: int) -> Tensor:
    """(B, length) float64 in (0, 1) with 52 random bits, from per-row words (B,) int64 below 2^32."""
    position = torch.arange(length, device=seed.device)[None, :]
    purpose_word = torch.full_like(seed, zlib.crc32(purpose.encode()))
    words = philox(
        (position, step[:, None], sample[:, None], document[:, None]), (seed[:, None], purpose_word[:, None])
    )
    return open_unit(words[0], words[1])


def open_unit(high: Tensor, low: Tensor) -> Tensor:
    """float64 strictly between 0 and 1 from two 32-bit words."""
    bits = (high << 20) | (low >> 12)
    # 52 bits and a half are exact in float64; with 53 the largest would round to 1.
    return (bits.double() + 0.5) * 2.0**-52


def document_key(document: str) -> int:
    """The 32-bit word that stands for a document id in the counter."""
    return int.from_bytes(hashlib.sha256(document.encode("utf-8", "surrogatepass")).digest()[:4], "big")
