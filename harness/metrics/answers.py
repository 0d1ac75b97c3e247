"""Answers found in the text of a language model: numbers, expressions, lists, and the grids of puzzles."""

from __future__ import annotations

import re
from collections.abc import Iterable

_D1_NUMBER = re.compile(r"-?\d+\.?\d*")
_NUMBER = re.compile(r"-?(?:\d[\d,]*(?:\.\d+)?|\.\d+)")
_BOX = re.compile(r"\\boxed\s*\{")
_ANSWER_LINE = re.compile(r"answer\s*(?:is\b\s*:?|:)[\s*]*([^\n]*)", re.IGNORECASE)
_END_TOKEN = re.compile(r"<\|eot_id\|>|<\|endoftext\|>")
_END = re.compile(r"<\|eot_id\|>|<\|endoftext\|>|</answer>")


def d1_number(text: str) -> float | None:
    r"""The answer that d1 reads (`parse_gsm_answers` of dllm-reasoning/d1, `eval/parse_and_get_acc.py`).

    It is the first `\boxed{}`, up to the first brace and within a line, that is a number or holds one (the first of
    them); else the first `<answer>` that is closed, as a number or by its last one; else None. A comma ends a number.
    """
    for box in re.findall(r"\\boxed\{([^}\n]*)\}", text):
        number = _whole_or(box, _D1_NUMBER.findall(box)[:1])
        if number is not None:
            return number
    answer, closed, _ = text.partition("<answer>")[2].partition("</answer>")
    return _whole_or(answer, _D1_NUMBER.findall(answer)[-1:]) if closed else None


def last_number(text: str) -> float | None:
    r"""The last number of the last `\boxed{}` that has one, else of the last `<answer>`, else of the whole text.

    A box may hold braces and lines; it, or an answer, may be left open. `43,500` is one number.
    """
    closing = text.split("<answer>")[:0:-1]
    answers = (_END.split(answer, maxsplit=1)[0] for answer in closing)
    for place in (*reversed(_boxes(text)), *answers, text):
        found = _NUMBER.findall(place)
        if found:
            return float(found[-1].replace(",", ""))
    return None


def last_answer(text: str) -> str:
    r"""The last `\boxed{}`, else the last `<answer>`, else the last line that is not empty; boxes and answers may be
    left open."""
    boxes = _boxes(text)
    if boxes:
        return boxes[-1].strip()
    if "<answer>" in text:
        return section(text)
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")


def conclusion(text: str) -> str | None:
    r"""What a text that reasons first concludes: the last `\boxed{}`, else what follows the last `<answer>`, else the
    rest of the line after the last `answer:` or `answer is`. None where there is no such, or nothing in it.

    Asterisks around it and a full stop at its end are left out.
    """
    lines = _ANSWER_LINE.findall(text)
    if boxes := _boxes(text):
        found = boxes[-1]
    elif "<answer>" in text:
        found = section(text)
    elif lines:
        found = lines[-1]
    else:
        return None
    return found.strip().strip("*").strip().removesuffix(".").strip() or None


def section(text: str) -> str:
    """What stands after the last `<answer>`, up to its end; the whole text where there is none."""
    return _END.split(text.rpartition("<answer>")[2], maxsplit=1)[0].strip()


def read_list(text: str) -> list[str]:
    """The items of the last line with commas, or else one on each line, of the `section`: without quotes, brackets,
    bullets, numbers before them, and full stops."""
    lines = [line for line in section(text).splitlines() if line.strip()]
    listed = next((line.split(",") for line in reversed(lines) if "," in line), lines)
    around = r"^[\s\[(\"'*-]*(\d+[.)])?[\s\"'*]*|[\s\])\"'.*]*$"
    return [item for item in (re.sub(around, "", one) for one in listed) if item]


def read_digits(text: str, count: int) -> str | None:
    """The last `count` digits of the last run of at least so many in the `section`, whatever white space and lines of a
    grid are between them; None where there is no such run."""
    runs = (re.sub(r"\D", "", run) for run in re.findall(r"[\d\s|+,─│┼-]+", section(text)))
    found = [run for run in runs if len(run) >= count]
    return found[-1][-count:] if found else None


def d1_expression(text: str) -> str:
    r"""The expression that d1 reads (`parse_countdown_answers` of dllm-reasoning/d1, `eval/parse_and_get_acc.py`).

    It is what the last `\boxed{}` holds, from `\boxed ` on where there is such, else the whole text; an unclosed box
    leaves the first `<answer>` that is closed, else the whole text. Signs of LaTeX become those of Python, and of an
    equation with a number on its right the left side is taken.
    """
    expression = _d1_box(text)
    if expression is None:
        answer = re.search(r"<answer>(.*?)</answer>", text, re.DOTALL)
        expression = answer[1].strip() if answer else text
    for sign, plain in ((r"\div", "/"), (r"\times", "*"), (r"\cdot", "*")):
        expression = expression.replace(sign, plain)
    equation = re.search(r"([0-9+\-*/() ]+)=[0-9. ]+", expression)
    return equation[1].strip() if equation else expression


def _d1_box(text: str) -> str | None:
    if "\\boxed " in text:
        return text.split("\\boxed ")[-1].split("$")[0]
    start = text.rfind("\\boxed")
    if start < 0:
        start = text.rfind("\\fbox")
    if start < 0:
        return text
    depth = 0
    for place in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if text[place] == "}" and depth == 0:
            box = text[start : place + 1]
            return box.removeprefix("\\boxed{")[:-1] if box.startswith("\\boxed{") else box
    return None


def d1_grid(text: str) -> str:
    """16 characters, the cells of a 4x4 Sudoku in reading order as d1 reads them (`parse_sudoku_answers`).

    They are what stands, after the first `<answer>`, in a fence or else up to an end token or `</answer>`; else after
    the first `</answer>`; else the first 16 digits before one; else the first 16 digits. White space is left out, and
    the rest cut to 16 characters or filled up with `0`. d1's texts have end tokens, those of this harness stop there:
    so the end of the text ends an answer too, which changes no published number.
    """
    opened = text.partition("<answer>")[2]
    closed = text.partition("</answer>")[2]
    places = (
        _first(r"```([\d\s]+)```", opened),
        _END.split(opened, maxsplit=1)[0],
        _END_TOKEN.split(closed, maxsplit=1)[0],
        _first(r"(\d{16})\s*</answer>", text),
        _first(r"\b(\d{16})\b", text),
    )
    found = next((place for place in places if place.strip()), "")
    return "".join(found.split())[:16].ljust(16, "0")


def _first(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    return match[1] if match else ""


def _whole_or(text: str, numbers: Iterable[str]) -> float | None:
    """The text as a number, as Python reads one, else the first of `numbers`."""
    for candidate in (text, *numbers):
        try:
            return float(candidate)
        except ValueError:
            continue
    return None


def _boxes(text: str) -> list[str]:
    r"""The contents of every `\boxed{}`, which ends with its own brace, the next box, or the text."""
    return [_balanced(after) for after in _BOX.split(text)[1:]]


def _balanced(text: str) -> str:
    depth = 1
    for brace in re.finditer(r"[{}]", text):
        depth += 1 if brace[0] == "{" else -1
        if depth == 0:
            return text[: brace.start()]
    return text
