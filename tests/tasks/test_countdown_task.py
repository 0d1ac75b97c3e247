"""The tasks countdown and countdown_d1."""

import itertools
import json
from fractions import Fraction

import pytest

from harness.catalogue import Catalogue
from harness.errors import UserError
from harness.spec import TaskSpec
from harness.task import Output, Sample


def task(name="countdown", protocol=None, data_dir=None, **settings):
    return Catalogue().task(TaskSpec(name=name, args=settings, protocol=protocol), data_dir, None)


def reachable(values):
    """Everything that an expression over these numbers can come to."""
    if len(values) == 1:
        return {values[0]}
    found = set()
    for i, j in itertools.permutations(range(len(values)), 2):
        rest = [value for k, value in enumerate(values) if k not in (i, j)]
        one, other = values[i], values[j]
        for result in (one + other, one - other, one * other, *([one / other] if other else [])):
            found |= reachable([*rest, result])
    return found


@pytest.mark.parametrize("numbers", [3, 4])
def test_every_problem_has_a_solution(numbers):
    one = task(count=20, numbers=numbers)
    one.check()
    documents = one.documents()
    assert len({document.id for document in documents}) == 20
    for document in documents:
        assert document.data["target"] in reachable([Fraction(number) for number in document.data["numbers"]])
    assert task(count=20, numbers=numbers).data_hash() == one.data_hash() != task(count=20, seed=1).data_hash()


def test_a_larger_count_begins_with_the_same_problems():
    assert task(count=30).documents()[:10] == task(count=10).documents()


def score(one, text):
    document = one.document({"input": "30,100,93", "output": "23"}, "row")
    return one.score(Sample(document, 0, Output(text=text)), {})


@pytest.mark.parametrize("protocol", ["d1", "default"])
@pytest.mark.parametrize(
    ("text", "correct", "valid"),
    [
        (r"<answer>\boxed{30 - (100 - 93)}</answer>", True, True),
        (r"\boxed{30 - 100 + 93 = 23}", True, True),
        (r"\boxed{30 + 100 - 93}", False, True),
        (r"\boxed{30 - 7}", False, False),  # not the numbers that are given
        (r"\boxed{23}", False, False),
        (r"\boxed{30 - 100 + 93 + 30 - 30}", False, False),  # 30 used three times
        (r"\boxed{thirty}", False, False),
        ("", False, False),
    ],
)
def test_expressions(protocol, text, correct, valid):
    assert score(task("countdown_d1", protocol), text) == {"correct": correct, "valid": valid}


def test_d1_differs_where_it_does():
    plain, d1 = task("countdown_d1", "default"), task("countdown_d1", "d1")
    fraction = r"\boxed{\frac{30}{1} - 100 + 93}"
    assert not score(d1, fraction)["valid"]
    unboxed = "I think\n<answer>30 - 100 + 93</answer>"
    assert score(plain, unboxed)["correct"]
    assert not score(d1, unboxed)["correct"]


def test_rows_of_d1_and_documents_are_read(tmp_path):
    folder = tmp_path / "countdown_d1"
    folder.mkdir()
    (folder / "problems.jsonl").write_text(json.dumps({"input": "30,100,93", "output": "23"}) + "\n")
    one = task("countdown_d1", data_dir=str(tmp_path))
    (document,) = one.documents()
    assert document.data == {"numbers": [30, 100, 93], "target": 23}
    assert one.document(document.data, "again") == document
    request = one.request(document)
    assert request.prompt.endswith("Numbers: [30, 100, 93]\nTarget: 23")
    assert request.length == 256


@pytest.mark.parametrize("row", [{"input": "", "output": "1"}, {"input": "1,2", "output": "x"}, {}])
def test_rows_that_are_refused(row):
    with pytest.raises(UserError, match=r"^row: `"):
        task("countdown_d1").document(row, "row")


@pytest.mark.parametrize("settings", [{"count": 0}, {"numbers": 1}, {"numbers": 9}, {"largest": 5}])
def test_settings_that_are_refused(settings):
    with pytest.raises(UserError, match=f"{next(iter(settings))} is"):
        task(**settings).check()
