"""Questions about pictures: short answers of one word, and long ones that describe the picture and then conclude.

The conclusion can be read off the picture; the description cannot be written by filling in positions independently:
its things may stand in any order, so that two positions that are filled at once easily name the same thing twice.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import permutations
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.random import Generator

from harness.miniworld.scenes import COLOURS, SHAPES, Scene, Thing, place, sample_scene
from harness.miniworld.split import held_out

SHORT_LENGTH = 2
"""Positions of a short answer: the word and the end of the text."""
CLAUSE = 5
"""Words of a description for each thing: colour, shape, row, column and a comma."""
LONG_LENGTH = 32
"""Positions of the longest long answer: five things of five tokens, six for the conclusion, and the end of the text."""
COUNTS = (3, 4, 5)
"""How many things a picture that is asked about may have; up to five always find room on the grid."""
TRAINING_COUNTS = (1, 2, 2, 3, 3, 4, 4, 5, 5)
"""The same in training: a model learns to look from pictures of one or two things, and not from fuller ones alone."""
QUESTIONS_PER_PICTURE = 4
TEST_SEED = 20

PLURALS = {shape: f"{shape}es" if shape.endswith("s") else f"{shape}s" for shape in SHAPES}
PREFIX = "describe then answer : "
CONCLUSION = "so the answer is"
_OTHER_WORDS = """
    top middle bottom left center right above below of
    how many things thing are there what color shape is the a yes no 0 1 2 3 4 5
    describe then answer : so the answer is , .
