"""Which option of a question a text chooses, and whether an open answer is right, by published rules."""

from __future__ import annotations

import re
from collections.abc import Mapping

_REFUSALS = (
    "Failed to obtain answer via API",
    "Sorry, I can't help with images of people yet.",
    "I can't process this file.",
    "I'm sorry, but without the image provided",
    "Cannot determine the answer",
)
_ANSWER_IS = re.compile(r"(?i)answer\s+is\s+\**([ABCD])\**")
_SIGNS = str.maketrans(".()[],:;!*#{}", " " * 13)


def mmmu_choice(text: str, options: Mapping[str, str]) -> str | None:
    """The letter that MMMU's evaluation reads (MMMU-Benchmark/MMMU bb0b95a, `mmmu/utils/eval_utils.py`).

    `options` is letter to text. It is the letter that comes last in brackets; else the last one that stands alone;
    else, in texts of over five words, the option whose own text comes last; else None, where the official code draws a
    letter at random.
    """
    for sign in ",.!?;:'":
        text = text.strip(sign)
    text = f" {text} "
    for form in ("({})", " {} "):
        found = {letter: text.rfind(form.format(letter)) for letter in options}
        if max(found.values(), default=-1) >= 0:
            return max(found, key=found.__getitem__)
    if len(text.split()) > 5:
        lower = text.lower()
        found = {letter: lower.rfind(option.lower()) for letter, option in options.items()}
        if max(found.values(), default=-1) >= 0:
            return max(found, key=found.__getitem__)
    return None


def mmbench_choice(text: str, options: Mapping[str, str]) -> str | None:
    """The letter that can be inferred without a judge (open-compass/VLMEvalKit e8e78f05, `matching_util.py`).

    It is the one option letter among the words, if one alone is there and among the last four; else that of `answer is
    B`; else the one option whose text is in an answer that is not twice as long as all of them. None where there is no
    such, or the answer is a refusal: there the published numbers ask a language model.
    """
    if any(refusal in text for refusal in _REFUSALS):
        return None
    words = text.translate(_SIGNS).split()
    named = [letter for letter in options if letter in words]
    if len(named) == 1 and words.index(named[0]) > len(words) - 5:
        return named[0]
    if not named and "Z" in words:
        return None
    verbose = _ANSWER_IS.search(text)
    if verbose and verbose[1].upper() in options:
        return verbose[1].upper()
    lower = text.lower()
    if len(lower) > 2 * sum(map(len, options.values())):
        return None
    quoted = [letter for letter, option in options.items() if option.lower() in lower]
    return quoted[0] if len(quoted) == 1 else None


Value = str | float

_KEYS = ("could be ", "so ", "is ", "thus ", "therefore ", "final ", "answer ", "result ")
_TRIVIAL = frozenset(":,.!?;'")
_NUMBERS = (
    re.compile(r"-?\b\d{1,3}(?:,\d{3})+\b"),
    re.compile(r"-?\d+(?:\.\d+)?[eE][+-]?\d+"),
    re.compile(r"-?(?:\d+\.\d+|\.\d+|\d+\b)(?![eE][+-]?\d+)(?![,\d])"),
)


def mmmu_open_correct(text: str, answers: list[str]) -> bool:
    """Whether an open answer is right by MMMU's evaluation (same file): a number among those in the text's conclusions
    equals one of the answers to two decimals, or a conclusion has the answer in it, in lower case."""
    wanted = [value for answer in answers for value in _values(answer)]
    for found in _open_values(text):
        if isinstance(found, float):
            if found in wanted:
                return True
        elif any(isinstance(value, str) and value in found for value in wanted):
            return True
    return False


def _open_values(text: str) -> list[Value]:
    conclusions = _conclusions(text)
    numbers = [number for part in conclusions for pattern in _NUMBERS for number in pattern.findall(part)]
    return [value for one in [*conclusions, *numbers] for value in _values(one)]


def _conclusions(text: str) -> list[str]:
    """Of each line the shortest rest after a word such as `is`; in the last line also after `=`."""
    # The text is in lower case by then, so that the official rule to break sentences at ". A" never applies.
    whole = text.strip().strip(".").lower()
    lines = whole.split("\n")
    found = []
    for number, line in enumerate(lines):
        shortest = ""
        for key in (*_KEYS, "=") if number == len(lines) - 1 else _KEYS:
            rest = line.split(key)[-1].strip()
            if key in line and (not shortest or len(rest) < len(shortest)):
                shortest = rest
        if shortest and shortest not in _TRIVIAL:
            found.append(shortest)
    return found or [whole]


def _values(text: str) -> list[Value]:
    """The number, rounded to two decimals; else the text in lower case, a single character with a space beside it."""
    text = text.strip()
    try:
        return [round(float(text.replace(",", "")), 2)]
    except ValueError:
        text = text.lower()
        return [f" {text}", f"{text} "] if len(text) == 1 else [text]
