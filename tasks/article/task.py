"""Articles of several sections: what is said is free, how it is laid out is not, and a program can tell."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from harness.errors import UserError
from harness.metrics.text import repetition
from harness.task import Document, Metrics, Request, Sample, Task

TOPICS = (
    *("lighthouses", "bicycles", "bread", "volcanoes", "libraries", "bees", "tea", "bridges", "maps", "trains"),
    *("gardens", "clocks", "whales", "glaciers", "markets", "kites", "owls", "paper", "salt", "windmills"),
)
HEADINGS = (
    *("Introduction", "History", "How it works", "In daily life", "Around the world", "Costs", "Risks", "Benefits"),
    *("Myths", "Famous examples", "What experts say", "Open questions", "Advice for beginners", "The future"),
)
WORDS = (
    *("river", "morning", "careful", "machine", "children", "winter", "measure", "colour", "quiet", "village"),
    *("danger", "letter", "stone", "energy", "habit", "market", "surprise", "teacher", "silver", "journey"),
)
ENDINGS = ("That is all for now.", "And so the story goes on.", "Now it is your turn.", "The rest is up to you.")
PROMPT = """Write an article about {topic}. Follow all of these instructions.
- The article has {sections} sections. Each begins with a line of two number signs, a blank and its heading: {headings}, in this order.
- Each section has at least {fewest} and at most {most} words, its heading not counted.
- {words}.
- The section "{listed}" holds a list of exactly {items} items, each on a line that begins with a hyphen and a blank. No other section holds such a line.
- The article ends with the sentence: {ending}"""  # noqa: E501


class Article(Task):
    """A document is a topic, the headings, a word for each section, where a list belongs, and the last sentence.

    `followed`: the share of the instructions that an article follows: the headings, each section's length and word, the
    list, and the ending. The others are parts of it. A section that is missing follows nothing.
    `repetition`: of all sequences of four words, the share that stood before in the article.
    """

    @cached_property
    def _documents(self) -> Sequence[Document]:
        sections, rng = self.settings["sections"], random.Random(f"article {self.settings['seed']}")
        documents = []
        for index in range(self.settings["count"]):
            data = {
                "topic": rng.choice(TOPICS),
                "headings": rng.sample(HEADINGS, sections),
                "words": rng.sample(WORDS, sections),
                "listed": rng.randrange(sections),
                "items": rng.randint(3, 5),
                "ending": rng.choice(ENDINGS),
            }
            documents.append(Document(f"{index:04d}", data))
        return documents

    def check(self) -> None:
        """Raise UserError for settings out of range."""
        fewest = self.settings["fewest_words"]
        ranges = {"count": (1, 10_000), "sections": (1, len(HEADINGS)), "fewest_words": (20, 1000)}
        for name, (low, high) in {**ranges, "most_words": (fewest, 2000), "seed": (0, 2**32)}.items():
            if not low <= self.settings[name] <= high:
                raise UserError(f"task article: {name} is {self.settings[name]}; it must be from {low} to {high}.")

    def documents(self) -> Sequence[Document]:
        """`count` requests, ids `0000`, `0001`, …; a larger count begins with the same."""
        return self._documents

    def request(self, document: Document) -> Request:
        """The topic and the instructions."""
        data = document.data
        pairs = zip(data["headings"], data["words"], strict=True)
        prompt = PROMPT.format(
            topic=data["topic"],
            sections=len(data["headings"]),
            headings=", ".join(f'"{heading}"' for heading in data["headings"]),
            fewest=self.settings["fewest_words"],
            most=self.settings["most_words"],
            words="; ".join(f'The section "{heading}" uses the word "{word}"' for heading, word in pairs),
            listed=data["headings"][data["listed"]],
            items=data["items"],
            ending=data["ending"],
        )
        return Request(document.id, prompt=prompt, length=self.settings["max_tokens"])

    def score(self, sample: Sample, observation: Mapping[str, Any]) -> Metrics:
        """The metrics of an article, each between 0 and 1."""
        text, data = sample.output.text, sample.document.data
        if text is None:
            raise UserError("task article scores text, and the model's output has none; use a text model.")
        found = _sections(text)
        bodies = [next((body for title, body in found if title == heading), None) for heading in data["headings"]]
        low, high = self.settings["fewest_words"], self.settings["most_words"]
        lengths = [body is not None and low <= len(body.split()) <= high for body in bodies]
        words = [
            body is not None and re.search(rf"\b{re.escape(word)}\b", body, re.IGNORECASE) is not None
            for word, body in zip(data["words"], bodies, strict=True)
        ]
        items = [len(re.findall(r"^- \S", body, re.MULTILINE)) for _, body in found]
        parts = {
            "headings": [[title for title, _ in found] == data["headings"]],
            "lengths": lengths,
            "words": words,
            "list": [_only(found, items, data["headings"][data["listed"]], data["items"])],
            "ending": [text.rstrip().endswith(data["ending"])],
        }
        every = [one for part in parts.values() for one in part]
        shares = {name: sum(part) / len(part) for name, part in parts.items()}
        return {
            "followed": sum(every) / len(every),
            "all": all(every),
            **shares,
            "repetition": repetition(text, 4),
        }


def _sections(text: str) -> list[tuple[str, str]]:
    """Heading and body of each section."""
    parts = re.split(r"^##[ \t]+(.+?)[ \t]*$", text, flags=re.MULTILINE)[1:]
    return list(zip(parts[::2], parts[1::2], strict=True))


def _only(sections: Sequence[tuple[str, str]], items: Sequence[int], heading: str, count: int) -> bool:
    """Whether the section of this heading has `count` items of a list, and no other section has any."""
    return [found for found in zip((title for title, _ in sections), items, strict=True) if found[1]] == [
        (heading, count)
    ]
