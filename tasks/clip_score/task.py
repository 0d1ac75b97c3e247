"""Pictures of prompts, and how near CLIP puts the two. The prompt sets of benchmarks are subclasses.

DPG-Bench's judge is mPLUG, T2I-CompBench's are BLIP-VQA, UniDet and others: none of them is part of this harness. Their
prompts are asked, the pictures are stored, and CLIPScore is what is told of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.dataset import Dataset, data_folder, read_prompts
from harness.errors import UserError
from harness.metrics.clip import Clip
from harness.metrics.clip_score import clip_score
from harness.spec import content_hash
from harness.task import Document, Metrics, Observations, Request, Sample, Task, pixels

NETWORKS = {"cosine": "openai/clip-vit-large-patch14", "clipscore": "openai/clip-vit-base-patch32"}
"""Protocol to the network that it is usually taken with."""
PREFIX = "A photo depicts "
"""What CLIPScore's authors write before a caption."""
WEIGHTS = {"cosine": 100.0, "clipscore": 2.5}


class ClipScore(Task):
    """A picture of each prompt in the file `prompts`."""

    observed_by = ("protocol", "clip")
    observed_at_once = 64

    @cached_property
    def _clip(self) -> Clip:
        return Clip(self.settings["clip"] or NETWORKS[self.protocol])

    @cached_property
    def _documents(self) -> Sequence[Document]:
        if not self.settings["prompts"]:
            raise UserError(
                "task clip_score: prompts must be a file, of one prompt a line or of JSON lines "
                '{"id": …, "prompt": …}: clip_score:prompts=FILE.'
            )
        prompts = read_prompts(self.settings["prompts"], "task clip_score")
        return [Document(name, {"prompt": prompt}) for name, prompt in prompts]

    def check(self) -> None:
        """Raise UserError where the prompts are not there."""
        _ = self._documents

    def check_observers(self) -> None:
        """Raise UserError where CLIP cannot be had."""
        self._clip.check()

    def documents(self) -> Sequence[Document]:
        """The prompts."""
        return self._documents

    def request(self, document: Document) -> Request:
        """The prompt."""
        return Request(document.id, prompt=document.data["prompt"])

    def observe(self, samples: Sequence[Sample]) -> Observations:
        """(n, d) embeddings of the `picture` and of the `text`, and whether CLIP reads the text only in part."""
        prefix = PREFIX if self.protocol == "clipscore" else ""
        texts = [prefix + sample.document.data["prompt"] for sample in samples]
        return {
            "picture": self._clip.pictures([pixels(sample.output) for sample in samples]),
            "text": self._clip.texts(texts),
            "cut": self._clip.too_long(texts),
        }

    def score(self, sample: Sample, observation: Mapping[str, Any]) -> Metrics:
        """`clip_score`, by stratum too where there are several, and `cut`."""
        score = self._score(observation["picture"], observation["text"])
        found = {"clip_score": score, "cut": bool(observation["cut"])}
        return found if sample.document.stratum is None else {**found, sample.document.stratum: score}

    def _score(self, picture: NDArray[np.float32], text: NDArray[np.float32]) -> float:
        if self.protocol == "clipscore":
            return float(clip_score(picture[None], text[None], WEIGHTS["clipscore"])[0])
        return WEIGHTS["cosine"] * float(picture.astype(np.float64) @ text.astype(np.float64))


class DpgBench(ClipScore):
    """1,065 dense prompts (Hu et al. 2024, ELLA, arXiv:2403.05135), a file each, which is the id."""

    FOLDER = "dpg_bench/prompts"
    SOURCE = "https://github.com/TencentQQGYLab/ELLA"
    PROMPTS = "ec6b5e85daef8a51"
    """Hash of the ids and texts as published at 3c228f1, white space as one blank."""

    @cached_property
    def _documents(self) -> Sequence[Document]:
        folder = data_folder(self.data_dir)
        files = [] if folder is None else sorted((folder / self.FOLDER).glob("*.txt"))
        if not files:
            raise UserError(
                f"task dpg_bench: there is no {self.FOLDER} with *.txt in the data folder "
                f"{folder or '(none is given)'}. Get it with `git clone {self.SOURCE}`, and pass the clone as "
                "--data-dir."
            )
        prompts = sorted((file.stem, " ".join(file.read_text(encoding="utf-8").split())) for file in files)
        if content_hash([list(each) for each in prompts]) != self.PROMPTS:
            raise UserError(
                f"task dpg_bench: the {len(prompts)} prompts in {folder}/{self.FOLDER} are not the 1,065 of DPG-Bench. "
                f"Get them anew from {self.SOURCE}, or ask your own with the task clip_score."
            )
        return [Document(name, {"prompt": prompt}) for name, prompt in prompts]


class T2ICompBench(ClipScore):
    """300 validation prompts in each of eight categories (Huang et al. 2023, arXiv:2307.06350); they take turns."""

    ROOT = "https://raw.githubusercontent.com/Karine-Huang/T2I-CompBench/1b7094991a57f3c22abdd4f6e8ba6c1a15517073/examples/dataset"
    FILES: Mapping[str, str] = {
        "color": "1634259756dbc77d13093d907d414480080ec9790a8c97ad09efaea7b2534f2d",
        "shape": "37e1a276906c7ea9516cbd7ac8501be896006c0c17ca7344f260562834455bae",
        "texture": "fbb5363515b4a28009e360afaaaf389d2dd2289e50dbb0c6ef4ea0c7fe4f3d4f",
        "spatial": "8707a1d7e42ce3002d95363cf55f74bd043c843ae27108f5125aaaa7840ca988",
        "3d_spatial": "c9953597315f36a5fcb41291bb19bdc6ab5f64a0fa760d691b4854a73f5d1fe9",
        "non_spatial": "04c56cc9ac441dc9ea6c5157652058bd1635b5308526dd31bb29a1caab9a758d",
        "numeracy": "dad8df141604b70ba7554bec724e3db0a80023680769b5c514854ea2d2527bbe",
        "complex": "1b808018b8d9916db3d47d5aa2ef18377a3549a56901a474156f799824cdf3b4",
    }
    """Category to the SHA-256 of its file."""

    @cached_property
    def _documents(self) -> Sequence[Document]:
        found = []
        for category, digest in self.FILES.items():
            name = f"{category}_val.txt"
            file = Dataset("t2i_compbench", f"t2i_compbench/{name}", f"{self.ROOT}/{name}", sha256=digest)
            prompts = read_prompts(str(file.path(self.data_dir)), "task t2i_compbench")
            found.append([Document(f"{category}_{number}", {"prompt": prompt, "category": category}, stratum=category)
                          for number, prompt in prompts])  # fmt: skip
        longest = max(map(len, found))
        return [documents[turn] for turn in range(longest) for documents in found if turn < len(documents)]
