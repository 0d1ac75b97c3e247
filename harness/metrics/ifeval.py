"""Whether a response follows verifiable instructions, by lm-eval's checkers of IFEval (arXiv:2311.07911).

Two protocols:

`deterministic`  the published rules without their two dice: language detection runs with seed 0, and a
                 "letter" outside a-z (the data has '#' and '!') is counted as it stands
`lm_eval`        lm-eval's own scoring function. Its verdicts may differ between runs: language detection is
                 not seeded, and a letter outside a-z is replaced by a random one, anew for strict and loose

In both, JSON nested too deeply for Python's parser does not follow `json_format`; lm-eval would crash on it.
"""

from __future__ import annotations

import logging
import operator
import string
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

from harness.errors import did_you_mean

NEEDS_PUNKT = frozenset({"length_constraints:number_sentences", "change_case:capital_word_frequency"})
"""The instructions whose checkers split text into sentences with NLTK's Punkt."""

_LM_EVAL = "lm_eval.tasks.ifeval"
_LETTER_FREQUENCY = "keywords:letter_frequency"
_RELATIONS: dict[str, Callable[[int, int], bool]] = {"less than": operator.lt, "at least": operator.ge}

# langdetect keeps its profiles and its seed in globals, so checks run one at a time: a thread that came while
# another loads the profiles would get an error, which the checkers count as followed.
_langdetect_lock = threading.Lock()


@dataclass(frozen=True)
class Instruction:
    """One verifiable instruction: its id, such as `punctuation:no_comma`, and its arguments."""

    id: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """Whether a response follows an instruction as it stands (`strict`), or in any loose form (`loose`)."""

    strict: bool
    loose: bool


def judge(instructions: Sequence[Instruction], response: str, protocol: str = "deterministic") -> list[Verdict]:
    """The verdict on each instruction; an empty response follows none.

    The instructions must have passed `check_instruction`, and NLTK must find Punkt for those in `NEEDS_PUNKT`.
    """
    from langdetect import DetectorFactory

    # The checkers log every whole text whose language cannot be told (which they count as followed).
    with _langdetect_lock, _replaced(logging.getLogger(f"{_LM_EVAL}.instructions"), "disabled", True):
        if protocol == "lm_eval":
            return [_judge_as_lm_eval(instruction, response) for instruction in instructions]
        variants = loose_variants(response)
        with _replaced(DetectorFactory, "seed", 0):
            return [_judge(instruction, response, variants) for instruction in instructions]


def loose_variants(response: str) -> list[str]:
    """The distinct ones among eight forms: without first line, last line, both; with or without asterisks."""
    lines = response.split("\n")
    cuts = [response, *("\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1]))]
    return list(dict.fromkeys(text for cut in cuts for text in (cut, cut.replace("*", ""))))


def check_instruction(instruction: Instruction) -> None:
    """Raise ValueError unless lm-eval knows the instruction and can check it with exactly these arguments.

    Where an argument is missing, lm-eval draws one at random; here that is an error in the data.
    """
    known = _lm_eval().instructions_registry.INSTRUCTION_DICT
    if instruction.id not in known:
        raise ValueError(f"unknown instruction {instruction.id!r}.{did_you_mean(instruction.id, known)}")
    takes = sorted(known[instruction.id](instruction.id).get_instruction_args_keys())
    if sorted(instruction.arguments) != takes:
        raise ValueError(
            f"instruction {instruction.id!r} takes the arguments {takes}, not {sorted(instruction.arguments)}"
        )
    try:
        judge([instruction], "A harmless text.")
    except Exception as error:  # whatever a checker raises on a harmless text is the fault of its arguments
        raise ValueError(
            f"instruction {instruction.id!r} cannot be checked with {dict(instruction.arguments)}: {error}"
        ) from error


def _judge(instruction: Instruction, response: str, variants: Sequence[str]) -> Verdict:
    follows = _checker(instruction)
    strict = _follows(follows, response)
    return Verdict(strict, strict or any(_follows(follows, text) for text in variants if text != response))


def _follows(follows: Callable[[str], bool], text: str) -> bool:
    try:
        return bool(text.strip()) and bool(follows(text))
    except RecursionError:
        return False


def _checker(instruction: Instruction) -> Callable[[str], bool]:
    if instruction.id == _LETTER_FREQUENCY:
        letter = instruction.arguments["letter"].lower()
        if letter not in set(string.ascii_lowercase):
            holds = _RELATIONS[instruction.arguments["let_relation"]]
            return lambda text: holds(text.lower().count(letter), instruction.arguments["let_frequency"])
    checker = _lm_eval().instructions_registry.INSTRUCTION_DICT[instruction.id](instruction.id)
    checker.build_description(**instruction.arguments)
    follows: Callable[[str], bool] = checker.check_following
    return follows


def _judge_as_lm_eval(instruction: Instruction, response: str) -> Verdict:
    document = {
        "key": 0,
        "prompt": "",
        "instruction_id_list": [instruction.id],
        "kwargs": [instruction.arguments],
    }
    try:
        result = _lm_eval().process_results(document, [response])
    except RecursionError:
        return Verdict(False, False)
    return Verdict(bool(result["inst_level_strict_acc"][0]), bool(result["inst_level_loose_acc"][0]))


@contextmanager
def _replaced(owner: Any, name: str, value: object) -> Iterator[None]:
    """Attribute `name` of `owner` is `value` inside the block."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


@cache
def _lm_eval() -> ModuleType:
    """`lm_eval.tasks.ifeval.utils`, which at its import would download Punkt if NLTK did not find it."""
    import nltk.data

    import_module("lm_eval.tasks")
    with _replaced(nltk.data, "find", lambda name: name):
        return import_module(f"{_LM_EVAL}.utils")
