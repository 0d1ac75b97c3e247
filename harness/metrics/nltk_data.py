"""NLTK's tables for splitting English into sentences (`punkt_tab`): looked for on disk, never downloaded."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

ENGLISH = "tokenizers/punkt_tab/english"


def find_punkt(folders: Iterable[Path]) -> bool:
    """Whether NLTK finds its English Punkt tables.

    It looks where NLTK does (`NLTK_DATA`, its standard folders), then in `folders`; the first of these that
    holds the tables is added to NLTK's search path, since its tokenizers take no path.
    """
    import nltk

    for folder in (None, *folders):
        if folder is not None:
            if not (folder / ENGLISH).is_dir():
                continue
            nltk.data.path.append(str(folder.resolve()))
        try:
            nltk.data.find(f"{ENGLISH}/")
        except LookupError:
            continue
        return True
    return False
