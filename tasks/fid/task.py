"""Pictures as a set against real ones: FID and its like, of classes or of captions."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from harness.dataset import Dataset, data_folder, read_prompts
from harness.errors import UserError
from harness.metrics.dinov2 import Dinov2
from harness.metrics.inception import Inception
from harness.metrics.inception_score import SPLITS, inception_score
from harness.metrics.likeness import LEAST, likeness
from harness.metrics.real_pictures import Real, check_real, fingerprint, load_real, size_of
from harness.task import Document, Observations, Request, Sample, SetMetric, Task, pixels

log = logging.getLogger(__name__)


class Fid(Task):
    """`count` pictures: of `classes` in turn, or of the lines of `prompts`; the protocol names resize and network."""

    observed_by = ("protocol", "inception", "dinov2")
    observed_at_once = 256

    @cached_property
    def _network(self) -> Inception | Dinov2:
        if self.protocol == "dinov2":
            return Dinov2(self.settings["dinov2"])
        folder = data_folder(self.data_dir)
        folders = [] if folder is None else [folder, folder / "inception"]
        return Inception(self.protocol, self.settings["inception"], folders, f"task {self.file.name}")

    @cached_property
    def _real(self) -> Real:
        return load_real(self.settings["reference"], self._network)

    @cached_property
    def _documents(self) -> Sequence[Document]:
        if self.settings["prompts"]:
            prompts = read_prompts(self.settings["prompts"], f"task {self.file.name}")[: self.settings["count"]]
            return [Document(name, {"prompt": prompt}) for name, prompt in prompts]
        classes = self.settings["classes"]
        width = len(str(self.settings["count"] - 1))
        return [Document(f"{i:0{width}d}", {"label": i % classes}) for i in range(self.settings["count"])]

    def check(self) -> None:
        """Raise UserError where settings are out of range, or there are no real pictures to compare with."""
        where = f"task {self.file.name}"
        if self.settings["count"] < LEAST or self.settings.get("classes", 1) < 1:
            raise UserError(f"{where}: count must be at least {LEAST}, and classes at least 1.")
        if not self.settings["reference"]:
            raise UserError(
                f"{where}: reference must be a folder of real pictures, or an .npz file of their statistics "
                f"(`mu` and `sigma`) under the same protocol, {self.protocol}: {self.file.name}:reference=PATH."
            )
        if self.settings["sizes"] not in ("one", "any"):
            raise UserError(f"{where}: sizes is {self.settings['sizes']!r}; it can be one or any.")
        check_real(self.settings["reference"], f"{where}, reference", self.settings["sizes"] == "any")
        _ = self._documents

    def check_observers(self) -> None:
        """Raise UserError where the network cannot be had."""
        self._network.check()

    def scoring_state(self) -> str:
        """Changes with the real pictures."""
        return fingerprint(self.settings["reference"])

    def documents(self) -> Sequence[Document]:
        """Classes in turn, or prompts."""
        return self._documents

    def request(self, document: Document) -> Request:
        """A picture of a class, or of a prompt."""
        if "prompt" in document.data:
            return Request(document.id, prompt=document.data["prompt"])
        return Request(document.id, condition={"label": document.data["label"]})

    def observe(self, samples: Sequence[Sample]) -> Observations:
        """(n, d) `features`, and of the original Inception network (n, 1008) `probabilities`."""
        return self._network.see([pixels(sample.output) for sample in samples])

    def aggregate(self, samples: Sequence[Sample], observations: Observations) -> dict[str, SetMetric]:
        """What a set of at least four pictures has; the Inception score needs twenty."""
        features = observations.get("features", np.zeros((0, 1)))
        if len(features) < LEAST:
            return {}
        if features.shape[1] != len(self._real.mean):
            raise UserError(
                f"task {self.file.name}: reference {self.settings['reference']} has {len(self._real.mean)} features, "
                f"and pictures have {features.shape[1]} under the protocol {self.protocol}: it is of another network."
            )
        self._warn_of_few(*features.shape)
        self._warn_of_sizes(samples[0])
        metrics = likeness(features, self._real)
        if "probabilities" in observations and len(features) >= 2 * SPLITS:
            metrics["inception_score"] = SetMetric(*inception_score(observations["probabilities"]))
        return metrics

    def _warn_of_few(self, made: int, width: int) -> None:
        real = self._real.features
        counts = {"pictures": made, **({} if real is None else {"real pictures": len(real)})}
        for what, count in counts.items():
            if count <= width:
                log.warning("%s@%s: %d %s for %d features: their covariance is singular and the distance far too "
                            "large; compare it with sets of as many pictures only",
                            self.file.name, self.protocol, count, what, width)  # fmt: skip

    def _warn_of_sizes(self, sample: Sample) -> None:
        height, width = pixels(sample.output).shape[:2]
        made, real = f"{width} x {height}", size_of(self.settings["reference"])
        if real not in (None, made):
            log.warning("%s@%s: pictures are %s pixels (width x height) and the real ones %s: both are resized to the "
                        "square that the network sees, and the distance has the difference in sharpness in it",
                        self.file.name, self.protocol, made, real)  # fmt: skip


class FidCoco(Fid):
    """Captions of COCO's validation pictures of 2014: the first of each, in an order drawn once."""

    @cached_property
    def _documents(self) -> Sequence[Document]:
        path = COCO.path(self.data_dir)
        try:
            rows = json.loads(path.read_bytes())["annotations"]
            first: dict[int, tuple[int, str]] = {}
            for row in rows:
                found = int(row["id"]), " ".join(str(row["caption"]).split())
                first[int(row["image_id"])] = min(found, first.get(int(row["image_id"]), found))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path} is no file of COCO's captions ({type(error).__name__}: {error}).") from error
        pictures = sorted(first)
        order = np.random.default_rng(0).permutation(len(pictures))[: self.settings["count"]]
        return [Document(f"{pictures[i]:012d}", {"prompt": first[pictures[i]][1]}) for i in order]


COCO = Dataset(
    task="fid_coco",
    file="coco/captions_val2014.json",
    source="http://images.cocodataset.org/annotations/annotations_trainval2014.zip",
)
