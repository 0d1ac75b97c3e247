"""Real pictures that generated ones are compared with: a folder of them, or a file of their statistics."""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from harness.errors import UserError
from harness.metrics.moments import Moments
from harness.metrics.picture_sizes import check_one_size, sizes_of
from harness.remote import cache_folder

log = logging.getLogger(__name__)

SUFFIXES = {".bmp", ".jpg", ".jpeg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
AT_ONCE = 64
_NAMED = 5


class Features(Protocol):
    """A network that sees pictures, and what its features depend on."""

    @property
    def identity(self) -> str: ...

    @property
    def width(self) -> int: ...

    def see(self, pictures: Sequence[NDArray[np.uint8]]) -> dict[str, NDArray[np.float32]]: ...


@dataclass(frozen=True)
class Real:
    """Real pictures: mean (d,) and covariance (d, d); of a folder also the features (n, d), as a memory map, and their
    moments."""

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]
    features: NDArray[np.float32] | None = None
    moments: Moments | None = None


def check_real(place: str, needs: str, any_size: bool = True) -> None:
    """Raise UserError where there is no folder with pictures, and no file of statistics; unless `any_size`, also where
    the pictures are of several sizes."""
    path = Path(place).expanduser()
    if path.is_dir():
        files = _files(path)
        if not files:
            raise UserError(f"{needs}: there are no pictures in {path} ({', '.join(sorted(SUFFIXES))}).")
        if not any_size:
            check_one_size(_sizes(place), f"{needs}: {path}")
    elif path.suffix == ".npz" and path.is_file():
        _read_statistics(path)
    else:
        raise UserError(f"{needs}: {place!r} is no folder of pictures and no .npz file of statistics.")


def size_of(place: str) -> str | None:
    """Width and height of the pictures in a folder, such as `256 x 256`; None of several sizes, and of statistics."""
    sizes = _sizes(place) if Path(place).expanduser().is_dir() else {}
    return next(iter(sizes)) if len(sizes) == 1 else None


def _sizes(place: str) -> Mapping[str, list[str]]:
    kept = cache_folder() / "sizes" / f"{fingerprint(place)[:32]}.json"
    return sizes_of(_files(Path(place).expanduser()), kept)


def fingerprint(place: str) -> str:
    """What tells one set of real pictures from another: the statistics' content, or the files' names and times."""
    path = Path(place).expanduser()
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    told = [(str(file.relative_to(path)), file.stat().st_size, file.stat().st_mtime_ns) for file in _files(path)]
    return hashlib.sha256(repr(told).encode()).hexdigest()


def load_real(place: str, network: Features) -> Real:
    """The statistics in a file, or those of what a network sees in the pictures of a folder.

    The features of a folder are kept in the cache. Files that are no pictures are left out, those of another colour
    mode than RGB are turned to it; a warning counts and names both.
    """
    path = Path(place).expanduser()
    if path.is_file():
        return Real(*_read_statistics(path))
    key = hashlib.sha256(f"{path.resolve()} {fingerprint(place)} {network.identity}".encode()).hexdigest()[:32]
    kept = cache_folder() / "features" / f"{key}.f32"
    if not kept.is_file():
        _see_folder(path, network, kept)
    features: NDArray[np.float32] = np.memmap(kept, np.float32, "r").reshape(-1, network.width)
    moments = Moments.of(features)
    return Real(moments.mean, moments.covariance, features, moments)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())


def _see_folder(folder: Path, network: Features, kept: Path) -> None:
    """Write the features of a folder's pictures to `kept`, all or nothing."""
    from tqdm import tqdm

    files = _files(folder)
    broken: dict[Path, str] = {}
    turned: dict[Path, str] = {}
    kept.parent.mkdir(parents=True, exist_ok=True)
    temporary = kept.with_suffix(f".{secrets.token_hex(4)}.tmp")
    with (
        open(temporary, "xb") as rows,
        tqdm(total=len(files), desc=f"reference {folder.name}", unit="picture", disable=None) as bar,
    ):
        for start in range(0, len(files), AT_ONCE):
            some = files[start : start + AT_ONCE]
            pictures = list(_read(some, broken, turned))
            if pictures:
                rows.write(network.see(pictures)["features"].tobytes())
            bar.update(len(some))
    for some_files, done in ((broken, "are broken and left out"), (turned, "are not in RGB and are turned to it")):
        if some_files:
            named = "; ".join(f"{file} ({reason})" for file, reason in list(some_files.items())[:_NAMED])
            log.warning("%s: %d of %d files %s: %s", folder, len(some_files), len(files), done, named)
    if len(files) - len(broken) < 2:
        temporary.unlink()
        raise UserError(f"{folder}: {len(files) - len(broken)} pictures can be read; at least two are needed.")
    temporary.replace(kept)


def _read(files: Sequence[Path], broken: dict[Path, str], turned: dict[Path, str]) -> Iterator[NDArray[np.uint8]]:
    """(H, W, 3) RGB of each file that is a picture, of any colour mode of 8 bits; as in clean-fid, transparency is
    dropped."""
    from PIL import Image

    for file in files:
        try:
            with Image.open(file) as image:
                if image.mode.startswith(("I", "F")):
                    raise ValueError(f"mode {image.mode}: more than 8 bits a channel")
                picture = np.array(image.convert("RGB"))
                if image.mode != "RGB":
                    turned[file] = f"mode {image.mode}"
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            broken[file] = str(error)
        else:
            yield picture


def _read_statistics(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """`mu` (d,) and `sigma` (d, d) of a file as clean-fid, pytorch-fid and guided-diffusion write them."""
    try:
        with np.load(path, allow_pickle=False) as file:
            found: Any = {name: file[name] for name in ("mu", "sigma")}
        mean, covariance = (np.asarray(found[name], dtype=np.float64) for name in ("mu", "sigma"))
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise UserError(f"{path} holds no statistics: {error}. It should have `mu` (d,) and `sigma` (d, d).") from error
    if mean.ndim != 1 or covariance.shape != (len(mean), len(mean)) or not np.isfinite(covariance).all():
        raise UserError(f"{path}: `mu` {mean.shape} and `sigma` {covariance.shape} should be (d,) and (d, d), finite.")
    return mean, covariance
