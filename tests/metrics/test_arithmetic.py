"""Expressions worked out without running them, against Python's own arithmetic."""

import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.metrics.answers import d1_expression, last_answer
from harness.metrics.arithmetic import d1_value, plain_expression, value

expressions = st.recursive(
    st.integers(0, 50).map(str),
    lambda inner: st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda parts: f"({' '.join(parts)})"),
    max_leaves=6,
)


@given(expressions)
def test_python_agrees(expression):
    try:
        expected = eval(re.sub(r"(\d+)", r"Fraction(\1)", expression), {"Fraction": Fraction})
    except ZeroDivisionError:
        expected = None
    assert value(expression) == expected
    try:
        floats = eval(expression)
    except ZeroDivisionError:
        floats = None
    assert d1_value(expression) == floats


@pytest.mark.parametrize(
    ("text", "exact", "d1"),
    [
        ("1 + 2 * 3", 7, 7),
        ("(1 + 2) * 3", 9, 9),
        ("-2 + 5", 3, 3),
        ("7 / 2", Fraction(7, 2), 3.5),
        ("2 ** 3", None, 8),
        ("7 // 2", None, 3),
        ("1.5 + 1", None, 2.5),
        ("2 ** 2 ** 2 ** 9", None, None),  # would take all memory
        ("9 ** 9 ** 9", None, None),
        ("1 / 0", None, None),
        ("007 + 1", None, None),  # no number of Python's
        ("(1 + 2", None, None),
        ("2 3", None, None),
        ("", None, None),
        ("(" * 200 + "1" + ")" * 200, None, None),
        ("__import__('os')", None, None),
        ("1 if 2 else 3", None, None),
    ],
)
def test_what_counts_as_arithmetic(text, exact, d1):
    assert value(text) == exact
    assert d1_value(text) == d1


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        (r"15 \times 3 \div 5", "15 * 3 / 5"),
        (r"\frac{15}{3} \cdot 2", "(15)/(3) * 2"),
        (r"\left( 3 + 4 \right) × 2 = 14", "( 3 + 4 ) * 2"),
        ("3 − 1", "3 - 1"),
    ],
)
def test_typesetting(text, plain):
    assert plain_expression(text) == plain


@pytest.mark.parametrize(
    ("text", "last", "d1"),
    [
        (r"so \boxed{1 + 2}", "1 + 2", "1 + 2"),
        (r"\boxed{1} then \boxed{2 \times 3}", r"2 \times 3", "2 * 3"),
        (r"\boxed{1 + 2 = 3}", "1 + 2 = 3", "1 + 2"),
        (r"<answer>\boxed{4 - 1}</answer>", "4 - 1", "4 - 1"),
        ("<answer>4 - 1</answer>", "4 - 1", "<answer>4 - 1</answer>"),  # d1 reads the whole text where there is no box
        (r"\boxed{4 - 1 <answer> 5 </answer>", "4 - 1 <answer> 5 </answer>", "5"),
        (r"\boxed 4 - 1$ and", "and", r"4 - 1"),
        ("first\n  3 + 4  \n\n", "3 + 4", "first\n  3 + 4  \n\n"),
        ("", "", ""),
    ],
)
def test_where_the_expression_is(text, last, d1):
    assert last_answer(text) == (last if r"\boxed 4" not in text else r"\boxed 4 - 1$ and")
    assert d1_expression(text) == d1
