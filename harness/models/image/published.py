"""What the models of images have in common in finding their sizes and their weights."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from harness.errors import UserError, did_you_mean
from harness.models.image.files import WeightsFile

Shape = TypeVar("Shape")
Part = TypeVar("Part")


def random_shapes(
    random: str, sizes: Mapping[str, Shape], shape: type[Shape], codec: Part, part: str = "codec"
) -> tuple[Shape, Part]:
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


def revision_of_files(*files: WeightsFile) -> str:
    """The revisions of all files that a model is made of."""
    return "+".join(file.revision for file in files)


def _whole(shape: Any, path: Path) -> Any:
    for field in dataclasses.fields(shape):
        value = getattr(shape, field.name)
        for each in value if isinstance(value, tuple) else (value,):
            if not isinstance(each, int) or each < 0:
                raise UserError(f"random: in {path} {field.name} is {value!r}; whole numbers are needed there.")
    return shape
