"""A sampler or a model that breaks its contract is stopped, with a message that says what it did."""

from dataclasses import dataclass, replace

import pytest
import torch
from support import HashDenoiser, jobs, run
from toys import TableDenoiser, TextDenoiser, Toy, job, one_at

from harness.canvas import Edit
from harness.engine.edits import SamplerError
from harness.engine.loop import CanvasEngine
from harness.engine.proxy import ModelError
from harness.models.exact import chain
from harness.prediction import Query
from harness.samplers import SamplerInfo
from harness.samplers.base import Real, param

FREE = SamplerInfo("", "", knob=None)
STEPS = SamplerInfo("", "")


def made_by(rule, info=FREE, model=None, count=2, budget=None, state=(), **settings):
    todo = [job(Toy(rule, state), info, f"{i}", budget=budget, **settings) for i in range(count)]
    return run(model or TextDenoiser(), todo)


def first_masked(view):
    """(B, L) bool: the first masked position of each row."""
    return view.masked & (view.masked.cumsum(1) == 1)


def commits_prompt(view, ask):
    return Edit(torch.ones_like(view.masked), torch.zeros_like(view.canvas.tokens))


def commits_twice(view, ask):
    return Edit(one_at(view.canvas.step * 0, 8), ask().top1)


def commits_mask(view, ask):
    return Edit(view.masked, torch.full_like(view.canvas.tokens, view.canvas.mask_id))


def commits_beyond_vocabulary(view, ask):
    return Edit(view.masked, torch.full_like(view.canvas.tokens, 1000))


def remasks(view, ask):
    return Edit(first_masked(view), ask().top1, remask=view.visible)


def remasks_masked(view, ask):
    return Edit(first_masked(view), ask().top1, remask=view.masked)


def overwrites(view, ask):
    return Edit(first_masked(view), ask().top1, overwrite=view.visible)


def overwrites_masked(view, ask):
    return Edit(torch.zeros_like(view.masked), ask().top1, overwrite=view.masked)


def goes_back(view, ask):
    return Edit(first_masked(view), ask().top1, advance=torch.full_like(view.canvas.step, -1))


def does_nothing(view, ask):
    return Edit(torch.zeros_like(view.masked), ask().top1)


def stands_still(view, ask):
    return Edit(torch.zeros_like(view.masked), ask().top1, advance=torch.zeros_like(view.canvas.step))


def one_a_step(view, ask):
    return Edit(first_masked(view), ask().top1)


@pytest.mark.parametrize(
    ("rule", "info", "message"),
    [
        (commits_twice, FREE, "not masked and editable"),
        (commits_mask, FREE, "mask token or a token outside the vocabulary"),
        (commits_beyond_vocabulary, FREE, "mask token or a token outside the vocabulary"),
        (remasks, FREE, "without declaring may_remask"),
        (remasks_masked, replace(FREE, may_remask=True), "re-masked a position that holds no generated token"),
        (overwrites, FREE, "without declaring may_overwrite"),
        (overwrites_masked, replace(FREE, may_overwrite=True), "overwrote a position that holds no generated token"),
        (goes_back, FREE, "negative number of steps"),
        (does_nothing, FREE, "went on without getting anywhere"),
        (does_nothing, replace(FREE, patience=5), "went on without getting anywhere"),
        (does_nothing, STEPS, "left masks when its budget was spent"),
        (stands_still, STEPS, "went on without getting anywhere"),
        (one_a_step, STEPS, "left masks when its budget was spent"),
        (remasks, replace(FREE, may_remask=True, patience=3), "went on without getting anywhere"),
    ],
)
def test_broken_edits(rule, info, message):
    with pytest.raises(SamplerError, match=f"sampler Toy.*{message}"):
        made_by(rule, info, budget=3 if info.knob else None)


def test_the_prompt_is_not_to_be_written():
    with pytest.raises(SamplerError, match="not masked and editable"):
        made_by(commits_prompt, prompt="12")


