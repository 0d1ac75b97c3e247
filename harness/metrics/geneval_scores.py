"""GenEval's score of a set of pictures: the mean over tags, with its error."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from harness.metrics.clustered import clustered_mean
from harness.metrics.geneval import TAGS, overall
from harness.task import Sample, SetMetric


def mean_over_tags(samples: Sequence[Sample], correct: Sequence[bool]) -> SetMetric | None:
    """GenEval's score of pictures, of which each is correct or not; None while a tag has no picture.

    For the error, tags are strata and documents clusters.
    """
    verdicts: dict[str, dict[str, list[bool]]] = {tag: defaultdict(list) for tag in TAGS}
    found = [(sample.document.data["tag"], right) for sample, right in zip(samples, correct, strict=True)]
    for sample, (tag, right) in zip(samples, found, strict=True):
        verdicts[tag][sample.document.id].append(right)
    if not all(verdicts.values()):
        return None
    tags = {
        tag: clustered_mean([sum(each) for each in of.values()], [len(each) for each in of.values()])
        for tag, of in verdicts.items()
    }
    errors = [tag.stderr for tag in tags.values() if tag.stderr is not None]
    stderr = float(np.linalg.norm(errors)) / len(tags) if len(errors) == len(tags) else None
    value = overall({name: tag.value for name, tag in tags.items()})
    weights = {tag: len(found) / len(tags) / sum(map(len, of.values())) for tag, of in verdicts.items()}
    parts = [value + weights[tag] * (right - tags[tag].value) for tag, right in found]
    return SetMetric(value, stderr, parts=parts)
