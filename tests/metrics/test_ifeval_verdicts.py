"""Verdicts on hand-made responses, the two protocols, and what the import of lm-eval must not do."""

import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.metrics.ifeval import Instruction, Verdict, check_instruction, judge, loose_variants

NO_COMMA = Instruction("punctuation:no_comma")
QUOTED = Instruction("startend:quotation")
JSON = Instruction("detectable_format:json_format")
GERMAN = Instruction("language:response_language", {"language": "de"})


def letter(which: str, count: int, relation: str = "at least") -> Instruction:
    arguments = {"letter": which, "let_frequency": count, "let_relation": relation}
    return Instruction("keywords:letter_frequency", arguments)


@pytest.mark.parametrize(
    ("instruction", "response", "strict", "loose"),
    [
        (NO_COMMA, "plain words", True, True),
        (NO_COMMA, "one, two", False, False),
        (NO_COMMA, "Sure, here it is:\nplain words", False, True),  # first line removed
        (NO_COMMA, "plain words\nSure, done", False, True),  # last line removed
        (NO_COMMA, "Well, hello\nplain words\nSo, bye", False, True),  # both removed
        (QUOTED, '*"all of it"*', False, True),  # asterisks removed
        (QUOTED, 'Sure\n**"all of it"**', False, True),  # first line and asterisks removed
        (QUOTED, 'Sure\n"all of it"\nDone\nagain', False, False),  # one line at each end at most
        (JSON, '```json\n{"a": 1}\n```', True, True),
        (JSON, "not json", False, False),
        (GERMAN, "Das ist ein ganz gewöhnlicher Satz über das Wetter in Hamburg.", True, True),
        (GERMAN, "This is quite an ordinary sentence about the weather.", False, False),
        (letter("e", 3), "eel bee", True, True),
        (letter("E", 5), "eel bee", False, False),
        (letter("e", 4, "less than"), "eel", True, True),
    ],
)
@pytest.mark.parametrize("protocol", ["deterministic", "lm_eval"])
def test_strict_and_loose(instruction, response, strict, loose, protocol):
    assert judge([instruction], response, protocol) == [Verdict(strict, loose)]


@pytest.mark.parametrize("protocol", ["deterministic", "lm_eval"])
@pytest.mark.parametrize("response", ["", " \n\t ", "\n\n"])
def test_an_empty_response_follows_nothing(response, protocol):
    instructions = [NO_COMMA, letter("#", 1, "less than"), GERMAN]
    assert judge(instructions, response, protocol) == [Verdict(False, False)] * 3


@pytest.mark.parametrize(("which", "count"), [("#", 4), ("!", 6), ("é", 2)])
def test_other_letters_are_counted_as_they_stand(which, count):
    enough, few = "xyz " + which * count, "xyz " + which * (count - 1)
    for _ in range(20):  # lm-eval's random letter would give another verdict within a few draws
        assert judge([letter(which, count)], enough) == [Verdict(True, True)]
        assert judge([letter(which, count)], few) == [Verdict(False, False)]
        assert judge([letter(which, count, "less than")], few) == [Verdict(True, True)]


def test_deterministic_leaves_the_seed_of_langdetect_and_of_random_alone(monkeypatch):
    import random

    from langdetect import DetectorFactory

    monkeypatch.setattr(DetectorFactory, "seed", 1234)
    random.seed(5)
    state = random.getstate()
    judge([GERMAN, letter("#", 4)], "Kurz 12 ok no si #")
    assert DetectorFactory.seed == 1234
    assert random.getstate() == state


def test_an_ambiguous_text_has_one_language_under_the_deterministic_protocol():
    # Without a seed, langdetect calls it Spanish in one half of the trials, Italian in the other.
    spanish = Instruction("language:response_language", {"language": "es"})
    assert len({judge([spanish], "no via la casa")[0] for _ in range(30)}) == 1
    assert len({judge([spanish], "no via la casa", "lm_eval")[0] for _ in range(60)}) > 1


@pytest.mark.parametrize("protocol", ["deterministic", "lm_eval"])
def test_a_text_without_letters_counts_as_any_language_and_is_not_logged(protocol, caplog):
    assert judge([GERMAN], "1 2 3 ...", protocol) == [Verdict(True, True)]  # as in the published checkers
    assert caplog.records == []


@pytest.mark.parametrize("protocol", ["deterministic", "lm_eval"])
def test_json_nested_beyond_the_parser_is_not_followed(protocol):
    assert judge([JSON], "[" * 200_000, protocol) == [Verdict(False, False)]


@given(st.text(max_size=80))
@settings(max_examples=60, deadline=None)
def test_any_text_gets_a_verdict_and_strict_implies_loose(text):
    instructions = [
        NO_COMMA,
        QUOTED,
        JSON,
        GERMAN,
        letter("!", 1),
        Instruction("startend:end_checker", {"end_phrase": "bye"}),
        Instruction("detectable_format:title"),
        Instruction("change_case:english_lowercase"),
        Instruction("length_constraints:number_paragraphs", {"num_paragraphs": 2}),
        Instruction("detectable_content:postscript", {"postscript_marker": "P.S."}),
    ]
    for verdict in judge(instructions, text):
        assert verdict.loose or not verdict.strict


def test_loose_variants_are_the_eight_of_lm_eval_without_repeats():
    assert loose_variants("a\n*b*\nc") == ["a\n*b*\nc", "a\nb\nc", "*b*\nc", "b\nc", "a\n*b*", "a\nb", "*b*", "b"]
    assert loose_variants("one line") == ["one line", ""]


@pytest.mark.parametrize(
    ("instruction", "message"),
    [
        (Instruction("punctuation:no_coma"), "Did you mean 'punctuation:no_comma'"),
        (Instruction("punctuation:no_comma", {"num": 1}), "takes the arguments"),
        (Instruction("keywords:letter_frequency", {"letter": "a"}), "let_frequency"),
        (letter("#", 4, "at most"), "cannot be checked"),
        (letter("a", 4, "at most"), "cannot be checked"),
        (Instruction("language:response_language", {"language": "xx"}), "cannot be checked"),
        (Instruction("keywords:existence", {"keywords": ["(unclosed"]}), "cannot be checked"),
    ],
)
def test_a_broken_instruction_is_named(instruction, message):
    with pytest.raises(ValueError, match=message):
        check_instruction(instruction)


def test_no_download_is_tried_at_import(tmp_path):
    """Without Punkt anywhere, in a fresh process where a download or a connection ends it."""
    program = """
import nltk, nltk.data, socket, sys
nltk.data.path[:] = []
def refuse(*args, **kwargs): sys.exit("tried to download")
nltk.download = nltk.downloader.download = socket.socket.connect = refuse
before = nltk.data.find
from harness.metrics.ifeval import Instruction, judge
assert judge([Instruction("punctuation:no_comma")], "fine")[0].strict
assert nltk.data.find is before
"""
    environment = {**os.environ, "NLTK_DATA": str(tmp_path), "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
