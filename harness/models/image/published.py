"""What the models of images have in common: their sizes, the names of their tensors, and requests of a class."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from harness.errors import UserError, did_you_mean
from harness.models.text.loading import dtype_of
from harness.task import Request

Shape = TypeVar("Shape")
Codec = TypeVar("Codec")


class Part(Protocol):
    """Weights of a part of a model."""

    @property
    def revision(self) -> str:
        """What names them."""

    @property
    def is_here(self) -> bool:
        """Whether they are on disk."""


def random_shapes(
    random: str, sizes: Mapping[str, Shape], shape: type[Shape], codec: Codec, part: str = "codec"
) -> tuple[Shape, Codec]:
    """The sizes of a model and of its codec: of a published one by name, or of the `config.json` in a folder, which has
    the fields of `shape` and, under the name `part`, those of the codec that differ from the published one."""
    if random in sizes:
        return sizes[random], codec
    path = Path(random).expanduser() / "config.json"
    if not path.is_file():
        raise UserError(
            f"random: {random!r} is neither a size nor a folder with config.json.{did_you_mean(random, sizes)}"
        )
    try:
        config = dict(json.loads(path.read_text(encoding="utf-8")))
        inner = dict(config.pop(part, {}))
        inner = {key: tuple(value) if isinstance(value, list) else value for key, value in inner.items()}
        return _whole(shape(**config), path), _whole(dataclasses.replace(codec, **inner), path)  # type: ignore[type-var]
    except (TypeError, ValueError) as error:
        raise UserError(f"random: {path} does not hold the sizes of this model: {error}.") from None


def heads_of(width: int, published: Mapping[int, int], where: Any) -> int:
    """The number of attention heads of the release of this width; UserError where there is none."""
    if width not in published:
        known = ", ".join(map(str, published))
        raise UserError(
            f"pretrained: {where} is {width} wide, and released models are {known}. Say how many attention heads it "
            "has: heads=8."
        )
    return published[width]


def renamed(name: str, pairs: Sequence[tuple[str, str]]) -> str:
    """The release's name of a tensor: `pairs` are patterns of names here, and what stands in their place there."""
    for ours, theirs in pairs:
        name = re.sub(ours, theirs, name)
    return name


def label_of(request: Request, model: str, size: int, what: str, classes: int) -> int:
    """The class that a request asks a picture of; UserError for another condition, a prompt, or a length other than
    that of a picture, `size` of `what`."""
    where = f"document {request.document!r}"
    if request.prompt is not None or request.image is not None or request.length not in (None, size):
        raise UserError(f"{where}: the model {model!r} takes no prompt or picture, and makes {size} {what}.")
    label = request.condition.get("label", -1)
    if set(request.condition) != {"label"} or label not in range(classes):
        raise UserError(
            f"{where}: condition is {dict(request.condition)}; the model {model!r} needs a label from 0 to "
            f"{classes - 1} alone."
        )
    return int(label)


def revision_of(model: Callable[..., Any], parts: Callable[..., Sequence[Part]]) -> Callable[..., str]:
    """The function that names the weights of a `model` by the revisions of its `parts`, which depend on its arguments.

    Where all parts are on disk, the model is built without memory for its weights: so all that is wrong with them is
    found before anything is computed. What is still on the hub is checked when it is loaded.
    """

    def revision(**arguments: Any) -> str:
        dtype_of(arguments["dtype"])
        found = [] if arguments["random"] else parts(**arguments)
        if all(part.is_here for part in found):
            model(**arguments, device="meta")
        return "+".join(part.revision for part in found) or "random"

    return revision


def _whole(shape: Any, path: Path) -> Any:
    for field in dataclasses.fields(shape):
        value = getattr(shape, field.name)
        for each in value if isinstance(value, tuple) else (value,):
            if not isinstance(each, int) or each < 0:
                raise UserError(f"random: in {path} {field.name} is {value!r}; whole numbers are needed there.")
    return shape
