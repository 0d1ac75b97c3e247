"""Requests are encoded once, and what they say is looked at once."""

import numpy as np

from harness.engine.rows import RowEncoder
from harness.models.base import Row
from harness.task import Request


class Counting:
    """A model that counts what it encodes."""

    def __init__(self):
        self.encoded = 0

    def encode(self, request):
        self.encoded += 1
        return Row([0], [True])


def test_equal_requests_are_encoded_once_and_others_are_not():
    model = Counting()
    encoder = RowEncoder(model)
    picture = np.zeros((2, 3, 3), dtype=np.uint8)
    first = Request("a", prompt="?", image=picture)
    row = encoder.row(first)
    assert encoder.row(first) is row
    assert encoder.row(Request("a", prompt="?", image=picture.copy())) is row
    assert model.encoded == 1
    # The same bytes in another shape are another picture.
    assert encoder.row(Request("a", prompt="?", image=picture.reshape(3, 2, 3))) is not row
    assert encoder.row(Request("a", prompt="!", image=picture)) is not row
    assert model.encoded == 3
