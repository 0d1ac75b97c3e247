"""The task article: a text that follows everything, and what each departure from it costs."""

import pytest

from harness.catalogue import Catalogue
from harness.errors import UserError
from harness.spec import TaskSpec
from harness.task import Output, Sample


def task(**settings):
    return Catalogue().task(TaskSpec(name="article", args=settings), None, None)


def compose(data, words=50):
    """The sections of an article that follows every instruction, each a heading and its lines."""
    sections = []
    for place, (heading, word) in enumerate(zip(data["headings"], data["words"], strict=True)):
        items = [f"- thing{i}" for i in range(data["items"])] if place == data["listed"] else []
        filler = [f"w{place}x{i}" for i in range(words - 1 - 2 * len(items))]
        sections.append([f"## {heading}", " ".join([word, *filler]), *items])
    sections[-1].append(data["ending"])
    return sections


def text_of(sections):
    return "# A title\n\n" + "\n\n".join("\n".join(lines) for lines in sections) + "\n"


def score(one, document, text):
    return one.score(Sample(document, 0, Output(text=text)), {})


@pytest.fixture(scope="module")
def one():
    return task(count=12)


def test_an_article_that_follows_everything(one):
    for document in one.documents():
        found = score(one, document, text_of(compose(document.data)))
        assert found.pop("repetition") < 0.1
        assert set(found.values()) == {1}


def test_each_departure_is_seen(one):
    document = one.documents()[0]
    data, total = document.data, 3 + 2 * 4
    good = compose(data)
    departures = {
        "headings": [good[1], good[0], *good[2:]],
        "words": [[good[0][0], good[0][1].replace(data["words"][0], "other"), *good[0][2:]], *good[1:]],
        "lengths": [[good[0][0], good[0][1] + " more" * 40, *good[0][2:]], *good[1:]],
        "ending": [*good[:-1], [*good[-1], "One more thing."]],
        "list": [[*lines, *(["- extra"] if i == data["listed"] else [])] for i, lines in enumerate(good)],
    }
    departures["list"][-1].remove(data["ending"])
    departures["list"][-1].append(data["ending"])
    for name, sections in departures.items():
        found = score(one, document, text_of(sections))
        assert found["followed"] == pytest.approx((total - 1) / total), name
        assert found[name] < 1
        assert not found["all"]


def test_a_list_elsewhere_and_a_section_that_is_missing(one):
    document = next(each for each in one.documents() if each.data["listed"] != 0)
    good = compose(document.data)
    assert score(one, document, text_of([[*good[0], "- astray"], *good[1:]]))["list"] == 0
    found = score(one, document, text_of(good[1:]))
    assert (found["headings"], found["lengths"], found["words"]) == (0, 0.75, 0.75)


def test_nothing_follows_nothing(one):
    found = score(one, one.documents()[0], "")
    assert found == {**dict.fromkeys(found, 0), "all": False}


def test_repetition_is_a_share_of_sequences_of_four_words(one):
    found = score(one, one.documents()[0], "a b c d a b c d")
    assert found["repetition"] == pytest.approx(1 / 5)


def test_the_prompt_says_everything(one):
    document = one.documents()[0]
    prompt = one.request(document).prompt
    for part in (*document.data["headings"], *document.data["words"], document.data["ending"], document.data["topic"]):
        assert str(part) in prompt
    assert f"exactly {document.data['items']} items" in prompt
    assert "at least 40 and at most 80 words" in prompt


def test_settings(one):
    assert task(count=5).documents() == one.documents()[:5]
    with pytest.raises(UserError, match="most_words is 30; it must be from 40"):
        task(most_words=30).check()
    with pytest.raises(UserError, match="sections is 15"):
        task(sections=15).check()
