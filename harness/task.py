"""What a task is: documents to requests, outputs to scores. It sees no sampler and holds no generative model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import UserError
from harness.picture import Picture

if TYPE_CHECKING:
    import numpy as np

    from harness.spec import ModelSpec, TaskFile, TaskSpec

Metrics = dict[str, Any]
"""Metric key to a number, a bool, or (for detail) a list of them."""
Observations = Mapping[str, "np.ndarray[Any, Any]"]
"""What scorer networks saw: named arrays whose first axis is the output."""


@dataclass(frozen=True)
class Document:
    """One item of a dataset.

    For the statistics, `cluster` groups items that share an image or a source, and `stratum` names the kind of item
    (a tag) where the dataset fixes how many there are of each.
    """

    id: str
    data: Mapping[str, Any] = field(default_factory=dict)
    cluster: str | None = None
    stratum: str | None = None


@dataclass(frozen=True)
class Request:
    """What a model is asked for.

    document      id of the document
    prompt        text of the user's turn, if there is one
    turns         the same as a conversation, a role (`system`, `user`, `assistant`) and a text each, for models with a
                  chat template; a last turn of the assistant is the beginning of its answer. Empty = the prompt alone
    then          further turns of the user, each asked after the answer to the one before
    until         texts that end an answer: the task reads it up to the first of them, so that a model which writes
                  from left to right may stop there
    image         the picture that the prompt is about, if there is one
    length        number of tokens to generate; None where the model fixes it
    condition     class label and the like: name to number
    continuation  a text whose log-likelihood after the prompt is asked for, in place of a text to be written. The row
                  of it has the text's own tokens at its editable positions
    parts         requests with a continuation each, answered together: the choices of a question
    """

    document: str
    prompt: str | None = None
    length: int | None = None
    condition: Mapping[str, float | int] = field(default_factory=dict)
    image: Picture | None = None
    turns: tuple[tuple[str, str], ...] = ()
    then: tuple[str, ...] = ()
    until: tuple[str, ...] = ()
    continuation: str | None = None
    parts: tuple[Request, ...] = ()

    def __post_init__(self) -> None:
        if self.image is not None and not callable(getattr(self.image, "pixels", None)):
            raise UserError(
                f"document {self.document!r}: image is of type {type(self.image).__name__}; give a picture that is "
                "opened when it is needed, such as harness.picture.Drawn(name, function that makes the pixels)."
            )

    @property
    def rows(self) -> tuple[Request, ...]:
        """What a model is asked for one by one: the parts, or the request itself."""
        return self.parts or (self,)


@dataclass(frozen=True)
class Output:
    """What a model produced.

    tokens  the generated tokens, none after the first EOS
    text    their decoding, where they are text
    image   their decoding, where they are a picture: (H, W, 3) uint8 RGB, or the PNG file that holds it
    logp    log-likelihoods of the texts that were to be scored, in nats, where the request has such
    before  the texts of the answers to the turns before the last, where the request has several
    """

    tokens: tuple[int, ...] = ()
    text: str | None = None
    image: np.ndarray[Any, Any] | Path | None = None
    logp: tuple[float, ...] | None = None
    before: tuple[str, ...] = ()


def pixels(output: Output) -> np.ndarray[Any, Any]:
    """(H, W, 3) uint8 RGB: the picture of an output; raises UserError where there is none, or its file is broken."""
    import numpy as np

    image = output.image
    if image is None:
        raise UserError("a picture is needed, and the model's output has none; use a model that makes pictures.")
    if isinstance(image, Path):
        return _read_png(image)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise UserError(
            f"the picture of an output is an array {image.shape} of {image.dtype}, and should be (H, W, 3) of uint8."
        )
    return image


def _read_png(path: Path) -> np.ndarray[Any, Any]:
    import numpy as np
    from PIL import Image

    try:
        with Image.open(path, formats=["PNG"]) as image:
            return np.array(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"{path}: cannot be read as a PNG ({error}). Restore it.") from error


@dataclass(frozen=True)
class Sample:
    """One generated output of one document, as read back from the store."""

    document: Document
    index: int
    output: Output


@dataclass(frozen=True)
class SetMetric:
    """A metric of a whole set of outputs: its value, its standard error where known, and its floor.

    floor  the value that real data, or exact samples of the true distribution, reach at this number of outputs
    parts  one value an output, in their order, with mean `value`, by which it varies like a mean over independent
           outputs (as jackknife pseudo-values do); None where unknown. With them, differences are paired by document
    """

    value: float
    stderr: float | None = None
    floor: float | None = None
    parts: Sequence[float] | None = None


class Task:
    """Base of every task. `task.yaml` holds what is plain data; a subclass in `task.py` holds the rest.

    `settings` are the task's own parameters (defaults from `task.yaml`), `data_dir` a local copy of the data or None,
    `model` the specification of the model under test, for tasks whose truth depends on it (`exact`).
    """

    data_file: str | None = None
    """Where in a data folder the task reads its documents, one JSON object a line, as `document` takes them; None for
    a task that outputs from elsewhere cannot be imported to."""
    observed_by: tuple[str, ...] = ()
    """The scoring settings that `observe` depends on, and `protocol` where it depends on that: observations of other
    values of them are made anew."""
    observed_at_once: int | None = None
    """How many outputs `observe` takes at once, for a task that sees each by itself: what it saw is then stored as it
    goes along, so that nothing is seen twice after an interruption or with more outputs. None = all together."""
    allow_code_execution = False
    """Whether the user allows that scoring runs code which a model wrote (`--allow-code-execution`)."""

    def __init__(
        self,
        file: TaskFile,
        settings: Mapping[str, Any],
        protocol: str,
        data_dir: str | None,
        model: ModelSpec | None,
    ) -> None:
        self.file = file
        self.settings = settings
        self.protocol = protocol
        self.data_dir = data_dir
        self.model = model

    def identity(self) -> TaskSpec:
        """The part of the task that shapes requests, and so belongs to a cell's identity."""
        from harness.spec import TaskSpec

        args = {name: value for name, value in self.settings.items() if name not in self.file.scoring}
        return TaskSpec(name=self.file.name, args=args)

    def check(self) -> None:
        """Raise UserError if data or scorer dependencies are missing; runs before any compute."""

    def check_observers(self) -> None:
        """Raise UserError if what `observe` runs cannot be had; before anything is generated, or observed."""

    def check_requests(self, documents: Sequence[Document]) -> None:
        """Raise UserError if what `request` shows the model of these cannot be had; before anything is generated."""

    def scoring_state(self) -> str:
        """Hash of what scores depend on beside outputs and settings, such as the content of a reference file."""
        return ""

    def data_hash(self) -> str:
        """Hash of the documents' content, part of the cell's identity. Default: the hash of `documents()`."""
        from harness.spec import content_hash

        return content_hash([[document.id, dict(document.data)] for document in self.documents()])

    def documents(self) -> Sequence[Document]:
        """All documents, in a fixed order; `--limit n` takes the first n."""
        raise NotImplementedError

    def document(self, row: Mapping[str, Any], where: str) -> Document:
        """The document of one row of `data_file`; its own data are such a row too. `where` begins the error message."""
        raise NotImplementedError

    def request(self, document: Document) -> Request:
        """What to ask the model for this document."""
        raise NotImplementedError

    def observe(self, samples: Sequence[Sample]) -> Observations:
        """What scorer networks see in the outputs, row by row; stored, so that re-scoring runs no network."""
        return {}

    def score(self, sample: Sample, observation: Mapping[str, Any]) -> Metrics:
        """Metrics of one output, given its row of what `observe` returned (empty where it returns nothing).

        The harness averages the numbers among the metrics declared in `task.yaml`.
        """
        return {}

    def aggregate(self, samples: Sequence[Sample], observations: Observations) -> dict[str, SetMetric]:
        """Metrics that belong to the whole set and are no mean over outputs, such as a Fréchet distance."""
        return {}


class Slots(Task):
    """Base of tasks that ask a model `count` times for the same: their documents are numbered empty slots."""

    def documents(self) -> Sequence[Document]:
        """Numbered empty slots, one an output."""
        return [Document(f"{slot:04}") for slot in range(self.settings["count"])]

    def data_hash(self) -> str:
        """The slots carry no data, so their number is no part of it: a larger `count` adds to the same cells."""
        return "slots"

    def check_count(self) -> None:
        """Raise UserError for a `count` below 2, of which no distribution can be told."""
        count = self.settings["count"]
        if isinstance(count, bool) or not isinstance(count, int) or count < 2:
            raise UserError(f"task {self.file.name}: count={count!r} must be a whole number of at least 2.")
