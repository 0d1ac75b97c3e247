"""Requests to tokens and tokens to text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from harness.errors import UserError
from harness.task import Request


class Codec(Protocol):
    """Turns what a request says into tokens, and generated tokens into text.

    mask_id, eos_id, bos_id  special tokens as the tokenizer knows them, None where it does not
    """

    mask_id: int | None
    eos_id: int | None
    bos_id: int | None

    def encode(self, request: Request) -> tuple[list[int], list[int]]:
        """The tokens before the answer, and those of the request's continuation."""

    def tokens(self, text: str, continuation: str) -> tuple[list[int], list[int]]:
        """The tokens of a text, and those of what continues it."""

    def render(self, turns: Sequence[tuple[str, str]]) -> str:
        """A conversation as text, up to where the answer begins or goes on."""

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of generated tokens."""

    def id_of(self, token: str) -> int | None:
        """The id of a special token, None where the vocabulary has no such token."""


class TokenizerCodec:
    """A Hugging Face tokenizer.

    chat  a request is a conversation, in the tokenizer's own chat template; otherwise its prompt is plain text
    bos   a plain text begins with the tokenizer's BOS token (the chat template decides for itself)
    whole special tokens are part of the text that is decoded
    """

    def __init__(self, tokenizer: Any, chat: bool, bos: bool = False, whole: bool = False) -> None:
        self.tokenizer, self.chat, self.whole = tokenizer, chat, whole
        if chat and not tokenizer.chat_template:
            raise UserError("pretrained: the tokenizer has no chat template; write chat=false for a base model.")
        self.start = [tokenizer.bos_token_id] if bos and not chat else []
        self.mask_id, self.eos_id = tokenizer.mask_token_id, tokenizer.eos_token_id
        self.bos_id = tokenizer.bos_token_id

    def encode(self, request: Request) -> tuple[list[int], list[int]]:
        """As the protocol says."""
        return self.tokens(self._text(request), request.continuation or "")

    def tokens(self, text: str, continuation: str) -> tuple[list[int], list[int]]:
        """As the protocol says. Text and continuation are tokenised as one, blanks between them with the latter: so do
        lm-eval and the releases."""
        # A text that begins with a special token, such as a conversation that has its template, has its beginning.
        start = [] if text.startswith(tuple(self.tokenizer.all_special_tokens)) else self.start
        if not continuation:
            return [*start, *self._ids(text)], []
        stem = text.rstrip()
        before, whole = self._ids(stem), self._ids(text + continuation)
        return [*start, *whole[: len(before)]], whole[len(before) :]

    def _text(self, request: Request) -> str:
        if not self.chat or (request.prompt is None and not request.turns):
            return request.prompt or ""
        return self.render(request.turns or (("user", request.prompt or ""),))

    def render(self, turns: Sequence[tuple[str, str]]) -> str:
        """A conversation in the tokenizer's chat template, up to where the assistant's answer begins or goes on."""
        if not self.tokenizer.chat_template:
            raise UserError("pretrained: the tokenizer has no chat template.")
        begun = turns[-1][0] == "assistant"
        return str(
            self.tokenizer.apply_chat_template(
                [{"role": role, "content": text} for role, text in turns],
                tokenize=False,
                add_generation_prompt=not begun,
                continue_final_message=begun,
            )
        )

    def _ids(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def decode(self, tokens: Sequence[int]) -> str:
        """As the protocol says."""
        return str(
            self.tokenizer.decode(list(tokens), skip_special_tokens=not self.whole, clean_up_tokenization_spaces=False)
        )

    def id_of(self, token: str) -> int | None:
        """As the protocol says."""
        found = self.tokenizer.get_vocab().get(token)
        return None if found is None else int(found)


class ByteCodec:
    """The bytes of a text as tokens 0 to 255: for networks of random weights, which have no tokenizer."""

    mask_id: int | None = None
    eos_id: int | None = None
    bos_id: int | None = None

    def encode(self, request: Request) -> tuple[list[int], list[int]]:
        """UTF-8."""
        text = request.prompt if request.prompt is not None else self.render(request.turns)
        return self.tokens(text, request.continuation or "")

    def tokens(self, text: str, continuation: str) -> tuple[list[int], list[int]]:
        """UTF-8."""
        return list(text.encode()), list(continuation.encode())

    def render(self, turns: Sequence[tuple[str, str]]) -> str:
        """One line a turn."""
        return "\n".join(text for _, text in turns)

    def decode(self, tokens: Sequence[int]) -> str:
        """The bytes among the tokens, as UTF-8 as far as they are."""
        return bytes(token for token in tokens if token < 256).decode(errors="replace")

    def id_of(self, token: str) -> int | None:
        """There are no special tokens."""
        return None


def load_tokenizer(folder: Path, vocab_size: int) -> Any:
    """The tokenizer of a checkpoint, from its `tokenizer.json` or from the `vocab.json` and `merges.txt` of Qwen2's;
    UserError if it is absent, unreadable, or has tokens that the model has not."""
    from transformers import PreTrainedTokenizerFast, Qwen2Tokenizer, logging

    if (folder / "tokenizer.json").is_file():
        kind: Any = PreTrainedTokenizerFast
    elif (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
        kind = Qwen2Tokenizer
    else:
        raise UserError(f"pretrained: {folder} has no tokenizer: neither tokenizer.json nor vocab.json and merges.txt.")
    level = logging.get_verbosity()
    logging.set_verbosity_error()  # it warns that Dream's tokenizer has another class, which is the point
    try:
        tokenizer = kind.from_pretrained(str(folder), local_files_only=True)
    except Exception as error:  # the tokenizers library raises bare Exceptions
        raise UserError(f"pretrained: the tokenizer in {folder} cannot be read: {error}") from error
    finally:
        logging.set_verbosity(level)
    check_vocabulary(tokenizer, vocab_size, folder)
    return tokenizer


def check_vocabulary(tokenizer: Any, vocab_size: int, folder: Path) -> None:
    """Raise UserError if the tokenizer makes ids that the model's embedding has no row for."""
    highest = max(tokenizer.get_vocab().values(), default=0)
    if highest >= vocab_size:
        raise UserError(
            f"pretrained: the tokenizer in {folder} has ids up to {highest}, and the model's vocabulary ends at "
            f"{vocab_size - 1}: they do not belong together."
        )
