"""Language-model decoders that follow a schedule of steps, token by token against plain loops of the published code."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from plain_loops import Row, Toy, blocks, gumbel, highest, quota, toy
from safetensors.torch import save_file
from support import HashDenoiser, jobs, run, tokens

from harness.components import make_sampler, resolve_sampler
from harness.errors import UserError
from harness.spec import SamplerSpec

DOCUMENTS = [f"{i:04d}" for i in range(4)]


def compare(
    model: HashDenoiser, name: str, reference, temperature: float, budget: int, batch_size: int = 8, **args
) -> None:
    """All documents in one batch against the reference, one by one; also the number of calls."""
    made = run(model, jobs(name, len(DOCUMENTS), budget=budget, temperature=temperature, **args), batch_size)
    for document, generation in zip(DOCUMENTS, made, strict=True):
        row = Row(model, document, temperature)
        reference(row, budget, **args)
        # The engine stops at the first end token, the published loops do not.
        ends = [i for i, token in enumerate(row.output) if token in model.eos_ids]
        assert generation.output.tokens == (row.output[: ends[0] + 1] if ends else row.output), (name, document, args)
        assert generation.cost.nfe == row.calls or ends


def llada(
    row: Row, steps: int, block: int = 0, remasking: str = "low_confidence", eos: str = "free", rounded: bool = False
) -> None:
    parts = blocks(row.length, block)
    for begin, end in parts:
        for count in quota(len(row.masks(begin, end)), steps // len(parts)):
            logits = row.logits()
            eos_id, eot_id = 1, 4
            if eos == "logits":
                logits[:, eos_id] = -math.inf
            x0 = row.draw(logits)
            judged = logits.clone()
            if eos == "confidence_literal":
                judged[:, eot_id] = -math.inf
                if row.temperature == 0:
                    judged[:, eos_id] = -math.inf
            p = torch.softmax(judged.bfloat16() if rounded else judged, dim=-1)
            order = row.uniform("order")
            score = {i: order[i] if remasking == "random" else float(p[i, x0[i]]) for i in row.masks(begin, end)}
            if eos == "confidence":
                score = {i: -math.inf if x0[i] in (eos_id, eot_id) else c for i, c in score.items()}
            row.write(highest(count, score), x0)
            row.step += 1


@pytest.mark.parametrize("temperature", [0.0, 0.7])
@pytest.mark.parametrize("eos", ["free", "logits", "confidence", "confidence_literal"])
@pytest.mark.parametrize(("block", "budget"), [(0, 5), (4, 9), (6, 12)])
def test_llada(temperature: float, eos: str, block: int, budget: int) -> None:
    compare(toy(1, eos=(1, 4)), "llada", llada, temperature, budget, block=block, eos=eos)


def test_llada_without_end_tokens_makes_the_published_calls() -> None:
    compare(toy(2), "llada", llada, 1.0, 6, block=6, remasking="random")
    compare(toy(2), "llada", llada, 0.0, 3, block=4)


def test_end_of_text_can_be_barred() -> None:
    ended = {
        eos: any(1 in made for made in tokens(run(toy(3, scale=0.3, eos=(1, 4)), jobs("llada", 20, budget=6, eos=eos))))
        for eos in ("free", "logits")
    }
    assert ended == {"free": True, "logits": False}


class Short(Toy):
    """A toy model whose logits are bfloat16, far enough apart for probabilities near 1 that round to the same. Alone in
    the batch: what a batch changes in the last bit of a float32 sum may change bfloat16 by much more."""

    def logits(self, inputs, index):
        # The label of a document adds the same to all logits, which short ones would not survive.
        alike = replace(inputs, condition={"label": torch.zeros_like(inputs.condition["label"])})
        logits, extra = super().logits(alike, index)
        return (4 * logits).bfloat16(), extra


def short(seed: int, **settings) -> Short:
    model = toy(seed, **settings)
    model.__class__ = Short
    return model


@pytest.mark.parametrize("eos", ["free", "confidence_literal"])
@pytest.mark.parametrize(("block", "budget"), [(0, 5), (6, 12)])
def test_llada_with_confidences_as_short_as_the_logits(eos: str, block: int, budget: int) -> None:
    for seed in range(4):
        compare(short(seed, eos=(1, 4)), "llada", llada, 0.0, budget, 1, block=block, eos=eos, rounded=True)
    assert matters("llada", block=block)


def dream(
    row: Row,
    steps: int,
    alg: str = "entropy",
    alg_temp: float = 0.0,
    top_p: float = 1.0,
    top_k: int = 0,
    literal: bool = False,
    rounded: bool = False,
) -> None:
    timesteps = torch.linspace(1, 1e-3 if literal else 0.0, steps + 1, dtype=torch.float64).tolist()
    while row.step < steps and row.masks():
        masks = row.masks()
        i, last = row.step, row.step == steps - 1
        logits = row.logits()
        if row.temperature > 0:
            logits = logits / row.temperature
        for position in range(len(logits)):
            order = logits[position].argsort(descending=True)
            mass = torch.softmax(logits[position], dim=-1)[order].cumsum(0)
            drop = mass > top_p
            drop[1:], drop[0] = drop[:-1].clone(), False
            if top_p < 1:
                logits[position, order[drop]] = -math.inf
            if top_k:
                logits[position, order[top_k:]] = -math.inf
        hot, row.temperature = row.temperature, min(row.temperature, 1.0) and 1.0
        x0 = row.draw(logits)
        row.temperature = hot
        p = torch.softmax(logits.bfloat16() if rounded else logits, dim=-1)
        share = 1.0 if last else 1 - timesteps[i + 1] / timesteps[i]
        order = row.uniform("order")
        if alg == "origin":
            chosen = [j for j in masks if order[j] < share]
        else:
            best = p.sort(dim=-1, descending=True).values
            negative = dict(zip(masks, (p[masks] * torch.log(p[masks] + 1e-10)).sum(dim=-1), strict=True))
            score = {
                "maskgit_plus": {j: float(p[j, x0[j]]) for j in masks},
                "topk_margin": {j: float(best[j, 0] - best[j, 1]) for j in masks},
                "entropy": {j: float(negative[j]) for j in masks},
            }[alg]
            count = int(len(masks) * share) if literal else math.ceil(len(masks) / (steps - i))
            if alg_temp > 0:
                score = {j: c / alg_temp + gumbel(order[j]) for j, c in score.items()}
            chosen = highest(count, score)
        row.write(chosen, x0)
        row.step += 1


@pytest.mark.parametrize("temperature", [0.0, 0.6])
@pytest.mark.parametrize("alg", ["origin", "maskgit_plus", "topk_margin", "entropy"])
@pytest.mark.parametrize("literal", [False, True])
def test_dream(temperature: float, alg: str, literal: bool) -> None:
    for budget, extra in [(5, {}), (12, {"top_p": 0.8}), (7, {"top_k": 3, "alg_temp": 0.3})]:
        compare(toy(4), "dream", dream, temperature, budget, alg=alg, literal=literal, **extra)


@pytest.mark.parametrize("alg", ["maskgit_plus", "topk_margin", "entropy"])
def test_dream_with_scores_as_short_as_the_logits(alg: str) -> None:
    for seed in range(4):
        for budget in (5, 12):
            compare(short(seed), "dream", dream, 0.0, budget, 1, alg=alg, literal=True, rounded=True)
    assert alg == "entropy" or matters("dream", alg=alg)  # entropies near 0 stay apart in a short dtype


def matters(name: str, **args) -> bool:
    """Whether rounding changes a text of some model."""
    exact, rounded = (
        [tokens(run(short(seed), jobs(name, 1, budget=12, temperature=0.0, rounded=how, **args))) for seed in range(12)]
        for how in (False, True)
    )
    return exact != rounded


def test_the_official_protocol_is_a_name_for_the_quirks_of_a_release() -> None:
    def resolved(name: str, **args):
        given = resolve_sampler(name, {"protocol": "official", **args}, "test").args
        plain = resolve_sampler(name, args, "test").args
        return {key: value for key, value in given.items() if value != plain[key]}

    assert resolved("llada", block=8) == {"rounded": True}
    assert resolved("dream", alg="entropy") == {"literal": True, "rounded": True, "top_k": 50}
    assert resolved("factor") == {"literal": True}
    assert resolved("dream", literal=False, top_k=3) == {"rounded": True}  # what is given wins
    assert resolve_sampler("maskgit", {"protocol": "mmada"}, "test").args["anneal"] == "compounding"
    assert resolve_sampler("maskgit", {"protocol": "lumina_dimoo"}, "test").args["anneal"] == "constant"
    assert resolve_sampler("maskgit", {"protocol": "meissonic"}, "test").args["anneal"] == "linspace"
    said = "protocol is 'official'; it can be mmada or lumina_dimoo or meissonic, or left out"
    with pytest.raises(UserError, match=said):
        resolved("maskgit")
    with pytest.raises(UserError, match="sampler 'eb' has no parameter 'protocol': its release has no quirks"):
        resolved("eb")
    with pytest.raises(UserError, match="protocol is 'oficial'; it can be official, or left out"):
        resolve_sampler("llada", {"protocol": "oficial"}, "test")


def counts(sampler: str, budget: int, **args) -> list[int]:
    """Tokens unmasked at each step."""
    (made,) = run(toy(5), jobs(sampler, 1, budget=budget, **args), trace=True)
    return [len(step["commit"]) for step in made.trace]


def test_dream_as_released_wastes_its_first_step() -> None:
    assert counts("dream", 12, literal=True) == [0] + [1] * 10 + [2]
    assert counts("dream", 12) == [1] * 12
    assert counts("dream", 5) == [3, 3, 2, 2, 2]


def pc(row: Row, steps: int, block: int = 0, decay: float = 0.25, alpha: float = 10.0, background: str = "") -> None:
    vocab = row.model.vocab_size
    frequency = [1 / vocab] * vocab
    if background:
        content = json.loads(Path(background).read_text())
        frequency = [content["p_baseline_dict"].get(str(i), 1) / content["num_token"] for i in range(vocab)]
    parts = blocks(row.length, block)
    for begin, end in parts:
        for count in quota(len(row.masks(begin, end)), steps // len(parts)):
            logits = row.logits()
            x0 = row.draw(logits)
            p = torch.softmax(logits, dim=-1)
            score = {}
            for i in row.masks(begin, end):
                corpus = -float(p[i, x0[i]]) * math.log(frequency[x0[i]])
                score[i] = math.exp(-decay * (i - begin)) * min(corpus, alpha)
            row.write(highest(count, score), x0)
            row.step += 1


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize(("block", "budget"), [(0, 6), (4, 12)])
def test_pc(temperature: float, block: int, budget: int, tmp_path: Path) -> None:
    path = tmp_path / "background.json"
    path.write_text(json.dumps({"num_token": 1000, "p_baseline_dict": {"0": 500, "2": 30, "5": 3}}))
    compare(toy(6), "pc", pc, temperature, budget, block=block)
    compare(toy(6), "pc", pc, temperature, budget, block=block, background=str(path), decay=0.1, alpha=2.0)


def test_pc_reads_both_formats_alike(tmp_path: Path) -> None:
    as_json, as_tensors = tmp_path / "background.json", tmp_path / "background.safetensors"
    as_json.write_text(json.dumps({"num_token": 100, "p_baseline_dict": {"0": 50, "3": 7}}))
    save_file({"frequency": torch.tensor([0.5, 0.01, 0.01, 0.07, 0.01, 0.01, 0.01])}, str(as_tensors))
    made = [tokens(run(toy(7), jobs("pc", 4, budget=6, background=str(path)))) for path in (as_json, as_tensors)]
    assert made[0] == made[1]


def test_pc_names_a_bad_background(tmp_path: Path) -> None:
    path = tmp_path / "background.json"
    path.write_text("{}")
    for args, message in [
        ({"background": str(tmp_path / "absent.json")}, "absent.json"),
        ({"background": str(path), "background_hash": "0" * 16}, "background_hash"),
    ]:
        with pytest.raises(UserError, match=message):
            make_sampler(SamplerSpec(name="pc", args=args))
    with pytest.raises(UserError, match="num_token"):
        run(toy(7), jobs("pc", 1, budget=6, background=str(path)))
    path.write_text(json.dumps({"num_token": 10, "p_baseline_dict": {"99": 1}}))
    with pytest.raises(UserError, match="token 99"):
        run(toy(7), jobs("pc", 1, budget=6, background=str(path)))


def test_pc_with_another_content_is_another_sampler(tmp_path: Path) -> None:
    path = tmp_path / "background.json"
    hashes = set()
    for count in (1, 2):
        path.write_text(json.dumps({"num_token": 10, "p_baseline_dict": {"0": count}}))
        hashes.add(make_sampler(SamplerSpec(name="pc", args={"background": str(path)})).background_hash)
    assert len(hashes) == 2