def test_padding_is_not_to_be_written():
    with pytest.raises(SamplerError, match="not masked and editable"):
        made_by(commits_prompt, model=TextDenoiser(bucket=16))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"commit": torch.ones(2, 1, dtype=torch.bool)}, r"commit as \(2, 1\) torch.bool; it must be \(2, 8\)"),
        ({"commit": torch.ones(2, 8, dtype=torch.int64)}, "commit as .* torch.int64; it must be .* torch.bool"),
        ({"tokens": torch.zeros(2, 8)}, "tokens as .* torch.float32"),
        ({"remask": torch.zeros(8, dtype=torch.bool)}, r"remask as \(8,\)"),
        ({"advance": torch.ones(2, 1, dtype=torch.int64)}, r"advance as \(2, 1\)"),
        ({"state": {}}, r"the state \[\]; its init made \['age'\]"),
        ({"state": {"age": torch.zeros(2), "more": torch.zeros(2)}}, "'more'"),
        ({"state": {"age": torch.zeros(2, dtype=torch.float64)}}, "state age as .* torch.float64"),
    ],
)
def test_edits_of_the_wrong_form(changes, message):
    def rule(view, ask):
        return replace(Edit(view.masked, ask().top1, state=view.state), **changes)

    with pytest.raises(SamplerError, match=message):
        made_by(rule, state=("age",))


def test_what_a_row_that_is_finished_would_do_is_nobodys_business():
    # Writes nonsense in rows that are done, which would crash the model; only running rows are checked and applied.
    def rule(view, ask):
        done = ~view.masked.any(1, keepdim=True)
        return Edit(first_masked(view) | done, torch.where(done, 1000, ask().top1))

    todo = [job(Toy(rule), FREE, f"{n}", length=n, condition={"label": 0}) for n in (2, 5, 9)]
    assert [len(one.output.tokens) for one in run(TextDenoiser(bucket=16), todo)] == [2, 5, 9]


def test_steps_without_progress_are_legal_up_to_the_declared_patience():
    def rule(view, ask):
        return Edit(first_masked(view) & (view.canvas.step % 3 == 2)[:, None], ask().top1)

    assert made_by(rule, replace(FREE, patience=2))[0].cost.nfe == 24
    with pytest.raises(SamplerError, match="getting anywhere"):
        made_by(rule, replace(FREE, patience=1))


@pytest.mark.parametrize(("flag", "field"), [("may_remask", "remask"), ("may_overwrite", "overwrite")])
def test_declared_revisions_run_the_whole_budget(flag, field):
    def rule(view, ask):
        last = view.canvas.step + 1 >= view.canvas.budget
        everything = view.masked & (last | (view.canvas.step == 0))[:, None]
        revised = view.visible & (view.canvas.step == 2)[:, None]
        return Edit(everything, view.canvas.step[:, None].expand(-1, 8).contiguous(), **{field: revised})

    (made,) = made_by(rule, replace(STEPS, **{flag: True}), count=1, budget=5)
    assert made.output.tokens == ((4,) * 8 if flag == "may_remask" else (2,) * 8)


def test_a_schedule_may_advance_by_several_steps():
    def rule(view, ask):
        ask()
        return Edit(view.masked & (view.canvas.step == 6)[:, None], ask().top1, advance=view.canvas.step * 0 + 3)

    (made,) = made_by(rule, STEPS, count=1, budget=9)
    assert made.cost.nfe == 6


