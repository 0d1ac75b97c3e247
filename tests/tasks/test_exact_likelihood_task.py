"""The task exact_likelihood."""

import pytest

from harness.catalogue import Catalogue
from harness.errors import UserError
from harness.spec import ModelSpec, TaskSpec
from harness.task import Output, Sample

CHAIN = ModelSpec(name="exact/chain", args={"length": 5, "vocab": 3})


def task(model=CHAIN, **settings):
    return Catalogue().task(TaskSpec(name="exact_likelihood", args=settings), None, model)


def test_documents_are_sequences_with_their_probabilities():
    documents = task(count=30).documents()
    assert len({document.data["text"] for document in documents}) > 5
    assert all(len(document.data["text"].split()) == 5 and document.data["logp"] < 0 for document in documents)
    assert task(count=30).data_hash() == task(count=30).data_hash() != task(count=31).data_hash()


def test_errors_have_a_sign_and_a_size():
    one = task(count=2)
    document = one.documents()[0]
    sample = Sample(document, 0, Output(logp=(document.data["logp"] - 0.5,)))
    assert one.score(sample, {}) == {"bias": pytest.approx(-0.5), "absolute_error": pytest.approx(0.5)}
    with pytest.raises(UserError, match="the output has none"):
        one.score(Sample(document, 0, Output(tokens=(1,))), {})


def test_what_is_refused():
    with pytest.raises(UserError, match="count is 0"):
        task(count=0).check()
    with pytest.raises(UserError, match="there is none"):
        task(model=None).check()
