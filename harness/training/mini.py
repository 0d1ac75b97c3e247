"""The training of the built-in multimodal model on generated pictures, questions, stories and puzzles."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from harness.miniworld import captions, layout, questions, scenes, stories, sudoku
from harness.miniworld.layout import HOLE, Ids, Layout
from harness.miniworld.vocabulary import EOS_ID, FIRST_CODE, FIRST_DIGIT, NULL_ID, VOCABULARY, encode
from harness.models.mini.network import MiniConfig, MiniTransformer
from harness.spec import Scalar
from harness.training.batches import moved
from harness.training.problem import Problem, fill

Random = np.random.Generator
Example = tuple[Layout, NDArray[np.int64]]
"""What lies on the canvas, and what belongs in its holes."""

EXAMPLES = 2**31
"""Examples are drawn anew at each step: this is the number of seeds."""
VALIDATION = 64
TEST = 200
"""Examples of each family."""
LONGEST = layout.PROMPT + layout.RESPONSE
"""Rows for a GPU are padded to that many tokens: it is bound by its number of kernels, so all go in one batch of one
shape. A CPU is bound by tokens, so there each family is a batch of its own."""
CONCLUSIONS = 0.3
"""Share of the conclusions among the parts of long answers that are asked."""
CONCLUDED = len(questions.CONCLUSION.split())
"""Where the answer stands, after the description."""
CLUES = {4: (3, 10), 6: (8, 24)}
"""Size of a puzzle to the fewest and the most cells given in training."""


@dataclass(frozen=True)
class Mixture:
    """Share of each family among the examples of a step, and of pictures whose prompt is withheld."""

    pictures: float = 0.3
    short_answers: float = 0.1
    long_answers: float = 0.2
    clauses: float = 0.1
    parts: float = 0.2
    stories: float = 0.2
    sudoku_4x4: float = 0.03
    sudoku_6x6: float = 0.17
    withheld: float = 0.1


def mini(network: Mapping[str, Scalar], objective: Mapping[str, Scalar], device: str) -> Problem:
    """All families at once; validated and reported by the bound in nats a token, reported on held-out documents."""
    config = fill(MiniConfig, "network", network)
    mixture = fill(Mixture, "objective", objective)
    families = _families(mixture.withheld)
    shares = np.array([getattr(mixture, name) for name in families])

    def draw(examples: Tensor) -> tuple[Batch, ...]:
        rng = np.random.default_rng(examples.numpy())
        counts = np.diff(np.round(np.cumsum(np.append(0.0, shares / shares.sum())) * len(examples)).astype(int))
        groups = [[each(rng) for _ in range(n)] for n, each in zip(counts, families.values(), strict=True) if n]
        if torch.device(device).type == "cpu":
            return tuple(collate([group], rng) for group in groups)
        return (collate(groups, rng, LONGEST),)

    def loss(model: nn.Module, drawn: tuple[Batch, ...], progress: float) -> Tensor:
        return torch.cat([bound(model, batch) for batch in drawn]).mean()

    def validate(model: nn.Module) -> float:
        return float(np.average(list(measure(model).values()), weights=shares))

    def measure(model: nn.Module) -> dict[str, float]:
        rng = np.random.default_rng(0)
        return _bounds(model, {name: [each(rng) for _ in range(VALIDATION)] for name, each in families.items()}, device)

    def report(model: nn.Module) -> dict[str, float]:
        return _bounds(model, _tests(), device)

    return Problem(config, MiniTransformer(config), EXAMPLES, loss, validate, report, draw, measure)


class Batch(NamedTuple):
    """Rows padded to one length, in which some of the tokens are to be hidden and predicted.

    tokens     (B, L) int64, all of them
    positions  (B, L) int64 position ids
    valid      (B, L) bool, False = padding
    weights    (B, L) float32 of the cross-entropies; over 0 at the tokens that are hidden
    """

    tokens: Tensor
    positions: Tensor
    valid: Tensor
    weights: Tensor


def collate(groups: Iterable[Sequence[Example]], rng: Random, shortest: int = 0) -> Batch:
    """The examples of all groups with random tokens hidden, of each example another number of them.

    The numbers of each group are spread evenly from one to all. Rows are padded to the longest, or to `shortest`.
    """
    rows = []
    for group in groups:
        shares = (rng.permutation(len(group)) + rng.random(len(group))) / len(group)
        rows += [_hide(example, share, rng) for example, share in zip(group, shares, strict=True)]
    length = max(shortest, *(len(row[0]) for row in rows))
    tokens, positions, weights = (
        torch.from_numpy(np.stack([np.pad(row[i], (0, length - len(row[i]))) for row in rows])) for i in range(3)
    )
    lengths = torch.tensor([len(row[0]) for row in rows])
    return Batch(tokens, positions, torch.arange(length) < lengths[:, None], weights)


def bound(model: Any, batch: Batch) -> Tensor:
    """(B,) estimates of the bound on −log p(content of the holes), in nats a token.

    The continuous-time bound as a mean over the number k of hidden tokens (Ou et al. 2024): k uniform on 1 … n, k
    random ones of the n tokens hidden, the mean of their cross-entropies.
    """
    hidden = batch.weights > 0
    logits = model(batch.tokens.masked_fill(hidden, model.config.mask_id), batch.positions, batch.valid)
    # Tokens that are not to be predicted may be such as cannot be, at an infinite loss, or masks.
    losses = F.cross_entropy(logits.flatten(0, 1), batch.tokens.masked_fill(~hidden, 0).flatten(), reduction="none")
    return (losses.view_as(hidden).masked_fill(~hidden, 0) * batch.weights).sum(dim=1)


def _hide(example: Example, share: float, rng: Random) -> tuple[Ids, Ids, NDArray[np.float32]]:
    """Tokens (L,), position ids and the weights of the loss: 1 / k at k random ones of the n holes, k = ⌈n · share⌉."""
    lay, content = example
    holes = np.flatnonzero(lay.tokens == HOLE)
    count = max(1, int(np.ceil(len(holes) * share)))
    weights = np.zeros(len(lay.tokens), dtype=np.float32)
    weights[rng.permutation(holes)[:count]] = 1 / count
    return lay.filled(content), lay.positions, weights


@torch.inference_mode()
def _bounds(model: Any, examples: Mapping[str, Sequence[Example]], device: str) -> dict[str, float]:
    """Family to nats a token."""
    rng = np.random.default_rng(1)
    found = {name: bound(model, moved(collate([group], rng), device)).mean() for name, group in examples.items()}
    return {f"nats_per_token_{name}": float(value) for name, value in found.items()}


def _families(withheld: float) -> dict[str, Callable[[Random], Example]]:
    """Family to a function that draws an example of it, none of which is of a held-out document."""

    def pictures(rng: Random) -> Example:
        metadata = captions.training_prompt(rng)
        return picture(metadata["prompt"], captions.scene_for(metadata, rng), withhold=rng.random() < withheld)

    def short_answers(rng: Random) -> Example:
        return answer(*questions.training_example(rng, long=False), questions.SHORT_LENGTH)

    def long_answers(rng: Random) -> Example:
        return answer(*questions.training_example(rng, long=True), questions.LONG_LENGTH)

    def clauses(rng: Random) -> Example:
        return clause(*questions.training_example(rng, long=True), rng)

    def parts(rng: Random) -> Example:
        return part(*questions.training_example(rng, long=True), rng)

    def story(rng: Random) -> Example:
        return response(*stories.training_example(rng))

    def sudoku_4x4(rng: Random) -> Example:
        return puzzle(sudoku.training_solution(rng, 4), rng)

    def sudoku_6x6(rng: Random) -> Example:
        return puzzle(sudoku.training_solution(rng, 6), rng)

    return {
        "pictures": pictures,
        "short_answers": short_answers,
        "long_answers": long_answers,
        "clauses": clauses,
        "parts": parts,
        "stories": story,
        "sudoku_4x4": sudoku_4x4,
        "sudoku_6x6": sudoku_6x6,
    }


def _tests() -> dict[str, list[Example]]:
    """Family to examples of held-out documents."""
    rng = np.random.default_rng(0)
    prompts = captions.test_prompts(-(-TEST // 6))
    return {
        "pictures": [picture(each["prompt"], captions.scene_for(each, rng)) for each in prompts],
        "short_answers": [answer(*each, questions.SHORT_LENGTH) for each in questions.test_questions(TEST, False)],
        "long_answers": [answer(*each, questions.LONG_LENGTH) for each in questions.test_questions(TEST, True)],
        "stories": [response(prompt, stories.respond(asked, rng)) for prompt, asked in stories.test_prompts(TEST)],
        "sudoku_4x4": [puzzle(sudoku.solutions(each)[0], rng, each) for each in sudoku.test_puzzles(4, TEST)],
        "sudoku_6x6": [puzzle(sudoku.solutions(each)[0], rng, each) for each in sudoku.test_puzzles(6, TEST)],
    }


def picture(prompt: str, scene: scenes.Scene, withhold: bool = False) -> Example:
    """A picture to generate."""
    lay = layout.picture(prompt)
    tokens = np.where((lay.tokens != HOLE) & withhold, NULL_ID, lay.tokens)
    return Layout(tokens, lay.positions), scenes.codes(scene) + FIRST_CODE


def answer(scene: scenes.Scene, question: str, words: str, length: int) -> Example:
    """A question about a picture."""
    return layout.text(question, length, scenes.codes(scene)), _ended(words, length)


def part(scene: scenes.Scene, question: str, words: str, rng: Random) -> Example:
    """A long answer of which the conclusion is asked, or one clause but for a word of it; of all other words a random
    share, more often a large one, is neither known nor asked.

    The bound of whole answers is had, nearly, by telling words from those that are left over; which of them belong to
    one thing, and what the conclusion is, weighs little there and is hardly learnt.
    """
    lay, content = answer(scene, question, words, questions.LONG_LENGTH)
    seen = rng.random(len(content)) < rng.random() ** 2
    if rng.random() < CONCLUSIONS:
        asked = np.array([questions.CLAUSE * len(scene) + CONCLUDED])
    else:
        known, *others = questions.CLAUSE * rng.integers(len(scene)) + rng.permutation(questions.CLAUSE - 1)
        asked = np.sort(others)
        seen[known] = True
    given = np.where(seen, content, VOCABULARY)
    given[asked] = HOLE
    return Layout(lay.filled(given), lay.positions), content[asked]


def clause(scene: scenes.Scene, question: str, words: str, rng: Random) -> Example:
    """One clause of a long answer, a word of which is known, and the picture: nothing else is on the canvas."""
    lay, content = answer(scene, question, words, questions.LONG_LENGTH)
    first = questions.CLAUSE * rng.integers(len(scene))
    given = content.copy()
    given[first + rng.permutation(questions.CLAUSE - 1)[1:]] = HOLE
    where = lay.positions - layout.FIRST_RESPONSE - first
    kept = (lay.positions < layout.PATCHES) | ((where >= 0) & (where < questions.CLAUSE))
    filled = lay.filled(given)
    return Layout(filled[kept], lay.positions[kept]), content[given == HOLE]


def response(prompt: str, words: str) -> Example:
    """A story."""
    return layout.text(prompt, layout.RESPONSE), _ended(words, layout.RESPONSE)


def puzzle(solution: Ids, rng: Random, given: Ids | None = None) -> Example:
    """The empty cells of a solution (n, n), of which random cells, or those of `given` (n, n), are known."""
    if given is None:
        fewest, most = CLUES[len(solution)]
        known = rng.permutation(solution.size).reshape(solution.shape) < rng.integers(fewest, most + 1)
        given = np.where(known, solution, 0)
    return layout.sudoku(given), solution[given == 0] - 1 + FIRST_DIGIT


def _ended(words: str, length: int) -> Ids:
    """The tokens of a text, and end tokens up to `length`."""
    tokens = encode(words)
    return np.array([*tokens, *[EOS_ID] * (length - len(tokens))], dtype=np.int64)
