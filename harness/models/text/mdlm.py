"""MDLM: a small masked diffusion model of running text (Sahoo et al. 2024, arXiv 2406.07524)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.errors import UserError
from harness.models.text.checkpoint import find_checkpoint
from harness.models.text.codec import ByteCodec, Codec, TokenizerCodec, load_tokenizer
from harness.models.text.denoiser import TextDenoiser
from harness.models.text.layouts import MDLM
from harness.models.text.loading import check_checkpoint, dtype_of, load_network, random_network
from harness.models.text.model import random_config

_SIZES = {
    name: {"vocab_size": 50258, "model_length": 1024, "cond_dim": 128, "hidden_dim": w, "n_blocks": d, "n_heads": h}
    for name, w, d, h in (("tiny", 512, 8, 8), ("small", 768, 12, 12), ("medium", 1024, 24, 16))
}
"""The sizes of kuleshov-group/mdlm `configs/model`; the released model is the small one."""
_GPT2 = "openai-community/gpt2"


def mdlm(
    *,
    pretrained: str = "kuleshov-group/mdlm-owt",
    hub_revision: str = "",
    tokenizer: str = "",
    random: str = "",
    dtype: str = "float32",
    bucket: int = 32,
    device: str = "cpu",
) -> TextDenoiser:
    """A text as long as the model was trained on, unless the request says otherwise, after a prompt or after nothing.

    It is running text: end-of-text tokens stand between documents and end nothing, and are part of the text.

    pretrained, hub_revision, dtype, bucket  as of `llada`
    tokenizer  folder or hub name of the tokenizer; empty = the checkpoint's own, or GPT-2's where it has none
    random     random weights of a published size, `tiny`, `small` or `medium`, or of the `config.json` in a folder
    """
    kind = dtype_of(dtype)
    if random:
        config, folder = random_config(_SIZES, random)
        network = random_network(MDLM, config, kind, device)
    else:
        checkpoint = find_checkpoint(pretrained, hub_revision)
        config, folder = checkpoint.config, checkpoint.folder
        network = load_network(checkpoint, MDLM, kind, device)
    codec = _codec(folder, tokenizer, network.vocab_size)
    return TextDenoiser(network, codec, _mask_id(config, codec), frozenset(), bucket=bucket, size=network.length)


def revision(*, pretrained: str, hub_revision: str, tokenizer: str, random: str, dtype: str, **_: object) -> str:
    """The commit or the fingerprint of the weights; UserError if they cannot be used."""
    dtype_of(dtype)
    if random:
        config, folder = random_config(_SIZES, random)
    else:
        checkpoint = find_checkpoint(pretrained, hub_revision)
        config, folder = checkpoint.config, checkpoint.folder
        check_checkpoint(checkpoint, MDLM)
    _mask_id(config, _codec(folder, tokenizer, MDLM.shape(config).vocab_size))
    return "random" if random else checkpoint.revision


def _codec(folder: Path | None, tokenizer: str, vocab_size: int) -> Codec:
    if tokenizer or folder is not None:
        own = folder is not None and (folder / "tokenizer.json").is_file()
        if tokenizer or not own:
            folder = find_checkpoint(tokenizer or _GPT2).folder
        assert folder is not None
        return TokenizerCodec(load_tokenizer(folder, vocab_size), chat=False, whole=True)
    return ByteCodec()


def _mask_id(config: Mapping[str, Any], codec: Codec) -> int:
    """The tokenizer's mask token, or the one token more that the model has."""
    size = MDLM.shape(config).vocab_size
    if codec.mask_id is not None and codec.mask_id >= size:
        raise UserError(
            f"pretrained: the tokenizer's mask token is {codec.mask_id}; the vocabulary ends at {size - 1}."
        )
    return size - 1 if codec.mask_id is None else codec.mask_id
