"""MMaDA 8B (Yang et al. 2025, arXiv 2505.15809; Gen-Verse/MMaDA `models/modeling_mmada.py`, `t2i_generate`): LLaDA's
network over words and MAGVIT-v2's codes, 32 x 32 of them a picture of 512 pixels.

A row is `<|t2i|>`, the prompt as a text from BOS to EOS, `<|soi|>`, the codes and `<|eoi|>`.
"""

from __future__ import annotations

from typing import Any

from harness.errors import UserError
from harness.models.image.codecs.magvit import load_magvit, random_magvit
from harness.models.image.prompted import Layout
from harness.models.image.trunk import Family, factory, revision_of
from harness.models.text.families import LLADA_8B

_T2I, _SOI, _EOI = 126088, 126084, 126085
"""Tokens that LLaDA's tokenizer reserves; the release knows them by number."""
_MASK = 126336
_WORDS, _BOS, _EOS = 126349, 126080, 126081
"""LLaDA's tokenizer: how many tokens it has, and the two that begin and end a text."""
_LONGEST = 513
"""Tokens of the longest prompt, `<|t2i|>`, BOS and EOS included."""


def _layout(words: int | None) -> Layout:
    # Codes follow the tokenizer's tokens, not the rows that LLaDA's embedding has.
    return Layout(_MASK, words or _WORDS, before=(_SOI,), after=(_EOI,))


class _Prompter:
    def __init__(self, words: Any) -> None:
        self._words = words
        self._bos: Any
        self._eos: Any
        self._bos, self._eos = (_BOS, _EOS) if words is None else (words.bos_token_id, words.eos_token_id)
        if self._bos is None or self._eos is None:
            raise UserError("pretrained: the tokenizer has no BOS or no EOS token, which MMaDA's prompts need.")

    def prompt(self, text: str) -> list[int]:
        ids = list(text.encode()) if self._words is None else list(self._words(text)["input_ids"])
        begun = ids if ids[:1] == [self._bos] else [self._bos, *ids]
        return [*[_T2I, *begun][: _LONGEST - 1], self._eos]

    def nothing(self) -> list[int]:
        return self.prompt("")


MMADA_8B = Family(
    name="mmada",
    pretrained="Gen-Verse/MMaDA-8B-MixCoT",
    codec="showlab/magvitv2",
    subfolder="",
    random={"8b": {**LLADA_8B.random["8b"], "vocab_size": 134656}},
    size=(512, 512),
    layout=_layout,
    prompter=_Prompter,
    load=load_magvit,
    make=random_magvit,
)

mmada, revision = factory(MMADA_8B), revision_of(MMADA_8B)
