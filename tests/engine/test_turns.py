"""Conversations of several turns: what is asked in each, what they cost together, and that they can be resumed."""

from dataclasses import replace

import pytest
from toys import TextDenoiser

from harness.components import make_sampler
from harness.engine.engine import Engine
from harness.engine.generator import Job
from harness.engine.proxy import ModelError
from harness.samplers import samplers
from harness.spec import Decoding, SamplerSpec
from harness.task import Output, Request


class Talker(TextDenoiser):
    """Speaks and hears in digits; keeps the conversations that it was asked to go on with."""

    def __init__(self, **options):
        super().__init__(vocab=6, **options)
        self.asked = []

    def encode(self, request):
        self.asked.append(request)
        heard = "".join(digit for digit in request.prompt if digit.isdigit())
        return super().encode(replace(request, prompt=heard))

    def decode(self, tokens):
        return Output(tuple(tokens), text="".join(map(str, tokens)))


def job(document, prompt, *then, steps=2, temperature=1.0):
    sampler = make_sampler(SamplerSpec(name="confidence", args={}))
    request = Request(document, prompt=prompt, then=then, length=3)
    return Job("c", request, 0, sampler, samplers["confidence"].info, Decoding(temperature=temperature), steps, 0)


def made_of(model, jobs, size=4, done=lambda one: False):
    return {each.job.request.document: each for each in Engine(model, size).generate(jobs, done)}


def test_each_turn_is_asked_with_the_answers_before_it():
    model = Talker()
    made = made_of(model, [job("a", "12", "3", "45")])["a"]
    first, second = made.output.before
    assert made.output.text not in (first, second)
    assert [request.turns for request in model.asked] == [
        (),
        (("user", "12"), ("assistant", first), ("user", "3")),
        (("user", "12"), ("assistant", first), ("user", "3"), ("assistant", second), ("user", "45")),
    ]
    assert model.asked[1].prompt == f"12\n\n{first}\n\n3"
    assert made.job.request.document == "a"


def test_costs_are_added_up():
    alone = made_of(Talker(), [job("a", "12")])["a"]
    made = made_of(Talker(), [job("a", "12", "3")])["a"]
    assert (made.cost.nfe, made.cost.depth, made.cost.output_tokens) == (4, 4, 6)
    assert made.cost.nfe_nominal == 4
    assert made.cost.flops > 2 * alone.cost.flops
    assert made.output.before == (alone.output.text,)


def test_a_conversation_depends_on_itself_alone_and_mixes_with_others():
    jobs = [job(str(i), "1234"[: 1 + i % 3], *["2", "31"][: i % 3]) for i in range(9)]
    alone = {each.request.document: made_of(Talker(), [each], 1)[each.request.document].output for each in jobs}
    for size in (2, 16):
        assert {name: made.output for name, made in made_of(Talker(), jobs, size).items()} == alone
    assert {len(output.before) for output in alone.values()} == {0, 1, 2}
    left = made_of(Talker(), jobs, 3, lambda one: one.request.document in "0258")
    assert {name: made.output for name, made in left.items()} == {n: o for n, o in alone.items() if n not in "0258"}


def test_the_draws_of_a_turn_are_not_those_of_the_one_before():
    made = [made_of(Talker(), [job(str(i), "", "")])[str(i)].output for i in range(6)]
    assert any(output.before[0] != output.text for output in made)


def test_an_answer_that_is_no_text_ends_the_conversation():
    with pytest.raises(ModelError, match="the model's answer is no text"):
        made_of(TextDenoiser(), [job("a", "12", "3")])
