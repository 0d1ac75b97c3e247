"""From the arguments of a model that sees to the model: what all its families have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.errors import UserError
from harness.models.seeing.denoiser import Prompt, SeeingDenoiser
from harness.models.seeing.network import SeeingNetwork, SeeingShape
from harness.models.text.codec import ByteCodec, Codec, TokenizerCodec, load_tokenizer
from harness.models.text.layouts import Layout
from harness.models.text.loading import check_checkpoint, dtype_of, load_network, random_network
from harness.models.text.model import source_of, special_ids


@dataclass(frozen=True)
class Family:
    """Checkpoints of one kind.

    layout       of their tensors and their configuration
    prompt       how a question is put
    end_of_turn  the token that ends a turn, beside the end of text
    mask         the mask token, for a `config.json` that does not name it
    shift        whether logits are those of the next position
    never        tokens that are not to be written
    """

    layout: Layout[SeeingNetwork, SeeingShape]
    prompt: Prompt
    end_of_turn: str
    mask: str
    shift: bool = False
    never: tuple[str, ...] = ()


@dataclass(frozen=True)
class Release:
    """What is published under one name.

    pretrained  the checkpoint that is meant where none is named
    family      the kind of a checkpoint, by its configuration
    random      published sizes by name, as a `config.json` writes them
    """

    pretrained: str
    family: Callable[[Mapping[str, Any]], Family]
    random: Mapping[str, Mapping[str, Any]]


def factory(release: Release) -> Callable[..., SeeingDenoiser]:
    """The function that the registry calls for a model of the release."""

    def load(
        *,
        pretrained: str = release.pretrained,
        hub_revision: str = "",
        random: str = "",
        suffix: str = "",
        dtype: str = "bfloat16",
        bucket: int = 32,
        device: str = "cpu",
    ) -> SeeingDenoiser:
        """The denoiser that the arguments ask for.

        pretrained    a folder in the Hugging Face layout, or a name on the hub
        hub_revision  branch, tag or commit on the hub; empty = its default branch
        random        random weights instead: of a published size such as `8b`, or of the `config.json` in a folder,
                      whose tokenizer is used if there is one
        suffix        text after each turn of the user, such as ` /no_think`
        dtype         of weights and logits: float32, bfloat16, float16
        bucket        rows are padded to a multiple of so many tokens; 1 = only rows of one length share a batch
        """
        if bucket < 1:
            raise UserError(f"bucket is {bucket}; it must be at least 1.")
        kind = dtype_of(dtype)
        config, folder, checkpoint = source_of(release.random, pretrained, hub_revision, random)
        family = release.family(config)
        if checkpoint is None:
            network = random_network(family.layout, config, kind, device)
        else:
            network = load_network(checkpoint, family.layout, kind, device)
        codec, mask_id, eos_ids, never = _tokens(family, config, folder, network.vocab_size)
        prompt = replace(family.prompt, suffix=suffix)
        return SeeingDenoiser(network, codec, prompt, mask_id, eos_ids, family.shift, bucket, never)

    return load


def revision_of(release: Release) -> Callable[..., str]:
    """The function that names the weights of a model of the release; as in `harness.models.text.model`."""

    def revision(*, pretrained: str, hub_revision: str, random: str, dtype: str, **_: object) -> str:
        dtype_of(dtype)
        config, folder, checkpoint = source_of(release.random, pretrained, hub_revision, random)
        family = release.family(config)
        if checkpoint is not None:
            check_checkpoint(checkpoint, family.layout)
        _tokens(family, config, folder, family.layout.shape(config).vocab_size)
        return "random" if checkpoint is None else checkpoint.revision

    return revision


def _tokens(
    family: Family, config: Mapping[str, Any], folder: Path | None, size: int
) -> tuple[Codec, int, frozenset[int], list[int]]:
    """The codec, the mask id, the ids that end a text, and those that are never written."""
    codec = ByteCodec() if folder is None else TokenizerCodec(load_tokenizer(folder, size), chat=True)
    named = None if "mask_token_id" in config else codec.id_of(family.mask)
    mask_id, eos_ids = special_ids(config, codec, size, family.end_of_turn, named)
    return codec, mask_id, eos_ids, [one for name in family.never if (one := codec.id_of(name)) is not None]
