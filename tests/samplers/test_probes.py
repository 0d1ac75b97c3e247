"""Samplers that probe copies of the canvas, against plain loops over one row: same commits, tokens and calls."""

import math

import numpy as np
import pytest
from plain import SCORES, PlainRow, best, blocks, gumbel, kl
from support import HashDenoiser, jobs, run, tokens

SHARP, FLAT = HashDenoiser(length=12, prompt=(1, 4)), HashDenoiser(length=12)
SHARP.weight = SHARP.weight * 2.5
FLAT.weight = FLAT.weight * 0.3


@pytest.fixture(params=[(SHARP, 1.0), (FLAT, 0.0)], ids=["sharp", "greedy"])
def setting(request):
    """A model and a token temperature."""
    return request.param


def compare(model, todo, reference):
    for made in run(model, todo, batch_size=4, trace=True):
        row = PlainRow(model, made.job)
        reference(row)
        assert made.trace == row.trace
        assert made.output.tokens == tuple(row.tokens[row.editable])
        assert made.cost.nfe == row.calls


def draw(row, logp, purpose):
    """A token a position by inverse CDF at the step's uniforms of this purpose."""
    if row.job.decoding.temperature == 0:
        return logp.argmax(-1)
    weights = np.exp(logp / row.job.decoding.temperature).cumsum(-1)
    target = row.uniform(purpose) * weights[:, -1]
    return (weights <= target[:, None]).sum(-1)


def uncharged(row):
    row.calls -= 1
    return row.logp()


# PUNT


def punt_variant(row, epsilon, score, digits, batched=False):
    """`digits(rank, bits)` gives the bits of a rank in the order of the rounds."""
    while candidates := row.masked:
        base = row.logp()
        y = row.draws(base)
        ordered = best(len(candidates), SCORES[score](base, row), candidates)
        bits = math.ceil(math.log2(len(candidates)))
        code = {i: digits(rank, bits) for rank, i in enumerate(ordered)}
        kept = set(candidates)
        for b in range(bits):
            pool = set(candidates) if batched else set(kept)
            anchors = {i for i in pool if code[i][b] == "0"}
            tests = pool - anchors
            if not anchors or not tests:
                continue
            shown = row.tokens.copy()
            for i in anchors:
                shown[i] = y[i]
            probe = row.logp(shown)
            kept -= {j for j in tests if kl(base[j], probe[j]) > epsilon}
        assert ordered[0] in kept
        row.apply({i: y[i] for i in kept})


def msb(rank, bits):
    return format(rank, f"0{bits}b") if bits else ""


@pytest.mark.parametrize("score", ["confidence", "margin", "entropy"])
@pytest.mark.parametrize("epsilon", [0.02, 0.3])
def test_punt_with_the_least_significant_bit_first(setting, score, epsilon):
    todo = jobs("punt", 3, temperature=setting[1], epsilon=epsilon, score=score, bit_order="lsb")
    compare(setting[0], todo, lambda row: punt_variant(row, epsilon, score, lambda r, n: msb(r, n)[::-1]))


@pytest.mark.parametrize("score", ["confidence", "margin", "entropy"])
@pytest.mark.parametrize("epsilon", [0.0, 0.02, 0.3, 1e9])
def test_punt_with_all_probes_at_once(setting, score, epsilon):
    todo = jobs("punt_batched", 3, temperature=setting[1], epsilon=epsilon, score=score)
    compare(setting[0], todo, lambda row: punt_variant(row, epsilon, score, msb, batched=True))


def test_punt_costs_one_call_and_its_rounds_batched_two(setting):
    for sampler, most in (("punt", lambda m: 1 + math.ceil(math.log2(m))), ("punt_batched", lambda m: 1 + (m > 1))):
        for made in run(setting[0], jobs(sampler, 4, temperature=setting[1], epsilon=0.3), trace=True):
            masks = 12 - np.cumsum([0] + [len(entry["commit"]) for entry in made.trace])[:-1]
            assert made.cost.depth <= sum(most(int(m)) for m in masks)


# Information gain


