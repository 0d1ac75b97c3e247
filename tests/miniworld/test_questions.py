"""Questions about pictures: answers against brute force over the scene, the reader against written-out readings."""

import re
from collections import Counter
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from harness.miniworld import questions
from harness.miniworld.questions import agreement, content, long, read_long, short, training_example
from harness.miniworld.scenes import Thing, sample_scene
from harness.miniworld.split import held_out

SCENE = (
    Thing(0, 1, "circle", "red"),
    Thing(1, 5, "square", "blue"),
    Thing(3, 3, "circle", "blue"),
    Thing(6, 0, "star", "black"),
)
DESCRIPTION = "red circle top left , blue square top right , blue circle middle center , black star bottom left ,"
LONG = f"{DESCRIPTION} so the answer is 2 ."


def matching(scene, words):
    """The things that are all of the words; `thing` and `things` are true of any."""
    singular = [re.sub(r"(?<=cross)es$|s$(?<!ss)", "", word) for word in words.split()]
    return [thing for thing in scene if {*singular} - {"thing"} <= {thing.colour, thing.shape}]


def truth(scene, question):
    """The answer by the words of the question; asserts that what it presupposes holds."""
    if match := re.fullmatch("how many (.+) are there", question):
        return str(len(matching(scene, match[1])))
    if match := re.fullmatch(r"is there a (\w+ \w+)", question):
        return "yes" if matching(scene, match[1]) else "no"
    if match := re.fullmatch(r"what color is the (\w+)", question):
        (thing,) = matching(scene, match[1])
        return thing.colour
    if match := re.fullmatch(r"what shape is the (\w+ thing)", question):
        (thing,) = matching(scene, match[1])
        return thing.shape
    match = re.fullmatch(r"is the (\w+) (left of|right of|above|below) the (\w+)", question)
    (one,), (other,) = matching(scene, match[1]), matching(scene, match[3])
    distance = {
        "left of": other.column - one.column,
        "right of": one.column - other.column,
        "above": other.row - one.row,
        "below": one.row - other.row,
    }[match[2]]
    assert abs(distance) >= 2, "things are two patches wide: nearer ones are not clearly beside each other"
    return "yes" if distance > 0 else "no"


def kind_of(question):
    """`how many`, `what color`, `what shape`, `is there` or `is the`."""
    return " ".join(question.split()[:2])


def test_short_answers_are_true():
    rng = np.random.default_rng(1)
    for _ in range(3000):
        scene = sample_scene(rng)
        question, answer = short(scene, rng)
        assert truth(scene, question) == answer, (scene, question)


def test_long_answers_are_true_and_describe_the_scene():
    rng = np.random.default_rng(2)
    for _ in range(1000):
        scene, question, answer = training_example(rng, long=True)
        prefix, _, bare = question.partition(" : ")
        described, conclusion = read_long(answer)
        assert prefix == "describe then answer"
        assert truth(scene, bare) == conclusion
        assert agreement(scene, described) == 1
        assert len(answer.split()) + 1 <= questions.LONG_LENGTH


def test_a_scene_is_described_as_written_out_and_in_every_order_equally_often():
    rng = np.random.default_rng(3)
    written = [f"{clause.strip()} ," for clause in DESCRIPTION.split(",")[:-1]]
    orders = Counter(long(SCENE, rng)[1].partition(" so the answer")[0] for _ in range(2400))
    assert set(orders) == {" ".join(order) for order in permutations(written)}
    assert chisquare(list(orders.values())).pvalue > 1e-3


def test_every_word_is_listed_and_every_listed_word_occurs():
    rng = np.random.default_rng(4)
    used = {word for _ in range(1500) for text in training_example(rng, long=True)[1:] for word in text.split()}
    assert used == set(questions.WORDS)
    assert len(questions.WORDS) == len(used)


def test_training_and_test_pictures_are_disjoint():
    rng = np.random.default_rng(5)
    trained = {content(training_example(rng, long=bool(index % 2)).scene) for index in range(500)}
    tested = {content(asked.scene) for asked in questions.test_questions(400, long=False)}
    assert len(tested) == 100
    assert all(map(held_out, tested))
    assert not any(map(held_out, trained))