"""
WORDS = tuple(dict.fromkeys((*COLOURS, *SHAPES, *PLURALS.values(), *_OTHER_WORDS.split())))
"""Every token of the questions and answers."""

Described = tuple[str, ...]
"""The words of one clause of a description: (colour, shape, row word, column word), if it is well formed."""
Item = TypeVar("Item")


class Asked(NamedTuple):
    """A question about a picture, and its true answer (one of many, if it is a long one)."""

    scene: Scene
    question: str
    answer: str


def short(scene: Scene, rng: Generator) -> tuple[str, str]:
    """A question of a random kind that can be asked about the scene, and its answer of one word."""
    kinds = [KINDS[name] for name in TRAINING_KINDS]
    rng.shuffle(kinds)
    asked = (kind(scene, rng) for kind in kinds)
    return next(question for question in asked if question is not None)


def long(scene: Scene, rng: Generator) -> tuple[str, str]:
    """The same with the request to describe; the answer has every thing, in random order, and the conclusion."""
    return _with_description(scene, *short(scene, rng), rng)


def read_long(text: str) -> tuple[list[Described], str | None]:
    """The clauses of the description in a long answer, and its conclusion.

    The conclusion is what stands between the first "so the answer is" and the next full stop, line break or the end of
    the text; None if there is no such phrase or nothing follows it. The description is what stands before the phrase
    (everything, without one); commas, full stops and line breaks cut it into clauses, and a clause is the tuple of its
    words, whatever they are. Letter case, the width of spaces and empty clauses mean nothing.
    """
    words = re.sub(r"[^\S\n]+", " ", text.lower())
    before, *after = re.split(rf"\b{CONCLUSION}\b", words, maxsplit=1)
    clauses = (tuple(clause.split()) for clause in re.split(r"[,.\n]", before))
    conclusion = re.split(r"[.\n]", "".join(after).lstrip(), maxsplit=1)[0].strip()
    return [clause for clause in clauses if clause], conclusion or None


def agreement(scene: Scene, described: Sequence[Described]) -> float:
    """F1 of the clauses against the things of the scene, in any order: as SPICE (Anderson et al. 2016) scores captions.

    1 if the clauses are exactly the things; each further, missing or malformed clause counts against it.
    """
    things = Counter(_words(thing) for thing in scene)
    return 2 * (things & Counter(described)).total() / (len(scene) + len(described))


def content(scene: Scene) -> str:
    """The scene in one line, by which `split.held_out` decides."""
    return ", ".join(f"{thing.colour} {thing.shape} at {thing.row} {thing.column}" for thing in scene)


def training_example(rng: Generator, long: bool) -> Asked:
    """A question about a picture that is not held out."""
    scene = _scene(rng, test=False)
    question, answer = short(scene, rng)
    return Asked(scene, *(_with_description(scene, question, answer, rng) if long else (question, answer)))


def test_questions(count: int, long: bool) -> list[Asked]:
    """The first `count` questions of the test set, four of different kinds about each picture, which is held out.

    The short and the long form ask the same about the same pictures.
    """
    pictures = -(-count // QUESTIONS_PER_PICTURE)
    return [asked for picture in range(pictures) for asked in _asked_about(picture, long)][:count]


def _asked_about(picture: int, long: bool) -> list[Asked]:
    rng = np.random.default_rng([TEST_SEED, picture])
    kinds = list(KINDS.values())
    del kinds[picture % len(kinds)]
    while True:
        scene = _scene(rng, test=True)
        found = [question for kind in kinds if (question := kind(scene, rng)) is not None]
        if len(found) == len(kinds):
            break
    if long:
        found = [_with_description(scene, *each, rng) for each in found]
    return [Asked(scene, *each) for each in found]


def _scene(rng: Generator, test: bool) -> Scene:
    while True:
        scene = sample_scene(rng, _pick(rng, COUNTS if test else TRAINING_COUNTS))
        if held_out(content(scene)) == test:
            return scene


def _with_description(scene: Scene, question: str, answer: str, rng: Generator) -> tuple[str, str]:
    things = [f"{' '.join(_words(scene[index]))} ," for index in rng.permutation(len(scene))]
    return PREFIX + question, " ".join([*things, CONCLUSION, answer, "."])


def _words(thing: Thing) -> Described:
    return (thing.colour, thing.shape, *place(thing))


def _how_many(scene: Scene, rng: Generator) -> tuple[str, str]:
    # The number is drawn first, so that the answer is not nearly always 1.
    counts = Counter(word for thing in scene for word in (thing.colour, thing.shape))
    numbers = {f"{colour} things": counts[colour] for colour in COLOURS}
    numbers |= {PLURALS[shape]: counts[shape] for shape in SHAPES}
    numbers["things"] = len(scene)
    number = _pick(rng, sorted(set(numbers.values())))
    asked = _pick(rng, [words for words, each in numbers.items() if each == number])
    return f"how many {asked} are there", str(number)


def _what_color(scene: Scene, rng: Generator) -> tuple[str, str] | None:
    things = _of_unique_shape(scene)
    if not things:
        return None
    thing = _pick(rng, things)
    return f"what color is the {thing.shape}", thing.colour


def _what_shape(scene: Scene, rng: Generator) -> tuple[str, str] | None:
    counts = Counter(thing.colour for thing in scene)
    things = [thing for thing in scene if counts[thing.colour] == 1]
    if not things:
        return None
    thing = _pick(rng, things)
    return f"what shape is the {thing.colour} thing", thing.shape


def _is_there(scene: Scene, rng: Generator) -> tuple[str, str]:
    present = {(thing.colour, thing.shape) for thing in scene}
    yes = _coin(rng)
    if yes:
        pairs = sorted(present)
    else:  # the color or the shape occurs, so that it takes both to tell
        seen = {word for pair in present for word in pair}
        pairs = [(c, s) for c in COLOURS for s in SHAPES if (c in seen or s in seen) and (c, s) not in present]
    colour, shape = _pick(rng, pairs)
    return f"is there a {colour} {shape}", "yes" if yes else "no"


def _is_it_where(scene: Scene, rng: Generator) -> tuple[str, str] | None:
    """Asks about two things of unique shapes, one of which lies entirely to one side of the other."""
    true: list[tuple[str, str, str]] = []
    for first, second in permutations(_of_unique_shape(scene), 2):
        if second.column - first.column >= 2:
            true += [(first.shape, "left of", second.shape), (second.shape, "right of", first.shape)]
        if second.row - first.row >= 2:
            true += [(first.shape, "above", second.shape), (second.shape, "below", first.shape)]
    if not true:
        return None
    one, side, other = _pick(rng, true)
    yes = _coin(rng)
    if not yes:
        one, other = other, one
    return f"is the {one} {side} the {other}", "yes" if yes else "no"


Kind = Callable[[Scene, Generator], tuple[str, str] | None]
KINDS: Mapping[str, Kind] = {
    "count": _how_many,
    "color": _what_color,
    "shape": _what_shape,
    "existence": _is_there,
    "relation": _is_it_where,
}
"""Kind of question to what asks it: (question, answer), or None where the scene does not allow it."""


TRAINING_KINDS = (*KINDS, "relation", "relation")
"""Relations more often than others: it takes some 40,000 of them until a model sees what they are about."""


def _of_unique_shape(scene: Scene) -> list[Thing]:
    counts = Counter(thing.shape for thing in scene)
    return [thing for thing in scene if counts[thing.shape] == 1]


def _pick(rng: Generator, items: Sequence[Item]) -> Item:
    return items[int(rng.integers(len(items)))]


def _coin(rng: Generator) -> bool:
    return bool(rng.integers(2))