def info_gain(row, count, temperature, threshold, steps, block):
    row.calls += 1  # the first prediction; each later one comes from the copy that was taken
    parts = blocks(row, block)
    for number, part in enumerate(parts):
        while left := [i for i in row.masked if i in part]:
            k = math.ceil(len(left) / ((number + 1) * steps // len(parts) - row.step))
            logp = uncharged(row)
            sure, advance = all(math.exp(logp[i].max()) >= threshold for i in left), 1
            if sure:
                advance, k = math.ceil(len(left) / k), len(left)
            seen, values = set(), []
            for c in range(count):
                drawn = draw(row, logp, f"tokens {c}")
                chance = np.exp(logp[np.arange(len(logp)), drawn])
                score = chance if c == 0 else chance / temperature + gumbel(row.uniform(f"positions {c}"))
                chosen = best(k, score, left)
                if frozenset(chosen) in seen:
                    continue
                seen.add(frozenset(chosen))
                after = row.tokens.copy()
                after[chosen] = drawn[chosen]
                rest = [i for i in row.masked if i not in chosen]
                ahead = SCORES["entropy"](row.logp(after), row) if rest else None
                left_after = np.mean([-ahead[i] for i in rest]) if rest else 0.0
                cost = -sum(SCORES["entropy"](logp, row)[i] for i in chosen)
                values.append((-cost - left_after, {i: int(drawn[i]) for i in chosen}))
            row.apply(max(values, key=lambda pair: pair[0])[1])
            row.step += advance - 1


@pytest.mark.parametrize(
    ("count", "temperature", "threshold"), [(1, 0.2, 0.8), (4, 0.2, 0.8), (6, 1.0, 2.0), (3, 0.1, 0.3)]
)
@pytest.mark.parametrize(("budget", "block"), [(12, 0), (5, 0), (12, 4)])
def test_info_gain(setting, count, temperature, threshold, budget, block):
    settings = {"candidates": count, "position_temperature": temperature, "threshold": threshold, "block": block}
    todo = jobs("info_gain", 2, budget=budget, temperature=setting[1], **settings)
    compare(setting[0], todo, lambda row: info_gain(row, count, temperature, threshold, budget, block))


def test_info_gain_with_one_candidate_is_top_confidence_at_temperature_0():
    for budget in (4, 7):
        alone = run(SHARP, jobs("info_gain", 4, budget=budget, temperature=0.0, candidates=1, threshold=2.0))
        assert tokens(alone) == tokens(run(SHARP, jobs("confidence", 4, budget=budget, temperature=0.0)))


# FreeCorrection, leave one out


def free_correction_loo(row, steps, ratio, metric, rule):
    """Kegard/Lavida `generate_with_free_correction`, one block, with its dictionaries."""
    total, seen = dict.fromkeys(row.masked, 0.0), {}
    for step in range(steps):
        masked, shown = row.masked, row.visible
        if not masked:
            break
        logp = row.logp()
        k = math.ceil(len(masked) / (steps - step))
        drawn = draw(row, logp, "tokens")
        commit = best(k, logp.max(-1), masked)
        canvas = row.tokens.copy()
        canvas[commit] = drawn[commit]
        remask = []
        candidates = sorted(shown + commit)
        if step < steps - 1 and ratio > 0:
            score = np.full(len(canvas), np.inf)
            for i in candidates:
                without = canvas.copy()
                without[i] = row.mask
                now = row.logp(without)[i]
                if metric == "margin":
                    score[i] = np.diff(np.sort(np.exp(now))[-2:])[0]
                elif metric == "kl":
                    score[i] = -kl(now, seen[i]) if i in seen else 0.0
                    seen[i] = now
                else:
                    total[i] += now[canvas[i]]
                    score[i] = total[i] if metric == "time_aggregation" else now[canvas[i]]
            if rule == "stochastic":
                score = score - gumbel(row.uniform("remask"))
            count = min(max(1, math.floor(k * ratio)), len(candidates) - 1)
            remask = best(count, -score, candidates)
        row.apply({i: int(drawn[i]) for i in commit if i not in remask}, [i for i in remask if i in shown])


@pytest.mark.parametrize("metric", ["time_aggregation", "confidence", "margin", "kl"])
@pytest.mark.parametrize("rule", ["deterministic", "stochastic"])
@pytest.mark.parametrize(("budget", "ratio", "chunk"), [(1, 0.25, 16), (5, 0.5, 3), (12, 0.25, 16)])
def test_free_correction_leaving_one_out(setting, metric, rule, budget, ratio, chunk):
    settings = {"ratio": ratio, "metric": metric, "rule": rule, "chunk": chunk}
    todo = jobs("freecorrection_loo", 2, budget=budget, temperature=setting[1], **settings)
    compare(setting[0], todo, lambda row: free_correction_loo(row, budget, ratio, metric, rule))


def test_without_correction_it_is_top_confidence(setting):
    plain = run(setting[0], jobs("confidence", 3, budget=6, temperature=setting[1]))
    made = run(setting[0], jobs("freecorrection_loo", 3, budget=6, temperature=setting[1], ratio=0.0))
    assert tokens(made) == tokens(plain)
    assert [one.cost.nfe for one in made] == [one.cost.nfe for one in plain]


@pytest.mark.parametrize("chunk", [1, 4, 64])
def test_the_chunk_changes_the_calls_and_nothing_else(chunk):
    made = run(SHARP, jobs("freecorrection_loo", 3, budget=6, chunk=chunk))
    other = run(SHARP, jobs("freecorrection_loo", 3, budget=6, chunk=16))
    assert tokens(made) == tokens(other)
    assert [one.cost.nfe for one in made] == [one.cost.nfe for one in other]


def test_the_references_see_structure():
    # Were the options without effect, the comparisons above would say little.
    def made(sampler, **settings):
        budget = None if sampler.startswith("punt") else 6
        return tokens(run(SHARP, jobs(sampler, 6, budget=budget, **settings)))

    assert made("punt", epsilon=0.3) != made("punt", epsilon=0.3, bit_order="lsb") != made("punt_batched", epsilon=0.3)
    assert made("punt", epsilon=0.02) != made("punt", epsilon=0.02, score="entropy")
    loo = [made("freecorrection_loo", metric=m) for m in ("time_aggregation", "confidence", "margin", "kl")]
    assert len({str(one) for one in [*loo, made("freecorrection_loo", rule="stochastic")]}) == 5
    assert made("info_gain", threshold=2.0) != made("info_gain", candidates=1, threshold=2.0)
