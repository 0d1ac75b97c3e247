"""Generators: exact outputs, costs counted at the door, rows that depend on themselves alone, resumption."""

import random
from dataclasses import dataclass, replace

import pytest
import torch
from support import HashDenoiser
from support import jobs as sampler_jobs

from harness.engine.cost import Cost
from harness.engine.engine import Engine
from harness.engine.generator import Job
from harness.engine.proxy import ModelError
from harness.models.base import Row
from harness.samplers.info import SamplerInfo
from harness.spec import Decoding
from harness.task import Output, Request

END, MASK, LENGTH = 3, 4, 12
NEXT = torch.tensor([[0.1, 0.4, 0.3, 0.2], [0.5, 0.1, 0.2, 0.2], [0.25, 0.25, 0.25, 0.25]]).double()
INFO = SamplerInfo("", "", knob="tries", sweep=(1, 3), needs=frozenset({"next_token"}), generator=True)


class MarkovText:
    """An autoregressive model: log-probabilities of the next token given the last one; the prompt is its first."""

    vocab_size, mask_id, eos_ids, length_bucket = 5, MASK, frozenset({END}), 1
    capabilities = frozenset({"next_token", "guidance"})
    device = torch.device("cpu")

    def __init__(self, broken=False):
        self.broken = broken

    def encode(self, request):
        length = LENGTH if request.length is None else request.length
        return Row([int(request.prompt or 0)] + [MASK] * length, [False] + [True] * length, {"label": 1})

    def decode(self, tokens):
        return Output(tokens=tuple(tokens))

    def network(self, condition, inputs):
        plain = NEXT[inputs["last"].clamp(max=2)]
        sharp = plain**2 / (plain**2).sum(-1, keepdim=True)
        out = torch.where(condition["label"][:, None] == 1, sharp, plain).log()
        return out.masked_fill(inputs["last"][:, None] == 2, torch.nan) if self.broken else out

    def null(self, condition):
        return {"label": torch.zeros_like(condition["label"])}

    def work(self, inputs):
        return torch.full_like(inputs["last"], 2), torch.full((len(inputs["last"]),), 10.0).double()


@dataclass(frozen=True)
class BestOf:
    """The likeliest of `tries` texts, each drawn token by token until its end."""

    tries: int = 1

    def generate(self, requests, budget, rng, count):
        last = requests.tokens[:, 0].repeat_interleave(self.tries)
        open_ = torch.ones_like(last, dtype=torch.bool)
        texts, score = requests.tokens.repeat_interleave(self.tries, 0), torch.zeros(len(last)).double()
        for step in range(1, texts.shape[1]):
            # A row is charged until its text ends.
            logp = count(rows=open_, last=last).log_softmax(-1)
            u = rng("token", step, self.tries).flatten()
            drawn = (u[:, None] > logp.exp().cumsum(-1)).sum(-1).clamp(max=3)
            last = torch.where(open_, drawn, END)
            score += torch.where(open_, logp.gather(1, last[:, None])[:, 0], 0)
            texts[:, step], open_ = last, open_ & (last != END)
        best = score.view(-1, self.tries).argmax(1)
        return texts.view(len(requests.tokens), self.tries, -1)[torch.arange(len(best)), best]


def jobs(count=1, tries=1, seed=0, guidance=0.0, cell="cell", prompt="0", length=None):
    decoding = Decoding(guidance=guidance)
    requests = [Request(f"{i:05d}", prompt=prompt, length=length) for i in range(count)]
    return [Job(cell, request, 0, BestOf(tries), INFO, decoding, None, seed) for request in requests]


def run(todo, batch_size=8, done=lambda job: False, model=None):
    made = {id(one.job): one for one in Engine(model or MarkovText(), batch_size).generate(todo, done)}
    return [made.get(id(job)) for job in todo]


def assert_share(made, text, chance):
    share = sum(one.output.tokens == text for one in made) / len(made)
    assert abs(share - chance) < 4 * (chance * (1 - chance) / len(made)) ** 0.5


def test_an_exact_generator_draws_from_the_joint():
    made = run(jobs(20_000, length=3), batch_size=5_000)
    sharp = (NEXT**2 / (NEXT**2).sum(-1, keepdim=True)).tolist()
    assert_share(made, (END,), sharp[0][END])
    assert_share(made, (1, 0, 1), sharp[0][1] * sharp[1][0] * sharp[0][1])
    assert_share(made, (2, 2, END), sharp[0][2] * sharp[2][2] * sharp[2][END])


def test_guidance_is_mixed_in_by_the_door():
    # Twice the conditional less the unconditional log-probability: sharp² / plain, that is plain³, normalised.
    guided = NEXT[0] ** 3 / (NEXT[0] ** 3).sum()
    made = run(jobs(20_000, length=1, guidance=1.0), batch_size=5_000)
    for token, chance in enumerate(guided.tolist()):
        assert_share(made, (token,), chance)


def test_each_row_is_charged_for_what_it_used():
    for one in run(jobs(30)):
        drawn = len(one.output.tokens)
        assert one.cost == Cost(drawn, drawn, drawn, 2 * drawn, 10.0 * drawn, drawn)
    for one in run(jobs(30, guidance=2.0)):
        drawn = len(one.output.tokens)
        assert one.cost == Cost(drawn, 2 * drawn, 2 * drawn, 4 * drawn, 20.0 * drawn, drawn)
    for one in run(jobs(30, tries=3)):
        assert one.cost.depth <= one.cost.nfe <= 3 * one.cost.depth  # the tries of a row run at once
    (empty,) = run(jobs(length=0))
    assert empty.cost == Cost(0, 0, 0, 0, 0.0, 0)


def test_a_row_depends_on_itself_alone():
    todo = [*jobs(9), *jobs(9, tries=3, cell="b"), *jobs(9, seed=1, prompt="1", cell="c"), *jobs(9, guidance=1.0)]
    alone = [run([job], batch_size=1)[0] for job in todo]
    order = list(range(len(todo)))
    random.Random(0).shuffle(order)
    for batch_size in (1, 4, 64):
        assert run([todo[i] for i in order], batch_size) == [alone[i] for i in order]


def test_a_resumed_run_makes_the_rest_in_batches_of_the_same_shape(monkeypatch):
    todo, rows = jobs(10), []
    whole = run(todo, 4)
    network = MarkovText.network
    monkeypatch.setattr(MarkovText, "network", lambda self, c, i: rows.append(len(i["last"])) or network(self, c, i))
    rest = run(todo, 4, done=lambda job: int(job.request.document) % 3 == 0)
    assert [one is None for one in rest] == [i % 3 == 0 for i in range(10)]
    assert [one for one in rest if one] == [whole[i] for i in range(10) if i % 3]
    assert set(rows) == {4}


def test_nan_names_the_row():
    with pytest.raises(ModelError, match=r"NaN at row \d: document key \d+, sample 0"):
        run(jobs(8), model=MarkovText(broken=True))


def test_samplers_and_generators_share_a_model():
    class Both(HashDenoiser, MarkovText):
        broken = False

    model = Both()
    generated = [replace(job, request=replace(job.request, length=None)) for job in jobs(3)]
    todo = [*sampler_jobs("random", 3, budget=4), *generated]
    made = run(todo, model=model)
    assert [one.cost.nfe for one in made[:3]] == [4, 4, 4]
    assert all(one.cost.nfe <= model.length for one in made[3:])
