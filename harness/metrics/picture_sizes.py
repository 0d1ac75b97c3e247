"""The sizes of the pictures in a folder, from their headers."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.errors import UserError

_NAMED, _SIZES_NAMED = 3, 5


def sizes_of(files: Sequence[Path], kept: Path) -> Mapping[str, list[str]]:
    """Width and height to the names of the files that have them. Files that are no pictures are passed over.

    kept  where the sizes are kept, so that the headers of these files are read once
    """
    if not kept.is_file():
        return _read(files, kept)
    sizes: Mapping[str, list[str]] = json.loads(kept.read_text())
    return sizes


def check_one_size(sizes: Mapping[str, Sequence[str]], needs: str) -> None:
    """Raise UserError, which counts and names them, where pictures have more than one size."""
    if len(sizes) < 2:
        return
    ordered = sorted(sizes.items(), key=lambda item: -len(item[1]))
    told = [f"{ordered[0][0]} ({len(ordered[0][1])} files)"]
    told += [
        f"{size} ({len(names)}: {', '.join(names[:_NAMED])}{', …' if len(names) > _NAMED else ''})"
        for size, names in ordered[1:_SIZES_NAMED]
    ]
    more = f"; and {len(ordered) - _SIZES_NAMED} more sizes" if len(ordered) > _SIZES_NAMED else ""
    raise UserError(
        f"{needs}: the pictures have {len(sizes)} sizes, in pixels of width x height: {'; '.join(told)}{more}. Each "
        "would be squeezed to the square that the network sees. Crop and resize them as the model's training pictures "
        "were, or say sizes=any."
    )


def _read(files: Sequence[Path], kept: Path) -> Mapping[str, list[str]]:
    from PIL import Image
    from tqdm import tqdm

    sizes: dict[str, list[str]] = {}
    for file in tqdm(files, desc="sizes of pictures", unit="picture", disable=None, leave=False):
        try:
            with Image.open(file) as image:
                width, height = image.size
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
            continue  # named and counted when the pictures are seen
        sizes.setdefault(f"{width} x {height}", []).append(file.name)
    kept.parent.mkdir(parents=True, exist_ok=True)
    temporary = kept.with_suffix(f".{secrets.token_hex(4)}.tmp")
    temporary.write_text(json.dumps(sizes))
    temporary.replace(kept)
    return sizes
