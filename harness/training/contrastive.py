"""The training of the contrastive model of pictures and captions, on scenes and captions that are drawn anew."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from harness.miniworld.captions import (
    NUMBERS,
    PLURALS,
    RELATIONS,
    TAGS,
    Metadata,
    scene_for,
    test_prompts,
    training_prompt,
)
from harness.miniworld.scenes import CODES, COLOURS, SHAPES, codes, pixels, render
from harness.miniworld.split import held_out
from harness.models.mini.contrastive import (
    ContrastiveConfig,
    Towers,
    description,
    embed_pictures,
    embed_texts,
    word_ids,
)
from harness.spec import Scalar
from harness.training.batches import moved
from harness.training.problem import Problem, fill

Random = np.random.Generator

EXAMPLES = 2**31
"""Examples are drawn anew at each step: this is the number of seeds."""
VALIDATION, VALIDATION_PAIRS = 8, 64
"""Batches, and pairs of prompts in each."""
BROKEN_EACH, MOST_BROKEN = 4, 4
"""Every fourth picture is also shown damaged, in up to four patches."""
TEST = 500
"""Held-out prompts of each tag, some of them several times, with another scene and another twin."""
RETRIEVAL = 64
"""Prompts among which the right one is sought."""

_KINDS = (SHAPES, tuple(COLOURS), tuple(NUMBERS), tuple(RELATIONS))
_NUMBER_WORDS = {count: word for word, count in NUMBERS.items()}
_INVERSE = {"right of": "left of", "below": "above"}


@dataclass(frozen=True)
class Contrast:
    """Weights of the objective's parts beside InfoNCE: telling twins, and describing the picture.

    relations  share of the pairs that is drawn among prompts with a relation, which is learned last
    """

    twins: float = 1.0
    description: float = 1.0
    relations: float = 0.3


def contrastive(network: Mapping[str, Scalar], objective: Mapping[str, Scalar], device: str) -> Problem:
    """Symmetric InfoNCE among pairs of minimally different prompts; reported by accuracies on held-out ones."""
    config = fill(ContrastiveConfig, "network", network)
    settings = fill(Contrast, "objective", objective)

    def draw(examples: Tensor) -> Batch:
        return pairs(len(examples) // 2, settings.relations, np.random.default_rng(examples.numpy()))

    def loss(model: nn.Module, batch: Batch, progress: float) -> Tensor:
        logits, described = model(batch.pixels, batch.words)
        sound = len(batch.truth)
        of_sound = F.mse_loss(described[:sound], batch.truth)
        of_broken = F.mse_loss(described[sound:, -1], batch.wrong)
        return _contrast(logits[:sound], settings.twins) + settings.description * (of_sound + of_broken)

    @torch.inference_mode()
    def validate(model: nn.Module) -> float:
        rng = np.random.default_rng(0)
        fresh = (moved(pairs(VALIDATION_PAIRS, settings.relations, rng), device) for _ in range(VALIDATION))
        return float(np.mean([loss(model, batch, 0).item() for batch in fresh]))

    return Problem(config, Towers(config), EXAMPLES, loss, validate, accuracies, draw)


class Batch(NamedTuple):
    """Pairs of twins: their scenes, then some of these damaged.

    pixels  (N + M, 64, 64, 3) uint8
    words   (N, L) int64
    truth   (N, DESCRIPTION) float32
    wrong   (M,) float32 damage
    """

    pixels: Tensor
    words: Tensor
    truth: Tensor
    wrong: Tensor


def pairs(count: int, relations: float, rng: Random) -> Batch:
    """`count` pairs of twins and their pictures."""
    prompts = twins(rng, count, relations)
    scenes = [scene_for(prompt, rng) for prompt in prompts]
    sound = np.stack([codes(scene) for scene in scenes])
    broken = np.stack([damaged(each, rng) for each in sound[::BROKEN_EACH]])
    return Batch(
        torch.from_numpy(np.stack([pixels(each) for each in (*sound, *broken)])),
        word_ids([each["prompt"] for each in prompts]),
        torch.from_numpy(np.stack([description(scene) for scene in scenes])),
        torch.from_numpy((broken != sound[::BROKEN_EACH]).sum(axis=1, dtype=np.float32) / MOST_BROKEN),
    )


def _contrast(logits: Tensor, weight: float) -> Tensor:
    """InfoNCE of logits (2n, 2n) both ways, and `weight` times that among two only: the twin of 2i is 2i + 1."""
    right = torch.arange(len(logits), device=logits.device)
    own, twin = logits[right, right], right ^ 1
    among_all = F.cross_entropy(logits, right) + F.cross_entropy(logits.T, right)
    among_two = F.softplus(logits[right, twin] - own).mean() + F.softplus(logits[twin, right] - own).mean()
    return (among_all + weight * among_two) / 2


def twins(rng: Random, count: int, relations: float) -> list[Metadata]:
    """`count` pairs of twins for training, one after the other, all different in meaning."""
    found: dict[object, Metadata] = {}
    while len(found) < 2 * count:
        prompt = training_prompt(rng)
        while prompt["tag"] != "position" and rng.random() < relations:
            prompt = training_prompt(rng)
        other = twin(prompt, rng)
        if not {meaning(prompt), meaning(other)} & found.keys() and not held_out(other["prompt"]):
            found |= {meaning(prompt): prompt, meaning(other): other}
    return list(found.values())


def damaged(whole: NDArray[np.int64], rng: Random) -> NDArray[np.int64]:
    """Codes (64,) of which up to `MOST_BROKEN`, half of them of things, are replaced by the empty one or by any."""
    broken: NDArray[np.int64] = whole.copy()
    for _ in range(rng.integers(1, MOST_BROKEN + 1)):
        places = np.flatnonzero(whole) if rng.random() < 0.5 else np.arange(len(whole))
        broken[rng.choice(places)] = rng.integers(CODES) if rng.random() < 0.5 else 0
    return broken


def twin(metadata: Metadata, rng: Random) -> Metadata:
    """A prompt of another meaning, made by exchanging two words of a kind: shapes, colours, numbers or relations.

    One word is in the prompt. Half of the time the other is too, where it can be, so that only their order tells.
    """
    prompt = metadata["prompt"]
    present = [(word, kind) for kind in _KINDS for word in kind if _mentions(prompt, word)]
    while True:
        word, kind = present[int(rng.integers(len(present)))]
        partners = [each for each, its_kind in present if its_kind is kind and each != word]
        if not partners or rng.random() < 0.5:
            partners = [each for each in kind if not _mentions(prompt, each)]
        other = _exchanged(metadata, word, partners[int(rng.integers(len(partners)))])
        if meaning(other) != meaning(metadata):
            return other


def meaning(metadata: Metadata) -> object:
    """What a prompt asks for: equal for prompts that differ in the opening or in the order of what they mention."""
    things = frozenset((item["class"], item["count"], item.get("color")) for item in metadata["include"])
    if metadata["tag"] != "position":
        return things
    target, subject = metadata["include"]
    relation, pair = subject["position"][0], (target["class"], subject["class"])
    return things, _INVERSE.get(relation, relation), pair[::-1] if relation in _INVERSE else pair


def _mentions(prompt: str, word: str) -> bool:
    return re.search(rf"\b{word}\b|\b{PLURALS.get(word, word)}\b", prompt) is not None


def _exchanged(metadata: Metadata, one: str, other: str) -> Metadata:
    pairs = [(one, other), (PLURALS.get(one, one), PLURALS.get(other, other))]
    names = {old: new for a, b in pairs for old, new in ((a, b), (b, a))}
    pattern = "|".join(sorted(names, key=len, reverse=True))
    prompt = re.sub(rf"\b({pattern})\b", lambda match: names[match[0]], metadata["prompt"])

    def renamed(item: Mapping[str, Any]) -> dict[str, Any]:
        new = {**item, "class": names.get(item["class"], item["class"])}
        if item["count"] > 1:
            number = _NUMBER_WORDS[item["count"]]
            new["count"] = NUMBERS[names.get(number, number)]
        if "color" in item:
            new["color"] = names.get(item["color"], item["color"])
        if "position" in item:
            relation, target = item["position"]
            new["position"] = [names.get(relation, relation), target]
        return new

    return {"tag": metadata["tag"], "include": [renamed(item) for item in metadata["include"]], "prompt": prompt}


def pictures(prompts: Sequence[Metadata], rng: Random) -> NDArray[np.uint8]:
    """(N, 64, 64, 3) uint8 RGB: a random scene for each prompt."""
    return np.stack([render(scene_for(prompt, rng)) for prompt in prompts])


@torch.inference_mode()
def accuracies(model: Any) -> dict[str, float]:
    """On held-out prompts: how often the right one of 64 is nearest to its scene, and that of two twins, by tag."""
    rng = np.random.default_rng(0)
    found = {}
    prompts = test_prompts(TEST)
    chosen = [prompts[i] for i in rng.permutation(len(prompts))]
    batches = [chosen[i : i + RETRIEVAL] for i in range(0, len(chosen) - RETRIEVAL + 1, RETRIEVAL)]
    found["retrieval"] = float(np.mean([_retrieval(model, batch, rng) for batch in batches]))
    for tag in TAGS:
        same = [each for each in prompts if each["tag"] == tag]
        found[f"twin_{tag}"] = float(np.mean(twin_margins(model, [same[i % len(same)] for i in range(TEST)], rng) > 0))
    return found


def twin_margins(model: Towers, prompts: Sequence[Metadata], rng: Random) -> NDArray[np.float32]:
    """(N,) by how much the cosine of a random scene of each prompt is higher with the prompt than with a twin of it."""
    images = embed_pictures(model, pictures(prompts, rng))
    right, wrong = (
        embed_texts(model, [each["prompt"] for each in texts])
        for texts in (prompts, [twin(each, rng) for each in prompts])
    )
    margins: NDArray[np.float32] = (images * (right - wrong)).sum(axis=1)
    return margins


def _retrieval(model: Towers, prompts: Sequence[Metadata], rng: Random) -> float:
    cosines = embed_pictures(model, pictures(prompts, rng)) @ embed_texts(model, [each["prompt"] for each in prompts]).T
    return float(np.mean(cosines.argmax(axis=1) == np.arange(len(prompts))))
