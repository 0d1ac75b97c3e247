"""A scorer of texts against the loss of transformers' own model."""

import numpy as np
import pytest
import torch
from causal_checkpoint import write_gpt2

from harness.errors import UserError
from harness.metrics.causal_scorer import CausalScorer

TEXTS = ["the quick brown fox", "jumps over the lazy dog and the quick fox", "x", ""]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_gpt2(tmp_path_factory.mktemp("gpt2"))


def test_scores_are_the_models_own_loss(folder):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    read = CausalScorer(str(folder)).read(TEXTS)
    for text, nll, tokens, feature in zip(TEXTS[:2], read.nll, read.tokens, read.features, strict=False):
        ids = tokenizer(text, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            out = model(input_ids=ids, labels=ids, output_hidden_states=True)
        assert tokens == ids.shape[1] - 1 > 2
        assert nll / tokens == pytest.approx(float(out.loss), rel=1e-5)
        assert np.allclose(feature, out.hidden_states[-1][0, -1].numpy(), atol=1e-6)
    assert read.tokens[3] == read.nll[3] == 0
    assert not read.features[3].any()


def test_only_the_context_is_read(folder):
    long, short = CausalScorer(str(folder), 16).read(TEXTS[:2]), CausalScorer(str(folder), 3).read(TEXTS[:2])
    assert short.tokens.tolist() == [2, 2]
    assert (short.nll < long.nll).all()


def test_a_scorer_that_is_not_there_is_refused_before_anything_is_made(tmp_path):
    with pytest.raises(UserError, match=r"the scorer .* cannot be loaded"):
        CausalScorer(str(tmp_path)).check()
