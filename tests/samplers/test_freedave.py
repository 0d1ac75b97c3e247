"""FreeDave: the base sampler's tokens, bit for bit, in fewer dependent calls."""

import pytest
from support import HashDenoiser, jobs, run, tokens

SHARP, FLAT = HashDenoiser(length=12, prompt=(1, 4)), HashDenoiser(length=12)
SHARP.weight = SHARP.weight * 2.5
FLAT.weight = FLAT.weight * 0.1


@pytest.mark.parametrize("base", ["confidence", "margin", "entropy", "random"])
@pytest.mark.parametrize("model", [SHARP, FLAT], ids=["sharp", "flat"])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize(("budget", "draft", "block"), [(1, 4, 0), (5, 2, 0), (20, 3, 0), (8, 6, 6)])
def test_equal_to_the_base_sampler(base, model, temperature, budget, draft, block):
    plain = run(model, jobs(base, 3, budget=budget, temperature=temperature, block=block))
    todo = jobs("freedave", 3, budget=budget, temperature=temperature, base=base, draft=draft, block=block)
    made = run(model, todo, batch_size=2)
    assert tokens(made) == tokens(plain)
    for mine, other in zip(made, plain, strict=True):
        assert mine.cost.depth <= other.cost.depth
        assert other.cost.nfe <= mine.cost.nfe <= 1 + draft * (mine.cost.depth - 1)


def test_equal_where_a_row_ends_early():
    model = HashDenoiser(vocab=4, eos=(2,))
    plain = run(model, jobs("confidence", 12, budget=16))
    made = run(model, jobs("freedave", 12, budget=16, draft=4))
    assert [one.output.tokens for one in made] == [one.output.tokens for one in plain]
    assert any(len(one.output.tokens) < 16 for one in plain)


def test_every_draft_is_accepted_where_the_model_never_changes_its_mind():
    model = HashDenoiser(length=12)
    model.weight = model.weight * 0
    (made,) = run(model, jobs("freedave", 1, budget=12, draft=4))
    # A first prediction, then four steps a call; the canvas after the last step is not looked at.
    assert (made.cost.depth, made.cost.nfe) == (4, 12)


def test_a_draft_of_one_step_costs_what_the_base_does():
    plain = run(SHARP, jobs("confidence", 3, budget=9))
    made = run(SHARP, jobs("freedave", 3, budget=9, draft=1))
    assert [(one.cost.depth, one.cost.nfe) for one in made] == [(one.cost.depth, one.cost.nfe) for one in plain]


def test_rows_of_different_budgets_and_blocks_share_a_batch():
    settings = [(12, 0), (5, 0), (6, 4), (4, 8)]
    todo = [jobs("freedave", 1, budget=budget, block=block)[0] for budget, block in settings]
    plain = [jobs("confidence", 1, budget=budget, block=block)[0] for budget, block in settings]
    assert tokens(run(SHARP, todo)) == tokens(run(SHARP, plain))
