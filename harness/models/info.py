"""What the registry says of a model: plain data, read without importing torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.registry import Registry


@dataclass(frozen=True)
class ModelInfo:
    """Metadata of a model.

    summary    one line on what it is
    modality   what it generates: `tokens`, `image`, `text`
    citation   paper or repository
    revision   a function, or `module:function`, that names the weights, called with the model's arguments; None = it
               has none
    semantics  raised by hand whenever the same arguments begin to give other logits
    weightless whether it can be built on the device `meta`, where it weighs nothing and only its FLOPs can be asked for
    approximate whether its network computes less than the exact model's, such as with a cache; a sampler must be
               `cacheable`
    compiles   whether `--compile` can compile its network, which is the model's `transformer`
    canvas     whether it is a masked diffusion model, which any sampler runs; else generators only
    """

    summary: str
    modality: str
    citation: str = ""
    revision: str | Callable[..., str] | None = None
    semantics: int = 1
    canvas: bool = True
    weightless: bool = False
    approximate: bool = False
    compiles: bool = False


models: Registry[ModelInfo] = Registry("model", "mdm_harness.models")
