"""Files that are published on the web: found in a folder, else in the cache, else downloaded and checked."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UserError


@dataclass(frozen=True)
class RemoteFile:
    """Where a file is published, and what it is.

    name    of the file, here and there
    url     to download it from
    sha256  of its content, or the beginning of it where no more is published
    """

    name: str
    url: str
    sha256: str

    def find(self, needs: str, folders: Sequence[Path] = ()) -> Path:
        """The file in one of the folders, else in the cache, where it is downloaded to.

        Raises UserError that begins with `needs`, such as "task geneval", where it is nowhere and cannot be had.
        """
        for folder in (*folders, cache_folder()):
            if (folder / self.name).is_file():
                return folder / self.name
        return self._download(needs, folders)

    def _download(self, needs: str, folders: Sequence[Path]) -> Path:
        from torch.hub import download_url_to_file

        path = cache_folder() / self.name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            download_url_to_file(self.url, str(path), hash_prefix=self.sha256, progress=sys.stderr.isatty())
        except (OSError, RuntimeError) as error:  # no network, no such page; another content than that of the hash
            places = " or ".join(map(str, (*folders, path.parent)))
            raise UserError(
                f"{needs} needs the file {self.name}, which cannot be downloaded ({type(error).__name__}: {error}). "
                f"Get it from {self.url} (SHA-256 {self.sha256}{'…' if len(self.sha256) < 64 else ''}) and put it into "
                f"{places}."
            ) from error
        return path


def cache_folder() -> Path:
    """Where downloads are kept: `mdm-harness` in the user's cache folder (XDG_CACHE_HOME, else ~/.cache)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mdm-harness"
