"""From the arguments of a model to the model: what all families of checkpoints have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import UserError, did_you_mean
from harness.models.text.checkpoint import Checkpoint, find_checkpoint
from harness.models.text.codec import ByteCodec, Codec, TokenizerCodec, load_tokenizer
from harness.models.text.denoiser import TextDenoiser
from harness.models.text.layouts import Layout
from harness.models.text.loading import check_checkpoint, dtype_of, load_network, random_network
from harness.models.text.network import Shape, TextNetwork


@dataclass(frozen=True)
class Family:
    """A family of published checkpoints.

    pretrained   the checkpoint that is meant where none is named
    layout       of its tensors and its configuration
    random       published sizes by name, as a `config.json` writes them
    end_of_turn  the token that ends a turn of the chat template, beside the end of text
    shift        whether logits are those of the next position
    mask         the mask token, for a `config.json` that does not name it
    bos          whether a plain text, one outside the chat template, begins with the BOS token
    """

    pretrained: str
    layout: Layout[TextNetwork, Shape]
    random: Mapping[str, Mapping[str, Any]]
    end_of_turn: str
    shift: bool = False
    mask: str = ""
    bos: bool = False


def factory(family: Family) -> Callable[..., TextDenoiser]:
    """The function that the registry calls for a model of the family."""

    def load(
        *,
        pretrained: str = family.pretrained,
        hub_revision: str = "",
        random: str = "",
        chat: bool = True,
        dtype: str = "bfloat16",
        bucket: int = 32,
        device_map: str = "",
        device: str = "cpu",
    ) -> TextDenoiser:
        """The denoiser that the arguments ask for.

        pretrained    a folder in the Hugging Face layout, or a name on the hub
        hub_revision  branch, tag or commit on the hub; empty = its default branch
        random        random weights instead: of a published size such as `8b`, or of the `config.json` in a folder,
                      whose tokenizer is used if there is one
        chat          prompts are turns of a user, in the tokenizer's chat template; false for base models
        dtype         of weights and logits: float32, bfloat16, float16
        bucket        rows are padded to a multiple of so many tokens; 1 = only rows of one length share a batch
        device_map    `auto` spreads the layers over all GPUs, and over the CPU where they are too small
        """
        if bucket < 1:
            raise UserError(f"bucket is {bucket}; it must be at least 1.")
        kind = dtype_of(dtype)
        config, folder, checkpoint = source_of(family.random, pretrained, hub_revision, random)
        if checkpoint is None:
            network = random_network(family.layout, config, kind, device)
        else:
            network = load_network(checkpoint, family.layout, kind, device, device_map)
        codec = _codec(family, folder, chat, network.vocab_size)
        mask_id, eos_ids = _special_ids(family, config, codec, network.vocab_size)
        return TextDenoiser(network, codec, mask_id, eos_ids, family.shift, bucket)

    return load


def revision_of(family: Family) -> Callable[..., str]:
    """The function that names the weights of a model of the family.

    All that can be wrong with a checkpoint on disk is found by it, before anything is computed; of one on the hub all
    but the shapes of its tensors.
    """

    def revision(*, pretrained: str, hub_revision: str, random: str, chat: bool, dtype: str, **_: object) -> str:
        dtype_of(dtype)
        config, folder, checkpoint = source_of(family.random, pretrained, hub_revision, random)
        if checkpoint is not None:
            check_checkpoint(checkpoint, family.layout)
        size = family.layout.shape(config).vocab_size
        _special_ids(family, config, _codec(family, folder, chat, size), size)
        return "random" if checkpoint is None else checkpoint.revision

    return revision


def source_of(
    sizes: Mapping[str, Mapping[str, Any]], pretrained: str, hub_revision: str, random: str
) -> tuple[Mapping[str, Any], Path | None, Checkpoint | None]:
    """The configuration, the folder of the tokenizer, and the checkpoint, None for random weights."""
    if random:
        return *random_config(sizes, random), None
    checkpoint = find_checkpoint(pretrained, hub_revision)
    return checkpoint.config, checkpoint.folder, checkpoint


def random_config(sizes: Mapping[str, Mapping[str, Any]], random: str) -> tuple[Mapping[str, Any], Path | None]:
    """The configuration of one of the published `sizes`, or the one in a folder and the folder."""
    if random in sizes:
        return sizes[random], None
    if not Path(random).expanduser().is_dir():
        raise UserError(f"random: {random!r} is neither a size nor a folder.{did_you_mean(random, sizes)}")
    checkpoint = find_checkpoint(random)
    return checkpoint.config, checkpoint.folder


def _codec(family: Family, folder: Path | None, chat: bool, vocab_size: int) -> Codec:
    if folder is None:
        return ByteCodec()
    return TokenizerCodec(load_tokenizer(folder, vocab_size), chat, family.bos)


def _special_ids(family: Family, config: Mapping[str, Any], codec: Codec, size: int) -> tuple[int, frozenset[int]]:
    mask_id = None if "mask_token_id" in config else codec.id_of(family.mask)
    return special_ids(config, codec, size, family.end_of_turn, mask_id)


def special_ids(
    config: Mapping[str, Any], codec: Codec, size: int, end_of_turn: str, mask_id: int | None = None
) -> tuple[int, frozenset[int]]:
    """The mask id, unless it is given, and the ids that end a text: as `config.json` says, else as the tokenizer does;
    UserError where nobody says it, or the token is not below `size`."""
    if mask_id is None:
        mask_id = config.get("mask_token_id", codec.mask_id)
    ends = config.get("eos_token_id", codec.eos_id)
    ends = [*(ends if isinstance(ends, list) else [ends]), codec.id_of(end_of_turn)]
    ends = [end for end in ends if end is not None]
    for name, value in (("mask_token_id", mask_id), *(("eos_token_id", end) for end in ends)):
        if not isinstance(value, int) or not 0 <= value < size:
            raise UserError(f"config.json: {name} is {value!r}; it must be a token below {size}.")
    assert mask_id is not None
    return mask_id, frozenset(ends)
