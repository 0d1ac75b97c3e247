"""How often intervals hold the truth, by repeated experiments of known truth; nominal is 95 %."""

import numpy as np
import pytest

from harness.analysis.paired.bootstrap import Design
from harness.analysis.paired.estimators import Estimate, first_cost, mean_quality, quality_at, sorted_curve, support
from harness.analysis.paired.load import Paired
from harness.analysis.paired.resample import resample
from harness.metrics.frechet import frechet_distance, frechet_jackknife, gaussian_statistics
from harness.metrics.jackknife import jackknife

BUDGETS = np.array([2.0, 4.0, 8.0, 16.0])
ACCURACY = {"a": np.array([0.3, 0.5, 0.62, 0.7]), "b": np.array([0.35, 0.6, 0.72, 0.68])}
COST = {"a": BUDGETS, "b": np.array([2.5, 4.5, 7.0, 13.0])}
"""B's costs are means: they differ by document."""


def experiment(rng, clusters, size, seeds, of_seed=0.0):
    """Accuracy on documents of differing difficulty, which those of a cluster share in part, and so do A and B."""
    documents = clusters * size
    easy = 0.25 * np.repeat(rng.standard_normal(clusters), size) + 0.15 * rng.standard_normal(documents)
    chance = np.concatenate([ACCURACY["a"], ACCURACY["b"]])[:, None, None] + np.clip(easy, -0.3, 0.28)
    lucky = of_seed * rng.standard_normal((1, seeds, 1))
    values = (rng.random((8, seeds, documents)) < chance).astype(float) + lucky
    costs = np.concatenate([np.tile(COST["a"], (documents, 1)).T, COST["b"][:, None] * rng.gamma(9, 1 / 9, documents)])
    design = Design(np.repeat(np.arange(clusters), size), np.zeros(clusters, int))
    names = tuple(map(str, BUDGETS))
    return Paired(("a",) * 4 + ("b",) * 4, names * 2, tuple(range(seeds)), tuple(map(str, range(documents))),
                  values, costs, None, None, design)  # fmt: skip


def what_is_read_off(a, b):
    """The estimators under test on curves A and B."""
    low, high = support([a, b])
    speed_up = first_cost(b, a.quality[:, 2]) / a.cost[:, 2]
    return {
        "quality": b.quality[:, 1],
        "difference": b.quality[:, 3] - a.quality[:, 3],
        "at equal cost": quality_at(b, a.cost[:, 2]) - a.quality[:, 2],
        "area": mean_quality(b, low, high) - mean_quality(a, low, high),
        "speed-up": speed_up,
    }


def truth():
    # Clipping shifts the mean difficulty by a hair, for A and B alike: known from a large sample.
    easy = np.clip(np.hypot(0.25, 0.15) * np.random.default_rng(0).standard_normal(1_000_000), -0.3, 0.28)
    shifted = {name: np.array([np.clip(each + easy, 0, 1).mean() for each in ACCURACY[name]]) for name in "ab"}
    a, b = (sorted_curve(COST[name][None], shifted[name][None]) for name in "ab")
    return {name: float(value[0]) for name, value in what_is_read_off(a, b).items()}


def coverage(repeats, resamples=600, **shape):
    """The share of experiments whose interval holds the truth, by estimator."""
    rng, true = np.random.default_rng(1), truth()
    hits = dict.fromkeys(true, 0)
    for number in range(repeats):
        found = resample(experiment(rng, **shape), resamples, seed=10 * number)
        for name, draws in what_is_read_off(found.curve(range(4)), found.curve(range(4, 8))).items():
            estimate = Estimate.of(draws)
            hits[name] += estimate.low <= true[name] <= estimate.high
    return {name: count / repeats for name, count in hits.items()}


DOCUMENTS = {"clusters": 200, "size": 1, "seeds": 1}
CLUSTERS = {"clusters": 80, "size": 4, "seeds": 1}
SEEDS = {"clusters": 200, "size": 1, "seeds": 3}


@pytest.mark.parametrize("shape", [DOCUMENTS, CLUSTERS], ids=["documents", "clusters"])
def test_intervals_hold_the_truth_about_as_often_as_they_say(shape):
    found = coverage(250, **shape)
    assert all(0.91 <= share <= 0.985 for share in found.values()), found  # within three errors of 95 %


def test_ignoring_clusters_would_be_found_out():
    rng, true, hits = np.random.default_rng(1), truth()["quality"], 0
    for _ in range(150):
        paired = experiment(rng, **CLUSTERS)
        naive = Design.independent(len(paired.documents))
        estimate = Estimate.of(resample(Paired(**{**vars(paired), "design": naive}), 400).quality[:, 5])
        hits += estimate.low <= true <= estimate.high
    assert hits / 150 < 0.9


def distances(rng, documents=120, dimensions=3):
    """Fréchet distances to a standard normal of two samplers' features, which share most of what a document is."""
    document = rng.standard_normal((documents, dimensions))
    features = [
        shift + np.sqrt(0.8) * document + np.sqrt(0.2) * rng.standard_normal(document.shape) for shift in (0.3, 0.5)
    ]
    reference = np.zeros(dimensions), np.eye(dimensions)
    return [
        jackknife(frechet_distance(*reference, *gaussian_statistics(each)), frechet_jackknife(each, *reference))
        for each in features
    ]


def test_parts_of_a_frechet_distance_give_paired_intervals_that_hold_the_expected_difference():
    rng = np.random.default_rng(0)
    found = [distances(rng) for _ in range(400)]
    expected = np.mean([b.value - a.value for a, b in found])
    hits, narrower = 0, []
    for a, b in found:
        values = np.array([a.parts, b.parts])[:, None, :]
        documents = tuple(map(str, range(values.shape[2])))
        of_set, costs = np.array([a.value, b.value]), np.ones((2, len(documents)))
        paired = Paired(
            ("a", "b"), ("", ""), (0,), documents, values, costs, of_set, None, Design.independent(len(documents))
        )
        drawn = resample(paired, 600)
        assert drawn.quality[0] == pytest.approx(of_set)
        estimate = Estimate.of(drawn.quality[:, 1] - drawn.quality[:, 0])
        hits += estimate.low <= expected <= estimate.high
        narrower.append(estimate.stderr / np.hypot(a.stderr, b.stderr))
    assert 0.92 <= hits / len(found) <= 0.98
    assert np.mean(narrower) < 0.6  # than if the two were independent


@pytest.mark.slow
@pytest.mark.parametrize("shape", [DOCUMENTS, CLUSTERS, SEEDS], ids=["documents", "clusters", "seeds"])
def test_coverage_is_within_93_and_97_percent(shape):
    found = coverage(3000, resamples=1500, **shape)
    assert all(0.93 <= share <= 0.97 for share in found.values()), found
