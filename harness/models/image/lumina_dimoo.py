"""Lumina-DiMOO 8B (Xin et al. 2025, arXiv 2510.06308; Alpha-VLLM/Lumina-DiMOO `utils/prompt_utils.py` and
`generators/image_generation_generator.py`): LLaDA's network over words and the codes of aMUSEd's codec, 64 x 64 of them
a picture of 1,024 pixels, or as many as another size takes.

A row is the prompt in the release's template, the tokens that begin an answer and a picture, rows of codes with a line
break after each, and the tokens that end picture and answer. One about a picture (`inference/inference_mmu.py`) has the
picture before the last token of the prompt, and then `<answer>`, the answer and `</answer>`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from harness.errors import UserError
from harness.models.image.codecs.vq import check_diffusers, load_vq, random_vq
from harness.models.image.prompted import Layout
from harness.models.image.trunk import Family, asked, asked_revision, factory, revision_of
from harness.models.text.codec import Codec
from harness.models.text.families import LLADA_8B

if TYPE_CHECKING:
    from PIL import Image

_MASK, _NEWLINE, _FIRST_CODE = 126336, 126084, 126356
_ANSWER, _ANSWERED, _PICTURE, _PICTURED = 126354, 126355, 126349, 126350
_EOS, _PADDING = 126081, 126339
"""What ends a text, and what fills training's rows behind it."""
_ANY = 126351
"""`<uncondition>`, in place of a prompt."""
_CELL = 32
"""Pixels that the sides of a picture are multiples of."""
_LONGEST = 4
"""No picture is more than so many times as long as wide."""
_START = "<system>Generate an image according to the text prompt.</system><user>"
_END = "</user>"
_LOOK = (
    "<system>You are a multimodal model that can process both text and images. Answer the following question based on "
    "the provided images. Analyze each image and combine relevant details to answer.</system><user>"
)


def _layout(words: int | None) -> Layout:
    return Layout(_MASK, _FIRST_CODE, (_ANSWER, _PICTURE), (_PICTURED, _ANSWERED), _NEWLINE)


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


class _Asker:
    chat, ends = False, frozenset({_EOS, _PADDING, _ANSWERED})
    after: int | None = _ANSWERED
    resolution, step = 1024, _CELL

    def fit(self, picture: Image.Image, resolution: int) -> Image.Image:
        """The middle of the picture, scaled to the shape that keeps most of it, of about `resolution`² pixels."""
        from PIL import Image

        width, height = _shape(picture.size, (resolution // _CELL) ** 2)
        while picture.width >= 2 * width and picture.height >= 2 * height:
            picture = picture.resize((picture.width // 2, picture.height // 2), Image.Resampling.BOX)
        scale = max(width / picture.width, height / picture.height)
        scaled = (round(picture.width * scale), round(picture.height * scale))
        picture = picture.resize(scaled, Image.Resampling.BICUBIC)
        # The release crops at a place drawn at random.
        left, top = (picture.width - width) // 2, (picture.height - height) // 2
        return picture.crop((left, top, left + width, top + height))

    def around(
        self, codec: Codec, turns: Sequence[tuple[str, str]], continuation: str
    ) -> tuple[list[int], list[int], list[int]]:
        if [role for role, _ in turns] != ["user"]:
            raise UserError("answers one question, and no conversation.")
        ids, _ = codec.tokens(f"{_LOOK}{turns[0][1]}{_END}", "")
        return [*ids[:-1], _PICTURE], [_PICTURED, ids[-1], _ANSWER], codec.tokens("", continuation)[1]


def _shape(size: tuple[int, int], cells: int) -> tuple[int, int]:
    """(width, height) in pixels: of the release's shapes of at most `cells` cells, which go from wide to high, the one
    nearest to that of a picture of `size`; the wider of equals, and then the higher."""
    shapes, wide, high = [], cells, 1
    while wide > 0:
        if max(wide, high) <= _LONGEST * min(wide, high):
            shapes.append((wide * _CELL, high * _CELL))
        if (high + 1) * wide <= cells:
            high += 1
        else:
            wide -= 1

    def nearness(shape: tuple[int, int]) -> float:
        across, down = shape[0] / size[0], shape[1] / size[1]
        return min(across, down) / max(across, down)

    return max(shapes, key=lambda shape: (nearness(shape), shape))


LUMINA_DIMOO = Family(
    name="lumina_dimoo",
    pretrained="Alpha-VLLM/Lumina-DiMOO",
    codec="",
    subfolder="vqvae",
    random={"8b": {**LLADA_8B.random["8b"], "vocab_size": 134548}},
    size=(1024, 1024),
    layout=_layout,
    prompter=_Prompter,
    asker=_Asker(),
    load=load_vq,
    make=random_vq,
    check=check_diffusers,
)

lumina_dimoo, revision = factory(LUMINA_DIMOO), revision_of(LUMINA_DIMOO)
lumina_dimoo_vqa, vqa_revision = asked(LUMINA_DIMOO), asked_revision(LUMINA_DIMOO)
