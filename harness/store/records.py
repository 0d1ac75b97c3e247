"""What is kept of a sample, and its form as a line of JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from harness.errors import UserError
from harness.store.files import Lines, encode
from harness.store.images import encode_image, image_file, is_reference, reference
from harness.store.spelling import spell
from harness.task import Output

Cost = Mapping[str, int | float | None]
"""What a sample cost, by name (`depth`, `nfe`, `nfe_nominal`, `token_forwards`, `flops`, `output_tokens`); None
where it is unknown."""


class SampleKey(NamedTuple):
    """What a sample is kept under: the id of its document, and its index within it."""

    document: str
    sample: int


@dataclass(frozen=True)
class GenerationRecord:
    """A sample to be committed; `trace` is any JSON value."""

    key: SampleKey
    output: Output
    cost: Cost | None = None
    trace: Any = None


def line(key: SampleKey, **fields: Any) -> bytes:
    """The canonical JSON of the fields of a sample."""
    return encode({"document": key.document, "sample": key.sample, **fields})


@dataclass(frozen=True)
class Batch:
    """What a batch puts on disk, in this order: pictures by file, lines by the name of their file."""

    images: Mapping[str, bytes]
    lines: Mapping[str, Sequence[bytes]]


def batch(records: Sequence[GenerationRecord]) -> Batch:
    """A batch as it is written; raises ValueError for a cost that is not finite, UserError for a bad picture."""
    images: dict[str, bytes] = {}
    files: dict[str, list[bytes]] = {"costs": [], "traces": [], "generations": []}
    for record in records:
        if record.cost is not None:
            if not all(value is None or math.isfinite(value) for value in record.cost.values()):
                raise ValueError(f"cost of {record.key} is not finite: {dict(record.cost)}")
            files["costs"].append(line(record.key, cost=dict(record.cost)))
        if record.trace is not None:
            files["traces"].append(line(record.key, trace=record.trace))
        fields: dict[str, Any] = {"tokens": record.output.tokens, "text": record.output.text}
        if record.output.image is not None:
            file = image_file(*record.key)
            images[file] = encode_image(record.output)
            fields["image"] = reference(file, images[file])
        if record.output.logp is not None:
            fields["logp"] = spell(record.output.logp)
        if record.output.before:
            fields["before"] = record.output.before
        files["generations"].append(line(record.key, **fields))
    return Batch(images, {name: lines for name, lines in files.items() if lines})


def values(lines: Lines, field: str) -> dict[SampleKey, Any]:
    """The field by sample; the last line of a sample counts."""
    return {_key(lines, number, record, field): record[field] for number, record in enumerate(lines.records, 1)}


def generations(lines: Lines) -> dict[SampleKey, dict[str, Any]]:
    """The generation lines by sample; raises UserError where two lines tell different things of one sample."""
    found: dict[SampleKey, dict[str, Any]] = {}
    for number, record in enumerate(lines.records, 1):
        key = _key(lines, number, record, "tokens", "text")
        if not isinstance(record["tokens"], list):
            raise UserError(f"{lines.path}, line {number}: 'tokens' is {record['tokens']!r}, should be a list.")
        if "image" in record and not is_reference(record["image"]):
            raise UserError(
                f"{lines.path}, line {number}: 'image' is {record['image']!r}, should be the 'file' and 'sha256' of a "
                "PNG in images/. Nothing was changed: restore the line."
            )
        if found.setdefault(key, record) != record:
            raise UserError(
                f"{lines.path}, line {number}: document {key.document!r}, sample {key.sample} was committed "
                "before, with another output. Nothing was changed: remove the line that does not belong to this cell."
            )
    return found


def _key(lines: Lines, number: int, record: Mapping[str, Any], *fields: str) -> SampleKey:
    for name in ("document", "sample", *fields):
        if name not in record:
            raise UserError(f"{lines.path}, line {number}: {name!r} is missing. Nothing was changed: restore the line.")
    key = SampleKey(record["document"], record["sample"])
    if not (isinstance(key.document, str) and isinstance(key.sample, int)):
        raise UserError(f"{lines.path}, line {number}: {key} should be a document id (text) and a whole number.")
    return key
