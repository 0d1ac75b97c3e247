"""The tasks sudoku_9x9, latin_square and waiting_line: problems that are generated, and answers that are checked."""

import itertools
import random
import re

import numpy as np
import pytest

from harness.catalogue import Catalogue
from harness.errors import UserError
from harness.metrics.answers import read_digits, read_list
from harness.miniworld.sudoku import solutions
from harness.spec import TaskSpec
from harness.task import Output, Sample

OPERATIONS = ["copy", "reverse", "sort", "shuffle", "insert", "insert_random", "replace", "replace_random", "remove",
              "remove_random"]  # fmt: skip


def task(name, **settings):
    return Catalogue().task(TaskSpec(name=name, args=settings), None, None)


def score(one, document, text):
    return one.score(Sample(document, 0, Output(text=text)), {})


@pytest.mark.parametrize("name", ["sudoku_9x9", "latin_square", "waiting_line"])
def test_problems_are_the_same_at_every_call_and_grow_with_the_count(name):
    few, many = task(name, count=5), task(name, count=9)
    few.check()
    assert few.documents() == many.documents()[:5]
    assert few.data_hash() == task(name, count=5).data_hash() != task(name, count=5, seed=1).data_hash()
    request = few.request(few.documents()[0])
    assert request.length == few.settings["max_tokens"]


@pytest.mark.parametrize("size", [9, 4])
def test_every_sudoku_has_one_solution_which_is_the_answer(size):
    one = task("sudoku_9x9", count=6, size=size, clues=36 if size == 9 else 6)
    for document in one.documents():
        rows = document.data["puzzle"].split("\n")
        puzzle = np.array([[0 if cell == "." else int(cell) for cell in row] for row in rows])
        (solution,) = solutions(puzzle)
        assert "".join(map(str, solution.ravel())) == document.data["answer"]
        for line in (*solution, *solution.T):
            assert sorted(line) == list(range(1, size + 1))
        assert document.data["puzzle"] in one.request(document).prompt
    assert len({document.data["answer"] for document in one.documents()}) == 6


def test_sudoku_answers():
    one = task("sudoku_9x9", count=1)
    document = one.documents()[0]
    answer = document.data["answer"]
    rows = [answer[i : i + 9] for i in range(0, 81, 9)]
    right = {"solved": True, "cells": 1.0, "no_answer": False}
    assert score(one, document, "<answer>\n" + "\n".join(rows) + "\n</answer>") == right
    assert score(one, document, "First 123.\n\n" + "\n".join(" | ".join(row) for row in rows) + "\nDone.") == right
    assert score(one, document, "<answer>" + answer) == right
    empty = [i for i, cell in enumerate(document.data["puzzle"].replace("\n", "")) if cell == "."]
    wrong = list(answer)
    wrong[empty[0]] = str(int(wrong[empty[0]]) % 9 + 1)
    assert score(one, document, "".join(wrong)) == {**right, "solved": False, "cells": 1 - 1 / len(empty)}
    assert score(one, document, answer[:80]) == {"solved": False, "cells": 0.0, "no_answer": True}
    assert read_digits("<answer>12 34</answer> 5678", 4) == "1234"
    assert read_digits("1234 and 5678", 4) == "5678"


def test_any_latin_square_is_right_and_nothing_else():
    one = task("latin_square", size=3, count=1)
    document = one.documents()[0]
    letters = document.data["letters"]
    squares = 0
    for cells in itertools.product(letters, repeat=9):
        rows = [cells[i : i + 3] for i in (0, 3, 6)]
        found = score(one, document, "\n".join(" ".join(row) for row in rows))
        lines = [*rows, *zip(*rows, strict=True)]
        good = sum(len(set(line)) == 3 for line in lines)
        assert found == {"correct": good == 6, "lines": good / 6}
        squares += found["correct"]
    assert squares == 12  # of Latin squares of size 3


