"""Answers of yes or no, against POPE's published example and readings of the official code."""

import pytest

from harness.metrics.yes_no import mme_answer, pope_answer, yes_no_statistics


def counted(true_yes, false_yes, true_no, false_no, unread=()):
    """Answers and truths with these numbers, `unread` the truths of those that are neither."""
    answers = ["yes"] * (true_yes + false_yes) + ["no"] * (true_no + false_no) + [None] * len(unread)
    truths = ["yes"] * true_yes + ["no"] * false_yes + ["no"] * true_no + ["yes"] * false_no + list(unread)
    return answers, truths


def test_popes_published_example():
    """LLaVA-1.5 on the older random split of 2,910 questions, half of 3,000 of them yes (haotian-liu/LLaVA#626)."""
    answers, truths = counted(1183, 31, 1379, 317)
    found = yes_no_statistics(answers, truths, [str(index // 6) for index in range(len(answers))])
    accuracy = sum(answer == truth for answer, truth in zip(answers, truths, strict=True)) / len(answers)
    assert accuracy == pytest.approx(0.8804123711340206)
    assert found["precision"].value == pytest.approx(0.9744645799011532)
    assert found["recall"].value == pytest.approx(0.7886666666666666)
    assert found["f1"].value == pytest.approx(0.8717759764185703)
    assert found["yes_ratio"].value == pytest.approx((1183 + 31) / 2910)


def test_an_unread_answer_is_wrong_and_no_yes():
    answers, truths = counted(6, 2, 6, 2, unread=("yes", "no"))
    found = yes_no_statistics(answers, truths, list("abcdefghijklmnopqr"))
    assert found["precision"].value == 6 / 8
    assert found["recall"].value == 6 / 9
    assert found["yes_ratio"].value == 8 / 18


def test_pictures_not_questions_are_what_varies():
    answers, truths = counted(40, 10, 40, 10)
    alone = yes_no_statistics(answers, truths, [str(index) for index in range(100)])["yes_ratio"]
    assert alone.stderr == pytest.approx((0.5 * 0.5 / 99) ** 0.5)
    copies = [str(index % 50) for index in range(100)]
    same = yes_no_statistics(answers[:50] * 2, truths[:50] * 2, copies)["f1"]
    once = yes_no_statistics(answers[:50], truths[:50], copies[:50])["f1"]
    assert same.stderr == pytest.approx(once.stderr)
    assert yes_no_statistics(answers, truths, ["one"] * 100)["f1"].stderr is None


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Yes, there is.", "yes"),
        ("No.", "no"),
        ("There is not, I think.", "no"),
        ("Yes. There is no other.", "yes"),
        ("NO", "yes"),
        ("no\nit is not", "no"),
        ("no\n", "yes"),
        ("", "yes"),
    ],
)
def test_pope_reads_the_first_sentence_word_by_word(text, answer):
    assert pope_answer(text) == answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [("Yes.", "yes"), ("y", "yes"), ("N.", "no"), (" no, it is", "no"), ("I know", None), ("know", "no"), ("", None)],
)
def test_mme_reads_four_characters(text, answer):
    assert mme_answer(text) == answer
