"""The random stream against the published vectors of its generator, and against the uniform distribution."""

import math

import pytest
import torch
from scipy import stats

from harness.engine.rng import document_key, open_unit, philox, uniform

ONES = 0xFFFFFFFF
KNOWN_ANSWERS = [  # Random123 kat_vectors, philox4x32 10
    ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((ONES, ONES, ONES, ONES), (ONES, ONES), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]


def words(values):
    return torch.tensor(values, dtype=torch.int64)


def draw(length, seed=0, purpose="tokens", document=0, sample=0, step=0):
    seed, document, sample, step = (words([value]) for value in (seed, document, sample, step))
    return uniform(seed, purpose, document, sample, step, length)[0]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN_ANSWERS)
def test_philox_known_answers(counter, key, expected):
    got = philox(tuple(words([word]) for word in counter), tuple(words([word]) for word in key))
    assert tuple(int(word) for word in got) == expected


def test_uniforms_are_uniform():
    values = draw(200_000).numpy()
    assert stats.kstest(values, "uniform").pvalue > 1e-3
    low_bits = (values * 2**52).astype("int64") % 256
    counts = torch.bincount(torch.from_numpy(low_bits), minlength=256).numpy()
    assert stats.chisquare(counts).pvalue > 1e-3


def test_uniforms_stay_inside_the_open_interval():
    least, most = open_unit(words([0]), words([0])), open_unit(words([ONES]), words([ONES]))
    assert float(least) == 2**-53
    assert float(most) == 1 - 2**-53
    assert math.isfinite(float(-torch.log(-torch.log(most))))


@pytest.mark.parametrize(
    "changed", [{"seed": 1}, {"seed": 2**32 - 1}, {"purpose": "order"}, {"document": 1}, {"sample": 1}, {"step": 1}]
)
def test_each_coordinate_gives_an_independent_stream(changed):
    one, other = draw(20_000), draw(20_000, **changed)
    assert stats.spearmanr(one.numpy(), other.numpy()).pvalue > 1e-3
    assert not (one == other).any()


def test_draws_do_not_depend_on_the_batch_or_on_the_length():
    seed, document = words([0, 5, 2**32 - 1, 7]), words([3, 2**32 - 1, 3, 0])
    sample, step = words([0, 1, 2, 3]), words([9, 0, 100_000, 4])
    together = uniform(seed, "tokens", document, sample, step, 33)
    for i in range(4):
        row = slice(i, i + 1)
        alone = uniform(seed[row], "tokens", document[row], sample[row], step[row], 50)
        assert torch.equal(alone[0, :33], together[i])


def test_document_keys_are_32_bits_of_sha256():
    assert document_key("") == 0xE3B0C442  # SHA-256 of nothing begins e3b0c442
    assert document_key("\ud800") < 2**32