def test_latin_squares_are_found_in_a_text():
    one = task("latin_square", size=2, count=1)
    document = one.documents()[0]
    a, b = document.data["letters"]
    assert score(one, document, f"Here:\n{a}, {b}\n{b}, {a}\nThat is it.")["correct"]
    assert score(one, document, f"{a} {a}\n<answer>\n| {a} | {b} |\n| {b} | {a} |\n</answer>")["correct"]
    assert score(one, document, f"{a} {b}") == {"correct": False, "lines": 0.0}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_waiting_lines(operation):
    one = task("waiting_line", operation=operation, count=8)
    one.check()
    for document in one.documents():
        line, name, place = (document.data[key] for key in ("line", "name", "place"))
        assert name not in line
        assert len(set(line)) == 5
        at = place - 1
        right = {
            "copy": line, "reverse": list(reversed(line)), "sort": sorted(line), "shuffle": [*line[1:], line[0]],
            "insert": [*line[:at], name, *line[at:]], "insert_random": [name, *line],
            "replace": [*line[:at], name, *line[at + 1 :]], "replace_random": [*line[:-1], name],
            "remove": [*line[:at], *line[at + 1 :]], "remove_random": line[1:],
        }[operation]  # fmt: skip
        for text in (", ".join(right), "[" + ", ".join(f'"{each}"' for each in right) + "].", "\n".join(right)):
            assert score(one, document, text) == {"correct": True, "places": 1.0}
        twice = [right[0], right[0], *right[2:]]
        found = score(one, document, ", ".join(twice))
        assert not found["correct"]
        assert 0 < found["places"] < 1
        assert score(one, document, "")["places"] == 0


@pytest.mark.parametrize("operation", ["insert_random", "replace_random", "remove_random"])
def test_any_choice_is_right(operation):
    one = task("waiting_line", operation=operation, count=1)
    document = one.documents()[0]
    line, name = document.data["line"], document.data["name"]
    choices = {
        "insert_random": [[*line[:i], name, *line[i:]] for i in range(6)],
        "replace_random": [[*line[:i], name, *line[i + 1 :]] for i in range(5)],
        "remove_random": [[*line[:i], *line[i + 1 :]] for i in range(5)],
    }[operation]
    assert all(score(one, document, ", ".join(choice))["correct"] for choice in choices)
    assert not score(one, document, ", ".join(line))["correct"]


def test_a_shuffle_is_any_other_order():
    one = task("waiting_line", operation="shuffle", count=1)
    document = one.documents()[0]
    line = document.data["line"]
    other = random.Random(1).sample(line, 5)
    assert other != line
    assert score(one, document, ", ".join(other))["correct"]
    assert score(one, document, ", ".join(line)) == {"correct": False, "places": 1.0}
    assert score(one, document, ", ".join([*line[:4], line[0]])) == {"correct": False, "places": 0.8}


def test_lists_in_texts():
    assert read_list("1. Ada\n2. Ben\n3. Eva") == ["Ada", "Ben", "Eva"]
    assert read_list("- Ada\n- Ben") == ["Ada", "Ben"]
    assert read_list("The line is now:\nAda, Ben, Eva.") == ["Ada", "Ben", "Eva"]
    assert read_list("<answer>['Ada', 'Ben']</answer> done, all") == ["Ada", "Ben"]
    assert read_list("") == []


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("sudoku_9x9", {"size": 6}, "size is 6; it must be 4 or 9"),
        ("sudoku_9x9", {"clues": 81}, "clues is 81; it must be from 1 to 80"),
        ("latin_square", {"size": 1}, "size is 1; it must be from 2 to 9"),
        ("waiting_line", {"length": 1}, "length is 1; it must be from 2 to 49"),
        ("waiting_line", {"operation": "revers"}, "operation is 'revers'. Did you mean 'reverse'"),
    ],
)
def test_settings_that_are_refused(name, settings, message):
    with pytest.raises(UserError, match=re.escape(message)):
        task(name, **settings).check()
