"""Models and tokenizers as transformers finds them by itself, with the checkpoint's own code where that is allowed."""

from __future__ import annotations

from typing import Any

import torch

from harness.errors import UserError
from harness.models.text.checkpoint import Checkpoint
from harness.models.text.codec import TokenizerCodec, check_vocabulary


def load_own(checkpoint: Checkpoint, kind: str, dtype: torch.dtype, trust_remote_code: bool) -> Any:
    """The checkpoint as a transformers model of the automatic class `kind`, or as what its own code offers."""
    import transformers

    offered = checkpoint.config.get("auto_map") or {} if trust_remote_code else {}
    name = next((name for name in (kind, "AutoModelForCausalLM", "AutoModel") if name in offered), kind)
    checkpoint.fetch()
    try:
        model, report = getattr(transformers, name).from_pretrained(
            str(checkpoint.folder),
            dtype=dtype,
            trust_remote_code=trust_remote_code,
            use_safetensors=True,
            output_loading_info=True,
        )
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        raise UserError(f"pretrained: {checkpoint.folder} cannot be loaded as {name}: {error}") from error
    if wrong := {key: sorted(report[key]) for key in ("missing_keys", "mismatched_keys") if report[key]}:
        raise UserError(f"pretrained: the tensors in {checkpoint.folder} are not those of this model. {wrong}")
    return model.eval().requires_grad_(False)


def load_codec(
    checkpoint: Checkpoint, chat: bool, bos: bool, trust_remote_code: bool, size: int | None
) -> TokenizerCodec:
    """The checkpoint's tokenizer; UserError if there is none, or it has tokens beyond a vocabulary of `size`."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(str(checkpoint.folder), trust_remote_code=trust_remote_code)
    except Exception as error:  # the tokenizers library raises bare Exceptions
        raise UserError(f"pretrained: {checkpoint.folder} has no tokenizer that can be read: {error}") from error
    if size is not None:
        check_vocabulary(tokenizer, size, checkpoint.folder)
    return TokenizerCodec(tokenizer, chat, bos)
