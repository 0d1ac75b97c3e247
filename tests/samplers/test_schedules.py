"""How many positions each step unmasks, where, and how many stay masked."""

from dataclasses import replace

import pytest
from plain import cosine, llada_quota
from support import HashDenoiser, jobs, run, tokens
from toys import TableDenoiser

TOPK = ["random", "confidence", "margin", "entropy"]


def steps_of(length, name, budget, **args):
    """Number of commits at each step, on a canvas of `length`."""
    model = TableDenoiser([[0.5, 0.3, 0.2]] * length)
    (made,) = run(model, jobs(name, 1, budget=budget, **args), trace=True)
    return [len(entry["commit"]) for entry in made.trace]


@pytest.mark.parametrize(("length", "budget"), [(16, 5), (16, 16), (7, 3), (64, 10), (256, 100), (10, 1), (9, 30)])
def test_quotas_are_those_of_llada(length, budget):
    expected = [quota for quota in llada_quota(length, budget) if quota]
    for name in TOPK[:2]:
        assert steps_of(length, name, budget) == expected


def test_blocks_share_the_steps_and_fill_in_order():
    model = TableDenoiser([[0.5, 0.3, 0.2]] * 32)
    (made,) = run(model, jobs("random", 1, budget=12, block=8), trace=True)
    assert [len(entry["commit"]) for entry in made.trace] == llada_quota(8, 3) * 4
    blocks = [{place // 8 for place in entry["commit"]} for entry in made.trace]
    assert blocks == [{0}] * 3 + [{1}] * 3 + [{2}] * 3 + [{3}] * 3


def test_every_budget_is_kept_whatever_the_blocks():
    pairs = [(budget, block) for budget in range(1, 21) for block in (1, 3, 5, 16, 50)]
    todo = [jobs("confidence", 1, budget=budget, block=block, cell=f"{budget} {block}")[0] for budget, block in pairs]
    for (budget, block), made in zip(pairs, run(HashDenoiser(), todo, batch_size=50, trace=True), strict=True):
        assert made.cost.nfe <= min(budget, 16), (budget, block)
        if 16 % block == 0 or block > 16:
            assert made.cost.nfe == min(budget, 16)
        if budget >= -(-16 // block):
            order = [place // block for entry in made.trace for place in entry["commit"]]
            assert order == sorted(order)
            assert all(len({place // block for place in entry["commit"]}) == 1 for entry in made.trace)


def test_with_fewer_steps_than_blocks_each_step_fills_a_wider_one():
    model = TableDenoiser([[0.5, 0.3, 0.2]] * 16)
    (made,) = run(model, jobs("random", 1, budget=3, block=2), trace=True)
    assert [entry["commit"] for entry in made.trace] == [list(range(6)), list(range(6, 12)), list(range(12, 16))]


@pytest.mark.parametrize("name", ["threshold", "eb", "punt", "random"])
def test_blocks_count_from_the_first_generated_position(name):
    (base,) = jobs(name, 1, budget=6 if name == "random" else None, block=6)
    for made in run(HashDenoiser(prompt=(1, 2, 3, 4)), [base], trace=True):
        blocks = [{place // 6 for place in entry["commit"]} for entry in made.trace]
        assert all(len(block) == 1 for block in blocks)
        assert [min(block) for block in blocks] == sorted(min(block) for block in blocks)
        assert {place for entry in made.trace for place in entry["commit"]} == set(range(16))


@pytest.mark.parametrize(("length", "budget"), [(64, 8), (64, 12), (100, 7), (256, 64)])
def test_maskgit_leaves_as_many_masked_as_the_cosine_says(length, budget):
    commits = steps_of(length, "maskgit", budget, clamp=False)
    left = [length - sum(commits[: i + 1]) for i in range(budget)]
    assert left == [cosine(length, i, budget) for i in range(budget)]


def test_a_rounded_cosine_leaves_one_fewer_than_half_masked_after_two_thirds_of_the_steps():
    exact, rounded = (steps_of(256, "maskgit", 15, rounded=rounded) for rounded in (False, True))
    assert sum(exact[:10]) == 128
    assert sum(rounded[:10]) == 129
    assert [a for a, b in zip(exact, rounded, strict=True) if a != b] == exact[9:11]


def test_maskgit_unmasks_one_at_least_where_the_schedule_says_none():
    assert 0 in steps_of(16, "maskgit", 16, clamp=False)
    clamped = steps_of(16, "maskgit", 16)
    assert min(clamped) == 1
    assert sum(clamped) == 16


@pytest.mark.parametrize("clamp", [True, False])
def test_maskgit_with_more_steps_than_positions(clamp):
    (made,) = run(HashDenoiser(), jobs("maskgit", 1, budget=50, clamp=clamp), trace=True)
    assert made.cost.nfe <= 50
    assert sum(len(entry["commit"]) for entry in made.trace) == 16


FOUR_THOUSAND = TableDenoiser([[0.6, 0.4]] * 4096)


def corrections(budget, **args):
    (made,) = run(FOUR_THOUSAND, jobs("freecorrection", 1, budget=budget, **args), trace=True)
    remasked = [len(entry.get("remask", [])) for entry in made.trace]
    change = [len(entry["commit"]) - n for entry, n in zip(made.trace, remasked, strict=True)]
    left = [4096 - sum(change[: i + 1]) for i in range(budget)]
    return sum(remasked), left


@pytest.mark.parametrize(
    ("budget", "gate", "total"),
    [(64, "literal", 356), (64, "fixed", 356), (16, "literal", 80), (20, "literal", 92), (20, "fixed", 108)],
)
def test_freecorrection_re_masks_as_often_as_released(budget, gate, total):
    count, left = corrections(budget, gate=gate, cap=16.0, unit="tokens")
    assert count == total
    schedule = [cosine(4096, i, budget) for i in range(budget)]
    if (budget, gate) == (20, "literal"):
        # The released gate makes room at s/T = 0.4 without masking anything again.
        assert left[8] == schedule[8] - 16
        schedule[8] = left[8]
    assert left == schedule


def test_freecorrection_caps_are_that_share_of_the_canvas():
    assert corrections(64)[0] == corrections(64, cap=16.0, unit="tokens")[0] == 356
    # 64 positions: 16/4096 of them is a quarter of a token, and rounds up to one.
    (made,) = run(HashDenoiser(length=64, vocab=3), jobs("freecorrection", 1, budget=10), trace=True)
    assert [len(entry.get("remask", [])) for entry in made.trace] == [0, 0, 0, 0, 1, 1, 1, 1, 1, 0]


def test_freecorrection_without_corrections_is_maskgit_with_constant_noise():
    plain = {"anneal": "constant", "clamp": False, "choice_temperature": 2.0}
    for budget in (1, 5, 12, 30):
        corrected = run(HashDenoiser(), jobs("freecorrection", 5, budget=budget, cap=0.0, choice_temperature=2.0))
        maskgit = run(HashDenoiser(), jobs("maskgit", 5, budget=budget, **plain))
        assert tokens(corrected) == tokens(maskgit)


def test_a_huge_cap_changes_no_budget():
    for cap in (1.0, 100.0):
        for made in run(HashDenoiser(), jobs("freecorrection", 3, budget=9, cap=cap), trace=True):
            assert made.cost.nfe == 9


def test_budgets_per_row_do_not_mix_their_schedules():
    base = jobs("maskgit", 1, budget=1)[0]
    todo = [replace(base, cell=f"{budget}", budget=budget) for budget in (1, 2, 3, 7, 16, 40)]
    for made in run(HashDenoiser(), todo, batch_size=3, trace=True):
        alone = run(HashDenoiser(), [made.job], trace=True)[0]
        assert made.trace == alone.trace
