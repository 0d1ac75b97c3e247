"""Arithmetic expressions in the text of a language model, read and worked out without running anything."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

_LONGEST = 300
"""More signs than that are no expression over a handful of numbers, and could cost time."""
_LARGEST = 10**12

Operation = Callable[[Any, Any], Any]
_PLAIN: Mapping[type[ast.operator], Operation] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_LATEX = {
    **{r"\div": "/", r"\times": "*", r"\cdot": "*", r"\left": "", r"\right": "", r"\,": " ", r"\!": ""},
    **{"×": "*", "÷": "/", "−": "-", "·": "*", "$": ""},
}


def plain_expression(text: str) -> str:
    r"""The text with the signs of LaTeX and typesetting as those of a keyboard; `\frac{a}{b}` is `(a)/(b)`, and what
    stands behind an equals sign is left out."""
    text = re.sub(r"\\[dt]?frac\{([^{}]*)\}\{([^{}]*)\}", r"(\1)/(\2)", text)
    for sign, plain in _LATEX.items():
        text = text.replace(sign, plain)
    return text.partition("=")[0].strip()


def value(expression: str) -> Fraction | None:
    """What `+ - * /`, brackets and whole numbers come to, exactly; None for anything else, and a division by zero."""
    if len(expression) > _LONGEST or not re.fullmatch(r"[\d+\-*/()\s]+", expression):
        return None
    found = _work_out(expression, _PLAIN, Fraction)
    return found if isinstance(found, Fraction) else None


def d1_value(expression: str) -> float | None:
    """What Python makes of the same signs and of `.`, so that `**` and `//` count too; None where it fails, or where
    numbers grow beyond any use (d1, `evaluate_equation` of `eval/parse_and_get_acc.py`)."""
    if len(expression) > _LONGEST or not re.match(r"^[\d+\-*/().\s]+$", expression):
        return None
    operations = {**_PLAIN, ast.FloorDiv: operator.floordiv, ast.Pow: _power}
    found = _work_out(expression.strip(), operations, lambda number: number)
    return None if found is None or isinstance(found, complex) else float(found)


def _work_out(expression: str, operations: Mapping[type[ast.operator], Operation], number: Callable[[Any], Any]) -> Any:
    def walk(node: ast.AST) -> Any:
        match node:
            case ast.Expression():
                return walk(node.body)
            case ast.Constant(value=int() | float()):
                return number(node.value)
            case ast.UnaryOp(op=ast.USub()):
                return -walk(node.operand)
            case ast.UnaryOp(op=ast.UAdd()):
                return walk(node.operand)
            case ast.BinOp() if type(node.op) in operations:
                result = operations[type(node.op)](walk(node.left), walk(node.right))
                if not isinstance(result, complex) and abs(result) > _LARGEST:
                    raise OverflowError
                return result
        raise ValueError(f"no arithmetic: {type(node).__name__}")

    try:
        return walk(ast.parse(expression, mode="eval"))
    except (SyntaxError, ValueError, ArithmeticError, RecursionError, MemoryError):
        return None


def _power(base: Any, exponent: Any) -> Any:
    if abs(exponent) > 64:
        raise OverflowError
    return base**exponent
