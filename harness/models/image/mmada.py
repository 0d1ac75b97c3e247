"""MMaDA 8B (Yang et al. 2025, arXiv 2505.15809; Gen-Verse/MMaDA `models/modeling_mmada.py`, `t2i_generate`): LLaDA's
network over words and MAGVIT-v2's codes, 32 x 32 of them a picture of 512 pixels.

A row is `<|t2i|>`, the prompt as a text from BOS to EOS, `<|soi|>`, the codes and `<|eoi|>`. One about a picture is
`<|mmu|>`, `<|soi|>`, the codes, `<|eoi|>`, the question in the chat template, and the answer (`inference_mmu.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from harness.errors import UserError
from harness.models.image.codecs.magvit import load_magvit, random_magvit
from harness.models.image.prompted import Layout
from harness.models.image.trunk import Family, asked, asked_revision, factory, revision_of
from harness.models.text.codec import Codec
from harness.models.text.families import LLADA_8B

if TYPE_CHECKING:
    from PIL import Image

_T2I, _MMU, _SOI, _EOI = 126088, 126089, 126084, 126085
"""Tokens that LLaDA's tokenizer reserves; the release knows them by number."""
_MASK = 126336
_WORDS, _BOS, _EOS, _END_OF_TURN = 126349, 126080, 126081, 126348
"""LLaDA's tokenizer: how many tokens it has, those that begin and end a text, and the one that ends a turn."""
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


class _Asker:
    chat, ends = True, frozenset({_EOS, _END_OF_TURN})
    after: int | None = None
    resolution, step = 512, 16

    def fit(self, picture: Image.Image, resolution: int) -> Image.Image:
        """The middle square of the picture, whose shorter side becomes `resolution`."""
        from PIL import Image

        shorter = min(picture.size)
        width, height = (int(resolution * side / shorter) for side in picture.size)
        scaled = picture.resize((width, height), Image.Resampling.BICUBIC)
        left, top = round((width - resolution) / 2), round((height - resolution) / 2)
        return scaled.crop((left, top, left + resolution, top + resolution))

    def around(
        self, codec: Codec, turns: Sequence[tuple[str, str]], continuation: str
    ) -> tuple[list[int], list[int], list[int]]:
        text, answer = codec.tokens(codec.render(turns), continuation)
        return [_MMU, _SOI], [_EOI, *text], answer


MMADA_8B = Family(
    name="mmada",
    pretrained="Gen-Verse/MMaDA-8B-MixCoT",
    codec="showlab/magvitv2",
    subfolder="",
    random={"8b": {**LLADA_8B.random["8b"], "vocab_size": 134656}},
    size=(512, 512),
    layout=_layout,
    prompter=_Prompter,
    asker=_Asker(),
    load=load_magvit,
    make=random_magvit,
)

mmada, revision = factory(MMADA_8B), revision_of(MMADA_8B)
mmada_vqa, vqa_revision = asked(MMADA_8B), asked_revision(MMADA_8B)
