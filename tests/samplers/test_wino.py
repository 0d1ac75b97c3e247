"""WINO against the repository's loop over one row, written out with its masks and shifts."""

import numpy as np
import pytest
from attention_rows import ImageRow, image_jobs, random_digits
from support import HashDenoiser, jobs, run

from harness.engine.proxy import ModelError

MODEL = random_digits()


def wino(row, tau1, tau2, block):
    length = len(row.tokens)
    block = block or length
    for start in range(0, length, block):
        end = min(start + block, length)
        places, last_accept = np.arange(start, end), 30
        while masked := [i for i in places if row.tokens[i] == row.mask]:
            size = length + block
            canvas = np.concatenate([row.tokens, np.full(block, row.mask)])
            positions = np.concatenate([np.arange(length), np.pad(places, (0, block - len(places)))])
            allowed = np.ones((size, size), dtype=bool)
            allowed[:length, length:] = False
            for j, i in enumerate(places):
                allowed[length + j, i] = False
            allowed[:, length + len(places) :] = False  # the last block may be short
            logp, _ = row.forward(canvas, positions, allowed)
            tokens = row.draws_of(logp[:length])
            chance = {i: np.exp(logp[i, tokens[i]]) for i in masked}
            back = {i: np.exp(logp[length + i - start, row.tokens[i]]) for i in places if i not in masked}
            max_accept = min(max(int(len(masked) * 0.7 + 1e-9), 5), 20)
            ordered = sorted(masked, key=lambda i: (-chance[i], i))
            accept = [i for i in ordered if chance[i] > tau1][:max_accept] or ordered[:1]
            remask = []
            if len(accept) > 1:
                remask = sorted((i for i in back if back[i] < tau2), key=lambda i: (back[i], i))
                if len(remask) >= last_accept:
                    remask = remask[: last_accept - 1]
            row.apply({int(i): int(tokens[i]) for i in accept}, [int(i) for i in remask])
            last_accept = len(accept)


class WinoRow(ImageRow):
    def draws_of(self, logp):
        return self.draws(logp)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize(
    ("tau1", "tau2", "block"), [(0.6, 0.9, 0), (0.3, 0.5, 0), (0.2, 0.99, 16), (0.3, 0.9, 24), (1.0, 0.9, 32)]
)
def test_against_the_published_loop(temperature, tau1, tau2, block):
    for made in run(MODEL, image_jobs("wino", 2, temperature, tau1=tau1, tau2=tau2, block=block), trace=True):
        row = WinoRow(MODEL, made.job)
        wino(row, tau1, tau2, block)
        assert made.trace == row.trace
        assert made.cost.nfe == made.cost.depth == row.calls


def test_the_references_see_tokens_taken_back():
    made = run(MODEL, image_jobs("wino", 3, 1.0, tau1=0.3, tau2=0.9, block=24), trace=True)
    assert sum(len(entry.get("remask", [])) for one in made for entry in one.trace) > 10


@pytest.mark.parametrize(("block", "each"), [(0, [128]), (16, [80]), (24, [88, 80])])
def test_the_longer_canvas_is_charged(block, each):
    (made,) = run(MODEL, image_jobs("wino", 1, 0.0, block=block))
    calls = made.cost.nfe
    assert min(each) * calls <= made.cost.token_forwards <= max(each) * calls
    assert len(each) > 1 or made.cost.token_forwards == each[0] * calls


def test_it_ends_where_every_token_is_doubted():
    for temperature in (0.0, 1.0):
        made = run(MODEL, image_jobs("wino", 2, temperature, tau1=0.0, tau2=1.0))
        assert all(MODEL.mask_id not in one.output.tokens for one in made)


def test_a_model_without_attention_bias_is_refused():
    with pytest.raises(ModelError, match="attention_bias"):
        run(HashDenoiser(), jobs("wino", 1))
