"""From the arguments of a model to the model: what MMaDA and Lumina-DiMOO have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import UserError
from harness.models.image.asked import AskedDenoiser, Asker
from harness.models.image.codecs.find import codec_file, find_codec
from harness.models.image.files import WeightsFile
from harness.models.image.prompted import Layout, PictureCodec, PromptedDenoiser, Prompter
from harness.models.text.checkpoint import Checkpoint
from harness.models.text.codec import ByteCodec, TokenizerCodec, load_tokenizer
from harness.models.text.layouts import LLADA
from harness.models.text.loading import check_checkpoint, dtype_of, load_network, random_network
from harness.models.text.model import source_of
from harness.models.text.network import TextNetwork

FACTOR, CODES = 16, 8192
"""Of both codecs."""


@dataclass(frozen=True)
class Family:
    """A family of published checkpoints with LLaDA's network.

    codec      repository of the codec; empty = the folder `subfolder` of the checkpoint
    random     published sizes by name, as a `config.json` writes them
    size       (height, width) of a picture in pixels, where nothing else is asked for
    layout     how a picture lies among the ids: from the number of tokens that the tokenizer has, None without one
    prompter   what asks for a picture, from the tokenizer, None without one
    asker      what asks about a picture
    load, make the codec from a file and a device, and one with random weights on a device
    check      raises UserError where something is not installed that the codec needs
    """

    name: str
    pretrained: str
    codec: str
    subfolder: str
    random: Mapping[str, Mapping[str, Any]]
    size: tuple[int, int]
    layout: Callable[[int | None], Layout]
    prompter: Callable[[Any], Prompter]
    asker: Asker
    load: Callable[[WeightsFile, str], PictureCodec]
    make: Callable[[str], PictureCodec]
    check: Callable[[], None] = lambda: None


def factory(family: Family) -> Callable[..., PromptedDenoiser]:
    """The function that the registry calls for a model of the family."""

    def load(
        *,
        pretrained: str = family.pretrained,
        hub_revision: str = "",
        codec: str = "",
        random: str = "",
        height: int = family.size[0],
        width: int = family.size[1],
        dtype: str = "bfloat16",
        bucket: int = 32,
        device: str = "cpu",
    ) -> PromptedDenoiser:
        """The denoiser that the arguments ask for.

        pretrained     a folder in the Hugging Face layout, or a name on the hub
        hub_revision   branch, tag or commit on the hub; empty = its default branch
        codec          folder or hub name of the codec; empty = that of the release
        random         random weights instead: of the published size `8b`, or of the `config.json` in a folder, whose
                       tokenizer is used if there is one; the codec's are random too, unless one is named
        height, width  of a picture in pixels, multiples of 16
        dtype          of the transformer's weights and logits: float32, bfloat16, float16; the codec has float32
        bucket         rows are padded to a multiple of so many tokens
        """
        grid = _grid(height, width)
        network, pictures, words, layout = _parts(
            family, pretrained, hub_revision, codec, random, dtype, bucket, device
        )
        prompter = family.prompter(words)
        return PromptedDenoiser(family.name, network, pictures, prompter, layout, CODES, grid, bucket)

    return load


def revision_of(family: Family) -> Callable[..., str]:
    """The function that names the weights of a model of the family, transformer's and codec's.

    All that can be wrong with them is found by it, before anything is computed, but for what is still on the hub.
    """

    def revision(
        *,
        pretrained: str,
        hub_revision: str,
        codec: str,
        random: str,
        height: int,
        width: int,
        dtype: str,
        **_: object,
    ) -> str:
        _grid(height, width)
        return _revision(family, pretrained, hub_revision, codec, random, dtype)

    return revision


def asked(family: Family) -> Callable[..., AskedDenoiser]:
    """The function that the registry calls for a model of the family that answers about pictures."""
    name = f"{family.name}_vqa"

    def load(
        *,
        pretrained: str = family.pretrained,
        hub_revision: str = "",
        codec: str = "",
        random: str = "",
        resolution: int = family.asker.resolution,
        dtype: str = "bfloat16",
        bucket: int = 32,
        device: str = "cpu",
    ) -> AskedDenoiser:
        """The denoiser that the arguments ask for; those that are not here are as for the model that draws.

        resolution  in pixels, the side of the square that a picture becomes (MMaDA), or of one as large as it
        """
        _check_resolution(family, resolution)
        network, pictures, words, layout = _parts(
            family, pretrained, hub_revision, codec, random, dtype, bucket, device
        )
        text = ByteCodec() if words is None else TokenizerCodec(words, family.asker.chat)
        return AskedDenoiser(name, network, pictures, text, family.asker, layout, resolution, bucket)

    return load


def asked_revision(family: Family) -> Callable[..., str]:
    """The function that names the weights of a model of the family that answers; as `revision_of`."""

    def revision(
        *, pretrained: str, hub_revision: str, codec: str, random: str, resolution: int, dtype: str, **_: object
    ) -> str:
        _check_resolution(family, resolution)
        config, folder = _trunk(family, pretrained, hub_revision, random)[:2]
        words = _words(family, config, folder)[0]
        if words is not None:
            TokenizerCodec(words, family.asker.chat)
        return _revision(family, pretrained, hub_revision, codec, random, dtype)

    return revision


def _check_resolution(family: Family, resolution: int) -> None:
    step = family.asker.step
    if resolution < step or resolution % step:
        raise UserError(f"resolution is {resolution}; it must be a multiple of {step} pixels.")


def _parts(
    family: Family,
    pretrained: str,
    hub_revision: str,
    codec: str,
    random: str,
    dtype: str,
    bucket: int,
    device: str,
) -> tuple[TextNetwork, PictureCodec | None, Any, Layout]:
    """The transformer, the codec (None on the device `meta`), the tokenizer (None without one), and the layout."""
    kind = dtype_of(dtype)
    if bucket < 1:
        raise UserError(f"bucket is {bucket}; it must be at least 1.")
    config, folder, checkpoint = _trunk(family, pretrained, hub_revision, random)
    words, layout = _words(family, config, folder)
    if checkpoint is None:
        network = random_network(LLADA, config, kind, device)
    else:
        network = load_network(checkpoint, LLADA, kind, device)
    pictures = None if device == "meta" else _codec(family, checkpoint, codec, device)
    if pictures is not None and (pictures.codes, pictures.factor) != (CODES, FACTOR):
        raise UserError(
            f"codec: it has {pictures.codes} codes of {pictures.factor} pixels a side; the model "
            f"{family.name!r} knows {CODES} of {FACTOR}. Use the codec that it was trained with."
        )
    return network, pictures, words, layout


def _revision(family: Family, pretrained: str, hub_revision: str, codec: str, random: str, dtype: str) -> str:
    dtype_of(dtype)
    family.check()
    config, folder, checkpoint = _trunk(family, pretrained, hub_revision, random)
    family.prompter(_words(family, config, folder)[0])
    if checkpoint is not None:
        check_checkpoint(checkpoint, LLADA)
    named = "random" if checkpoint is None else checkpoint.revision
    place, subfolder = _place(family, checkpoint, codec)
    if place is None or (place == checkpoint and place.hub):
        return named
    if place.hub:
        return f"{named}+{place.hub[1]}"
    file = codec_file(place, subfolder)
    family.load(file, "meta")
    return f"{named}+{file.revision}"


def _trunk(
    family: Family, pretrained: str, hub_revision: str, random: str
) -> tuple[Mapping[str, Any], Path | None, Checkpoint | None]:
    """The configuration, the folder of the tokenizer, and the checkpoint; None where there is none."""
    config, folder, checkpoint = source_of(family.random, pretrained, hub_revision, random)
    if checkpoint is None and folder is not None and not (folder / "tokenizer.json").is_file():
        folder = None
    return config, folder, checkpoint


def _words(family: Family, config: Mapping[str, Any], folder: Path | None) -> tuple[Any, Layout]:
    """The tokenizer, None where there is none, and the layout; UserError if they do not fit to the vocabulary."""
    size = LLADA.shape(config).vocab_size
    words = None if folder is None else load_tokenizer(folder, size)
    layout = family.layout(None if words is None else len(words))
    if layout.first_code + CODES > size:
        raise UserError(
            f"config.json: the vocabulary has {size} tokens; the model {family.name!r} needs "
            f"{layout.first_code + CODES}, of which the last {CODES} are codes of pictures."
        )
    mask = config.get("mask_token_id", layout.mask)
    if mask != layout.mask:
        raise UserError(f"config.json: mask_token_id is {mask}; that of the model {family.name!r} is {layout.mask}.")
    return words, layout


def _place(family: Family, checkpoint: Checkpoint | None, codec: str) -> tuple[Checkpoint | None, str]:
    """Where the codec is, and the folder in it; None for one with random weights."""
    if not codec and (checkpoint is None or not family.codec):
        return checkpoint, family.subfolder
    place = find_codec(codec or family.codec)
    inside = bool(family.subfolder) and (place.folder / family.subfolder).is_dir()
    return place, family.subfolder if inside else ""


def _codec(family: Family, checkpoint: Checkpoint | None, codec: str, device: str) -> PictureCodec:
    place, subfolder = _place(family, checkpoint, codec)
    return family.make(device) if place is None else family.load(codec_file(place, subfolder), device)


def _grid(height: int, width: int) -> tuple[int, int]:
    for name, value in (("height", height), ("width", width)):
        if value < FACTOR or value % FACTOR:
            raise UserError(f"{name} is {value}; it must be a multiple of {FACTOR} pixels.")
    return height // FACTOR, width // FACTOR
