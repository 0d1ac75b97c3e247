"""How answers are read from text: d1's way with its quirks, and the plain way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.metrics.answers import conclusion, d1_grid, d1_number, last_number


@pytest.mark.parametrize(
    ("text", "d1", "last"),
    [
        (r"so \boxed{18}", 18, 18),
        (r"\boxed{3} and then \boxed{4}", 3, 4),  # d1 takes the first box
        (r"\boxed{...} then \boxed{} then \boxed{4}", 4, 4),
        (r"\boxed{120\text{ minutes}}", 120, 120),
        (r"\boxed{3 \times 4 = 12}", 3, 12),
        (r"\boxed{43,500}", 43, 43500),
        (r"\boxed{\$8,400.50}", 8, 8400.5),
        (r"\boxed{\text{no \textbf{7}}}", 7, 7),
        ("\\boxed{803\n}", None, 803),  # a box of d1 ends with its line
        (r"\boxed{280", None, 280),
        (r"\boxed {5}", None, 5),
        (r"\boxed{-2}", -2, -2),
        (r"\boxed{ 1e3 }", 1000, 3),  # as Python reads it
        ("<answer>6 + 1 = 7</answer>", 7, 7),
        ("<answer>7", None, 7),
        ("<answer>1</answer> 5 <answer>2</answer> 9", 1, 2),
        (r"<answer>8</answer> \boxed{none}", 8, 8),
        ("3 + 4 is 7.", None, 7),
        ("costs $1,234.", None, 1234),
        (".5", None, 0.5),
        ("none", None, None),
        ("", None, None),
    ],
)
def test_numbers(text, d1, last):
    assert d1_number(text) == d1
    assert last_number(text) == last


PUZZLE, FULL = "1000020000300004", "1342421324313124"


@pytest.mark.parametrize(
    ("text", "grid"),
    [
        (f"<answer>\n{FULL}\n</answer><|eot_id|>", FULL),
        (f"{PUZZLE}</reasoning>\n<answer>\n{FULL}", FULL),  # cut at the end of text
        (f"<answer>\n{FULL}<|eot_id|><|endoftext|>", FULL),
        (f"<answer>```\n1342\n4213\n2431\n3124```</answer>{PUZZLE}", FULL),
        (f"<answer></answer> {FULL}<|eot_id|>", FULL),
        (f"it is {FULL}.", FULL),
        ("<answer>1342 4213</answer>", "1342421300000000"),
        ("<answer>1342x" + FULL, "1342x13424213243"),
        ("<answer> </answer>", "0" * 16),
        ("13424213243131", "0" * 16),
        ("", "0" * 16),
    ],
)
def test_grids(text, grid):
    assert d1_grid(text) == grid


PIECES = [r"\boxed{", "}", "{", "<answer>", "</answer>", "<|eot_id|>", "```", "7", "-", ",", ".", "\n", "1234" * 4, "e"]


@given(st.lists(st.one_of(st.sampled_from(PIECES), st.text(st.characters(codec=None), max_size=3))).map("".join))
def test_any_text_is_read(text):
    for number in (d1_number(text), last_number(text)):
        assert number is None or isinstance(number, float)
    assert len(d1_grid(text)) == 16


def test_long_hostile_texts_are_read_in_time():
    for text in (r"\boxed{" * 1000, "<answer>" * 2000, "<answer>```" + " 1" * 5000, "9" * 20000, "-1," * 5000):
        d1_number(text), last_number(text), d1_grid(text)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("A dog sits there.\nAnswer: yes.", "yes"),
        ("Answer: two\nNo, wait.\n**Answer:** **three**", "three"),
        ("The answer is: (B)", "(B)"),
        ("so the answer is a red ball.\n", "a red ball"),
        (r"Answer: 3, that is \boxed{4}", "4"),
        ("thus <answer> 12 </answer> and more", "12"),
        ("Answers vary.", None),
        ("There is a dog.", None),
        ("Answer:", None),
        ("", None),
    ],
)
def test_the_conclusion_of_a_text_that_reasons_first(text, found):
    assert conclusion(text) == found
