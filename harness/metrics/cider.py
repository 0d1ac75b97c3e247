"""CIDEr: how a caption agrees with those of annotators, by n-grams weighted by how rare they are."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from harness.errors import UserError
from harness.metrics.clustered import clustered_mean
from harness.task import SetMetric

TOKENISERS = ("ptb", "plain")


def cider(captions: Mapping[str, str], references: Mapping[str, Sequence[str]], tokeniser: str) -> SetMetric:
    """CIDEr-D of one caption a picture by pycocoevalcap (Vedantam et al. 2015, arXiv:1411.5726), times one, not ten.

    captions    picture to caption
    references  the same pictures to the annotators' captions; how rare an n-gram is, is counted over these
    tokeniser   `ptb`, the official one, which needs Java; `plain`: lower-case words of letters, digits and apostrophes
    """
    from pycocoevalcap.cider.cider import Cider  # type: ignore[import-untyped]

    names = list(captions)
    tokens = _ptb if tokeniser == "ptb" else _plain
    written = tokens({name: [captions[name]] for name in names})
    known = tokens({name: list(references[name]) for name in names})
    value, parts = Cider().compute_score(known, written)
    error = clustered_mean(parts, [1] * len(parts)).stderr
    return SetMetric(float(value), error, parts=[float(part) for part in parts])


def _plain(texts: Mapping[str, list[str]]) -> dict[str, list[str]]:
    return {name: [" ".join(re.findall(r"[a-z0-9']+", text.lower())) for text in each] for name, each in texts.items()}


def _ptb(texts: Mapping[str, list[str]]) -> dict[str, list[str]]:
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer  # type: ignore[import-untyped]

    numbered = {name: [{"caption": text.replace("\n", " ")} for text in each] for name, each in texts.items()}
    tokens: dict[str, list[str]] = PTBTokenizer().tokenize(numbered)
    return tokens


def check_tokeniser(tokeniser: str) -> None:
    """Raise UserError where the tokeniser cannot run on this machine."""
    import shutil

    if tokeniser == "ptb" and shutil.which("java") is None:
        raise UserError(
            "CIDEr's official tokeniser runs in Java, which is not on this machine. Install it (Debian: default-jre), "
            "or take the protocol `plain`, whose numbers are close to those published and not the same."
        )
