"""What the registry says of a model: plain data, read without importing torch."""

from __future__ import annotations

from dataclasses import dataclass

from harness.registry import Registry


@dataclass(frozen=True)
class ModelInfo:
    """Metadata of a model.

    summary    one line on what it is
    modality   what it generates: `tokens`, `image`, `text`
    citation   paper or repository
    semantics  raised by hand whenever the same arguments begin to give other logits
    """

    summary: str
    modality: str
    citation: str = ""
    semantics: int = 1


models: Registry[ModelInfo] = Registry("model", "mdm_harness.models")
