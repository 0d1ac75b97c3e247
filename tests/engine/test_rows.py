"""Requests are encoded once, and what they say is looked at once."""

from harness.engine import rows
from harness.engine.rows import RowEncoder
from harness.models.base import Row
from harness.picture import Drawn
from harness.task import Request


class Counting:
    """A model that counts what it encodes."""

    def __init__(self):
        self.encoded = 0

    def encode(self, request):
        self.encoded += 1
        return Row([7, 0], [False, True])


def unseen():
    raise AssertionError("the encoder itself looks at no picture")


def test_equal_requests_are_encoded_once_and_others_are_not():
    model = Counting()
    encoder = RowEncoder(model)
    picture = Drawn("black", unseen)
    first = Request("a", prompt="?", image=picture)
    row = encoder.row(first)
    assert encoder.row(first) is row
    assert encoder.row(Request("a", prompt="?", image=Drawn("black", unseen))) is row
    assert model.encoded == 1
    assert encoder.row(Request("a", prompt="?", image=Drawn("white", unseen))) is not row
    assert encoder.row(Request("a", prompt="!", image=picture)) is not row
    assert model.encoded == 3


def test_what_is_known_of_a_row_outlives_it(monkeypatch):
    monkeypatch.setattr(rows, "KEPT", 2)
    model = Counting()
    encoder = RowEncoder(model)
    asked = [Request(name) for name in "abc"]
    outlines = [encoder.outline(request) for request in asked]
    assert [(each.number, each.length, each.start) for each in outlines] == [(0, 2, 1), (1, 2, 1), (2, 2, 1)]
    assert model.encoded == 3
    for request in asked[1:]:
        encoder.row(request)
    assert model.encoded == 3
    assert encoder.row(asked[0]).tokens == [7, 0]
    assert encoder.outline(asked[0]) is outlines[0]
    assert model.encoded == 4
    encoder.row(asked[2])
    assert model.encoded == 4
