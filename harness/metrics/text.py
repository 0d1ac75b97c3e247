"""What a text is like, whatever it says: repetition and diversity of its words or tokens."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence


def repetition(text: str, length: int) -> float:
    """Of all sequences of `length` words, the share that stood before in the text; 0 where there are none."""
    words = text.lower().split()
    grams = [tuple(words[i : i + length]) for i in range(len(words) - length + 1)]
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def unigram_entropy(tokens: Sequence[Hashable]) -> float:
    """Entropy of a text's own token frequencies, nats: low for a text that repeats itself; 0 for an empty one.

    Zheng et al. 2024 (arXiv 2409.02908) report it beside generative perplexity, which repetition makes look good.
    """
    total = len(tokens)
    return -sum(count / total * math.log(count / total) for count in Counter(tokens).values())