def test_content_tells_all_scenes_apart():
    rng = np.random.default_rng(6)
    scenes = {sample_scene(rng, count) for count in (1, 2, 5) for _ in range(300)}
    assert len({content(scene) for scene in scenes}) == len(scenes)


def test_questions_of_the_test_set():
    shorts, longs = (questions.test_questions(402, each) for each in (False, True))
    assert questions.test_questions(402, long=True) == longs
    assert questions.test_questions(30, long=True) == longs[:30]
    for (scene, question, answer), (same, longer, _) in zip(shorts, longs, strict=True):
        assert (same, longer) == (scene, f"describe then answer : {question}")
        assert truth(scene, question) == answer
    assert [read_long(asked.answer)[1] for asked in longs] == [asked.answer for asked in shorts]
    for first in range(0, 400, 4):
        about = shorts[first : first + 4]
        assert len({asked.scene for asked in about}) == 1
        assert len({kind_of(asked.question) for asked in about}) == 4
    kinds = Counter(kind_of(asked.question) for asked in shorts[:400])
    assert set(kinds.values()) == {80}


@pytest.mark.parametrize(
    ("kind", "answers", "most"),
    [("how many", 5, 0.4), ("what color", 8, 0.3), ("what shape", 6, 0.3), ("is there", 2, 0.6), ("is the", 2, 0.6)],
)
def test_no_answer_is_nearly_always_right(kind, answers, most):
    found = Counter(a.answer for a in questions.test_questions(1000, long=False) if kind_of(a.question) == kind)
    assert len(found) >= answers
    assert max(found.values()) / found.total() < most


def test_five_things_always_find_room():
    # Each thing keeps at most 9 of the 49 corners from the next, so that four leave at least 13.
    rng = np.random.default_rng(7)
    assert all(len(sample_scene(rng, max(questions.COUNTS))) == 5 for _ in range(1000))


RED = ("red", "circle", "top", "left")


@pytest.mark.parametrize(
    ("text", "described", "conclusion"),
    [
        ("red circle top left , so the answer is 2 .", [RED], "2"),
        ("Red circle  top left, so THE answer\tis 2.", [RED], "2"),
        ("red circle top left\nred circle top left. So the answer is yes", [RED, RED], "yes"),
        (", , so the answer is 2 3 , 4 . so the answer is 5 .", [], "2 3 , 4"),
        ("red circle top , left so the answer is .", [("red", "circle", "top"), ("left",)], None),
        ("red circle top left , so the answer isn't 2 .", [RED, tuple("so the answer isn't 2".split())], None),  # noqa: SIM905
        ("2", [("2",)], None),
        ("", [], None),
    ],
)
def test_reading(text, described, conclusion):
    assert read_long(text) == (described, conclusion)


def test_a_description_is_every_thing_once_and_nothing_else():
    described, _ = read_long(LONG)
    assert agreement(SCENE, described) == 1
    assert agreement(SCENE, described[::-1]) == 1
    assert agreement(SCENE, described[1:]) == pytest.approx(2 * (len(SCENE) - 1) / (2 * len(SCENE) - 1))
    assert agreement(SCENE, []) == 0
    assert agreement(SCENE, [*described, described[0]]) < 1
    assert agreement(SCENE, [described[1], *described[1:]]) < 1
    assert agreement(SCENE, [*described, ("and",)]) < 1
    assert agreement(SCENE, [(*described[0], "corner"), *described[1:]]) < 1


@given(st.data())
def test_any_changed_word_of_a_description_makes_it_wrong(data):
    words = DESCRIPTION.split()
    place = data.draw(st.integers(0, len(words) - 1))
    other = data.draw(st.sampled_from(questions.WORDS).filter(lambda word: word != words[place]))
    words[place] = other
    still_right = place % 5 == 4 and other == "."  # both signs end a clause
    assert (agreement(SCENE, read_long(" ".join(words))[0]) == 1) == still_right


@given(st.one_of(st.text(), st.lists(st.sampled_from([*questions.WORDS, "\n", "so the answer is"])).map(" ".join)))
def test_any_text_can_be_read(text):
    described, conclusion = read_long(text)
    assert all(clause and all(clause) for clause in described)
    assert conclusion is None or conclusion.strip() == conclusion != ""
    assert 0 <= agreement(SCENE, described) <= 1
