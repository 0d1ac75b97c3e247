"""Which option a text chooses and whether an open answer is right: cases with the verdicts of the official code.

`choice_cases.jsonl` was made by running MMMU's evaluation (bb0b95a) and VLMEvalKit's (e8e78f05) on texts put
together at random; a null is where the one draws a letter and the other asks a language model.
"""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.metrics.choices import mmbench_choice, mmmu_choice, mmmu_open_correct

CASES = [json.loads(line) for line in (Path(__file__).parent / "choice_cases.jsonl").read_text().splitlines()]


def test_choices_equal_the_official_ones():
    cases = [case for case in CASES if "options" in case]
    assert len(cases) == 90
    assert [mmmu_choice(case["text"], case["options"]) for case in cases] == [case["mmmu"] for case in cases]
    assert [mmbench_choice(case["text"], case["options"]) for case in cases] == [case["mmbench"] for case in cases]


def test_open_answers_equal_the_official_ones():
    cases = [case for case in CASES if "answers" in case]
    assert len(cases) == 50
    assert [mmmu_open_correct(case["text"], case["answers"]) for case in cases] == [case["correct"] for case in cases]


@pytest.mark.parametrize(
    ("text", "answers", "correct"),
    [("The area is 12.004.", ["12"], True), ("so x = 1,200", ["1200"], True), ("It is not clear.", ["12"], False)],
)
def test_numbers_are_compared_to_two_decimals(text, answers, correct):
    assert mmmu_open_correct(text, answers) is correct


@given(st.text(max_size=60))
def test_any_text_is_read(text):
    options = {"A": "a cat", "B": "two dogs"}
    assert mmmu_choice(text, options) in ("A", "B", None)
    assert mmbench_choice(text, options) in ("A", "B", None)
    assert mmmu_open_correct(text, ["cat"]) in (True, False)
