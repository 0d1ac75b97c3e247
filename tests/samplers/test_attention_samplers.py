"""DAPD and DAWN against the repositories' loops over one row, and the greedy independent set against a plain walk."""

import numpy as np
import pytest
import torch
from attention_rows import ImageRow, image_jobs, random_digits
from support import HashDenoiser, jobs, run

from harness.engine.proxy import ModelError
from harness.samplers.attention import independent_set, last_layers

MODEL = random_digits(scale=6.0)


def blocks_of(row, block):
    places = row.masked
    size = block or len(places)
    return [places[i : i + size] for i in range(0, len(places), size)]


def dapd(row, tau_min, tau_max, variant, layers, block):
    size = len(row.masked)
    for part in blocks_of(row, block):
        while left := [i for i in row.masked if i in part]:
            logp, maps = row.forward(row.tokens)
            attention = maps[int(len(maps) * (1 - layers)) :].mean(0)
            raw = {(i, j): (attention[i, j] + attention[j, i]) / 2 for i in left for j in left if i != j}
            largest = {i: max([raw[i, j] for j in left if j != i], default=0.0) for i in left}
            progress = 1 - len(row.masked) / size
            tau = tau_min + (tau_max - tau_min) * progress
            confidence = np.exp(logp.max(-1))
            chosen = {i for i in left if confidence[i] >= 1.0} if variant == "direct" else set()
            weight = {i: confidence[i] * sum(raw[i, j] for j in left if j != i) for i in left}
            selected = []
            for i in sorted((i for i in left if i not in chosen), key=lambda i: (-weight[i], i)):
                if all(raw[i, j] / max(largest[i], 1e-8) <= tau for j in selected):
                    selected.append(i)
            chosen |= set(selected)
            if variant == "staged" and progress >= 0.5:
                chosen |= {i for i in left if confidence[i] >= 0.9}
            tokens = row.draws(logp)
            row.apply({i: tokens[i] for i in chosen})


def dawn(row, tau, tau_induce, tau_low, tau_edge, tau_sink, layers, block):
    for part in blocks_of(row, block):
        while left := [i for i in row.masked if i in part]:
            logp, maps = row.forward(row.tokens)
            attention = maps[int(len(maps) * (1 - layers)) :].mean(0).copy()
            attention[:, attention.mean(0) > tau_sink] = 0.0
            np.fill_diagonal(attention, 0.0)
            edge = np.greater_equal(attention.T, tau_edge)
            confidence = np.exp(logp.max(-1))
            sure = {i for i in left if confidence[i] >= tau}
            decoded = [i for i in row.visible if confidence[i] >= tau]
            induced = {j for j in left if confidence[j] >= tau_induce and any(edge[i, j] for i in decoded)}
            led = {j for j in left if any(edge[i, j] for i in sure & induced)}
            nodes = [i for i in left if confidence[i] >= tau_low and i not in sure | induced | led]
            free = []
            for i in sorted(nodes, key=lambda i: (-confidence[i], i)):
                if not any(edge[i, j] or edge[j, i] for j in free):
                    free.append(i)
            chosen = sure | induced | set(free) or {max(left, key=lambda i: (confidence[i], -i))}
            tokens = row.draws(logp)
            row.apply({i: tokens[i] for i in chosen})


def compare(todo, reference):
    sizes = set()
    for made in run(MODEL, todo, trace=True):
        row = ImageRow(MODEL, made.job)
        reference(row)
        assert made.trace == row.trace
        assert made.cost.nfe == row.calls
        sizes |= {len(entry["commit"]) for entry in made.trace}
    return sizes


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("variant", ["staged", "direct"])
@pytest.mark.parametrize(("tau_max", "layers", "block"), [(0.15, 0.3, 0), (0.6, 0.3, 0), (0.6, 1.0, 20), (1.0, 0.0, 0)])
def test_dapd(temperature, variant, tau_max, layers, block):
    todo = image_jobs("dapd", 1, temperature, tau_max=tau_max, variant=variant, layers=layers, block=block)
    compare(todo, lambda row: dapd(row, 0.01, tau_max, variant, min(layers or 0.01, 1.0), block))


DAWN = [
    {"tau": 0.9, "tau_induce": 0.7, "tau_low": 0.7, "tau_edge": 0.07, "tau_sink": 0.01, "layers": 0.125, "block": 0},
    {"tau": 0.7, "tau_induce": 0.5, "tau_low": 0.3, "tau_edge": 0.02, "tau_sink": 1.0, "layers": 0.5, "block": 0},
    {"tau": 0.6, "tau_induce": 0.3, "tau_low": 0.2, "tau_edge": 0.05, "tau_sink": 0.05, "layers": 1.0, "block": 20},
]


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("settings", DAWN)
def test_dawn(temperature, settings):
    sizes = compare(image_jobs("dawn", 2, temperature, **settings), lambda row: dawn(row, **settings))
    assert len(sizes) > 1


def test_a_threshold_of_one_takes_all_and_a_step_of_dapd_takes_none_that_attend_to_one_another():
    made = run(MODEL, image_jobs("dapd", 2, 0.0, tau_min=1.0, tau_max=1.0))
    assert [one.cost.nfe for one in made] == [1, 1]
    made = run(MODEL, image_jobs("dapd", 2, 0.0, tau_min=0.0, tau_max=0.0, variant="direct"))
    assert [one.cost.nfe for one in made] == [64, 64]


@pytest.mark.parametrize("density", [0.0, 0.05, 0.3, 1.0])
def test_the_independent_set_is_that_of_a_walk_through_the_ranks(density):
    generator = torch.Generator().manual_seed(3)
    conflict = torch.rand(20, 30, 30, generator=generator) < density
    rank = torch.stack([torch.randperm(30, generator=generator) for _ in range(20)])
    where = torch.rand(20, 30, generator=generator) < 0.7
    found = independent_set(conflict, rank, where)
    for b in range(20):
        taken = []
        for i in sorted(np.flatnonzero(where[b]), key=lambda i: rank[b, i]):
            if not any(conflict[b, i, j] for j in taken):
                taken.append(i)
        assert np.flatnonzero(found[b]).tolist() == sorted(taken)


@pytest.mark.parametrize(
    ("depth", "share", "count"), [(32, 0.3, 10), (32, 0.125, 4), (10, 0.3, 3), (4, 0.0, 1), (3, 1.0, 3)]
)
def test_the_last_layers(depth, share, count):
    attention = torch.arange(depth, dtype=torch.float64)[None, :, None, None].expand(1, depth, 2, 2)
    assert last_layers(attention, share)[0, 0, 0] == sum(range(depth - count, depth)) / count


@pytest.mark.parametrize("name", ["dapd", "dawn"])
def test_a_model_without_attention_maps_is_refused(name):
    with pytest.raises(ModelError, match="attention"):
        run(HashDenoiser(), jobs(name, 1))