class NaNDenoiser(HashDenoiser):
    """NaN for one document only, in one entry."""

    def __init__(self, value):
        super().__init__()
        self.value = value

    def logits(self, inputs, index):
        logits, extra = super().logits(inputs, index)
        bad = (inputs.condition["label"][index // inputs.tokens.shape[1]] == 2) & (index % inputs.tokens.shape[1] == 5)
        logits[bad, 3] = self.value
        return logits, extra


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_names_the_row(value):
    todo = jobs("random", 3, budget=2)
    with pytest.raises(ModelError, match=r"row 2, position 5 .* (nan|inf): document key \d+, sample 0, step 0"):
        run(NaNDenoiser(value), todo)
    assert len(run(NaNDenoiser(value), todo[:2])) == 2


def test_a_sampler_that_fails_at_nan_is_not_what_is_named():
    def rule(view, ask):
        if ask().confidence.isnan().any():
            raise ValueError("no order")
        return Edit(view.masked, ask().top1)

    with pytest.raises(ModelError, match="row 2, position 5"):
        run(NaNDenoiser(float("nan")), [replace(one, sampler=Toy(rule), info=FREE) for one in jobs("random", 3)])
    with pytest.raises(ValueError, match="no order"):
        run(NaNDenoiser(0.0), [replace(one, sampler=Toy(_failing), info=FREE) for one in jobs("random", 3)])


def _failing(view, ask):
    raise ValueError("no order")


def test_nan_in_a_row_that_is_not_asked_for_is_not_seen():
    # The slot of a finished row keeps its last canvas, whatever the model says of it.
    finished_early = [*jobs("random", 2, budget=9), *jobs("random", 3, budget=1, cell="one")[2:]]
    with pytest.raises(ModelError):
        run(NaNDenoiser(float("nan")), finished_early, batch_size=3)

    class LateNaN(NaNDenoiser):
        def logits(self, inputs, index):
            logits, extra = HashDenoiser.logits(self, inputs, index)
            done = (inputs.tokens != self.mask_id).all(1)[index // inputs.tokens.shape[1]]
            return logits.masked_fill(done[:, None], float("nan")), extra

    assert len(run(LateNaN(0.0), finished_early, batch_size=3)) == 3


def test_minus_infinity_is_legal_but_not_everywhere():
    made = run(TableDenoiser([[1.0, 0.0, 0.0], [0.0, 0.5, 0.5]]), jobs("random", 20, budget=2))
    assert {one.output.tokens for one in made} == {(0, 1), (0, 2)}
    with pytest.raises(ModelError, match="position 1 have maximum -inf"):
        run(TableDenoiser([[1.0, 0.0], [0.0, 0.0]]), jobs("random", 1, budget=2))


def test_guidance_keeps_impossible_tokens_impossible():
    class Halves(TextDenoiser):
        def logits(self, inputs, index):
            logits, extra = super().logits(inputs, index)
            logits[:, :3] = float("-inf")
            return logits, extra

    made = run(Halves(), jobs("random", 9, budget=2, guidance=3.0))
    assert {token for one in made for token in one.output.tokens} <= {3, 4, 5}


@pytest.mark.parametrize("name", ["positions", "attention_bias", "time", "guidance"])
def test_queries_beyond_the_model_are_refused(name):
    def rule(view, ask):
        values = {
            "positions": view.canvas.positions,
            "attention_bias": torch.zeros(*view.masked.shape, view.masked.shape[1]),
            "time": view.progress[:, 0],
            "guidance": view.progress[:, 0],
        }
        return Edit(view.masked, ask(replace(view.query(), **{name: values[name]})).top1)

    with pytest.raises(ModelError, match=f"needs {name}, which this model does not offer"):
        made_by(rule, model=TextDenoiser(capable=False))


def test_outputs_beyond_the_model_are_refused():
    def rule(view, ask):
        return Edit(view.masked, ask(replace(view.query(), outputs=frozenset({"attention"}))).top1)

    with pytest.raises(ModelError, match="needs attention"):
        made_by(rule)


@pytest.mark.parametrize("model", [TextDenoiser(capable=False), chain()])
def test_guidance_on_a_model_without_it_is_refused(model):
    (one,) = jobs("random", 1, budget=2, guidance=1.0)
    with pytest.raises(ModelError, match="guidance"):
        list(CanvasEngine(model).generate([replace(one, request=replace(one.request, condition={}))]))


def test_a_query_may_bring_its_own_tokens_positions_and_guidance():
    model = TextDenoiser()

    def rule(view, ask):
        shown = torch.zeros_like(view.canvas.tokens)
        guidance = view.canvas.document.argsort().argsort().float()  # 0 and 1
        query = Query(shown, view.masked, positions=view.canvas.positions + 1, guidance=guidance)
        return Edit(view.masked, ask(query).top1)

    made = made_by(rule, model=model)
    (call,) = model.calls
    assert call.tokens.eq(0).all()
    assert call.positions[0].tolist() == list(range(1, 9))
    assert sorted(one.cost.nfe for one in made) == [1, 2]  # w = 0 needs no unconditional forward


def test_a_row_may_go_on_without_masks_up_to_its_patience():
    def rule(view, ask):
        query = view.query(need=view.canvas.editable)
        return Edit(view.masked, ask(query).top1, unfinished=view.canvas.step < 3)

    assert [one.cost.nfe for one in made_by(rule, replace(FREE, patience=2))] == [4, 4]
    with pytest.raises(SamplerError, match="getting anywhere"):
        made_by(rule, replace(FREE, patience=1))
    with pytest.raises(SamplerError, match="left masks when its budget was spent"):
        made_by(rule, STEPS, budget=2)


def test_patience_begins_anew_with_each_row_of_a_slot():
    def rule(view, ask):
        step = view.canvas.step
        return Edit(view.masked & (step == 1)[:, None], ask().top1, unfinished=step < 3)

    todo = [job(Toy(rule), replace(FREE, patience=2), f"{i}") for i in range(3)]
    assert len(run(TextDenoiser(), todo, batch_size=1)) == 3


def test_copies_are_charged_answered_and_blamed_row_by_row():
    def rule(view, ask):
        shown = torch.stack([view.canvas.tokens, torch.zeros_like(view.canvas.tokens)], dim=1).flatten(0, 1)
        need = view.masked.repeat_interleave(2, dim=0)
        need[1] = False  # the first row's second copy is not asked for
        both = ask(Query(shown, need, copies=2))
        plain = ask()
        assert torch.equal(both.pick(view.canvas.step, 2).top1, plain.top1)
        return Edit(view.masked, plain.top1)

    made = made_by(rule, count=3, condition={"label": 1})
    assert sorted(one.cost.nfe for one in made) == [2, 3, 3]
    assert [one.cost.depth for one in made] == [2, 2, 2]

    todo = [replace(one, sampler=Toy(rule), info=FREE) for one in jobs("random", 3)]
    with pytest.raises(ModelError, match="row 2, position 5"):
        run(NaNDenoiser(float("nan")), todo)


@dataclass(frozen=True)
class Chatty:
    """Hands the engine a parameter of its row, to see who got which."""

    token: Real = param(0.0, "the token to write")

    def init(self, canvas):
        return {"mine": torch.as_tensor(self.token).expand(len(canvas.tokens), 1).clone()}

    def step(self, view, ask):
        assert torch.equal(view.state["mine"][view.masked.any(1)], self.token[view.masked.any(1)])
        return Edit(first_masked(view), self.token.long().expand(view.masked.shape).contiguous(), view.state)


def test_parameters_and_state_follow_their_row_through_refills():
    todo = [job(Chatty(float(i % 6)), FREE, f"{i:02d}", length=2 + i % 3, condition={"label": 0}) for i in range(23)]
    made = run(TextDenoiser(bucket=8), todo, batch_size=4)
    assert [one.output.tokens for one in made] == [(i % 6,) * (2 + i % 3) for i in range(23)]


def test_one_class_under_two_declarations_keeps_both():
    declared = [job(Toy(remasks_once), replace(STEPS, may_remask=True), "a", budget=4)]
    undeclared = [job(Toy(remasks_once), STEPS, "b", budget=4)]
    assert len(run(TextDenoiser(), declared)) == 1
    with pytest.raises(SamplerError, match="may_remask"):
        run(TextDenoiser(), declared + undeclared)


def remasks_once(view, ask):
    step = view.canvas.step[:, None]
    commit = (first_masked(view) & (step == 0)) | (view.masked & (step == 3))
    return Edit(commit, ask().top1, remask=view.visible & (step == 1))
