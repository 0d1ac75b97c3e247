"""Lumina-DiMOO 8B (Xin et al. 2025, arXiv 2510.06308; Alpha-VLLM/Lumina-DiMOO `utils/prompt_utils.py` and
`generators/image_generation_generator.py`): LLaDA's network over words and the codes of aMUSEd's codec, 64 x 64 of them
a picture of 1,024 pixels, or as many as another size takes.

A row is the prompt in the release's template, the tokens that begin an answer and a picture, rows of codes with a line
break after each, and the tokens that end picture and answer.
"""

from __future__ import annotations

from typing import Any

from harness.errors import UserError
from harness.models.image.codecs.vq import check_diffusers, load_vq, random_vq
from harness.models.image.prompted import Layout
from harness.models.image.trunk import Family, factory, revision_of
from harness.models.text.families import LLADA_8B

_MASK, _NEWLINE, _FIRST_CODE = 126336, 126084, 126356
_BEFORE, _AFTER = (126354, 126349), (126350, 126355)
_ANY = 126351
"""`<uncondition>`, in place of a prompt."""
_START = "<system>Generate an image according to the text prompt.</system><user>"
_END = "</user>"


def _layout(words: int | None) -> Layout:
    return Layout(_MASK, _FIRST_CODE, _BEFORE, _AFTER, _NEWLINE)


class _Prompter:
    def __init__(self, words: Any) -> None:
        self._words = words
        if words is not None and words.convert_tokens_to_ids("<uncondition>") != _ANY:
            raise UserError(
                f"pretrained: <uncondition> is not token {_ANY} of the tokenizer: it is not that of Lumina-DiMOO."
            )

    def prompt(self, text: str) -> list[int]:
        return self._ids(f"{_START}{text}{_END}")

    def nothing(self) -> list[int]:
        return [*self._ids(_START), _ANY, *self._ids(_END)]

    def _ids(self, text: str) -> list[int]:
        return list(text.encode()) if self._words is None else list(self._words(text)["input_ids"])


LUMINA_DIMOO = Family(
    name="lumina_dimoo",
    pretrained="Alpha-VLLM/Lumina-DiMOO",
    codec="",
    subfolder="vqvae",
    random={"8b": {**LLADA_8B.random["8b"], "vocab_size": 134548}},
    size=(1024, 1024),
    layout=_layout,
    prompter=_Prompter,
    load=load_vq,
    make=random_vq,
    check=check_diffusers,
)

lumina_dimoo, revision = factory(LUMINA_DIMOO), revision_of(LUMINA_DIMOO)
