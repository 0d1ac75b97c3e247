"""CLIPScore of pictures and prompts against torchmetrics, and the prompt sets of benchmarks."""

import hashlib
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from image_checkpoints import write_clip
from torchmetrics.functional.multimodal import clip_score as official

from harness.catalogue import Catalogue
from harness.errors import UserError
from harness.spec import TaskSpec
from harness.task import Output, Sample

PROMPTS = ["a photo of a red bench", "two black cats above a dog", "a dog " * 40, "bench"]


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return str(write_clip(tmp_path_factory.mktemp("clip")))


@pytest.fixture
def prompts(tmp_path):
    (tmp_path / "p.txt").write_text("\n".join(PROMPTS))
    return str(tmp_path / "p.txt")


def make_task(name="clip_score", protocol=None, data_dir=None, **settings):
    return Catalogue().task(TaskSpec(name=name, args=settings, protocol=protocol), data_dir and str(data_dir), None)


def pictures(count):
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (40 + 5 * i, 48, 3), dtype=np.uint8) // (i + 1) for i in range(count)]


def scores(task, shown):
    samples = [Sample(d, 0, Output(image=p)) for d, p in zip(task.documents(), shown, strict=True)]
    seen = task.observe(samples)
    return [task.score(s, {name: array[i] for name, array in seen.items()}) for i, s in enumerate(samples)]


def torchmetrics_score(clip, picture, text):
    from transformers import AutoTokenizer, CLIPImageProcessor, CLIPModel

    class Tensors(torch.nn.Module):
        """torchmetrics takes features as tensors, which transformers 5 no longer returns."""

        def __init__(self):
            super().__init__()
            self.model = CLIPModel.from_pretrained(clip).eval()
            self.config = self.model.config

        def get_image_features(self, *arguments):
            return self.model.get_image_features(*arguments).pooler_output

        def get_text_features(self, *arguments):
            return self.model.get_text_features(*arguments).pooler_output

    parts = CLIPImageProcessor.from_pretrained(clip), AutoTokenizer.from_pretrained(clip)
    with torch.no_grad():
        return float(official(torch.from_numpy(picture).permute(2, 0, 1), text, lambda: (Tensors(), _both(*parts))))


def _both(images, words):
    def process(text=None, images_=None, **settings):
        pixels = settings.pop("images", None)
        return words(text, **settings) if text is not None else images(pixels, return_tensors="pt")

    return process


def test_the_cosine_is_that_of_torchmetrics(clip, prompts):
    task = make_task(prompts=prompts, clip=clip)
    task.check()
    task.check_observers()
    shown = pictures(4)
    found = scores(task, shown)
    assert [each["cut"] for each in found] == [False, False, True, False]
    for score, picture, prompt in zip(found, shown, PROMPTS, strict=True):
        expected = torchmetrics_score(clip, picture, prompt)
        if not score["cut"]:  # torchmetrics cuts off the end of text too
            assert max(score["clip_score"], 0) == pytest.approx(expected, abs=1e-3)
    assert len({round(each["clip_score"], 3) for each in found}) == 4


def test_clipscore_is_two_and_a_half_times_the_cosine_after_its_prefix(clip, tmp_path, prompts):
    shown = pictures(4)
    (tmp_path / "prefixed.txt").write_text("\n".join("A photo depicts " + prompt for prompt in PROMPTS))
    cosine = scores(make_task(prompts=str(tmp_path / "prefixed.txt"), clip=clip), shown)
    found = scores(make_task(prompts=prompts, clip=clip, protocol="clipscore"), shown)
    for one, other in zip(found, cosine, strict=True):
        assert one["clip_score"] == pytest.approx(2.5 * max(other["clip_score"], 0) / 100, abs=1e-6)


def test_prompts_must_be_given():
    with pytest.raises(UserError, match="clip_score:prompts=FILE"):
        make_task().check()


def test_dpg_bench_is_read_from_a_clone(tmp_path):
    with pytest.raises(UserError, match=r"there is no dpg_bench/prompts .*git clone https://github.com/TencentQQGYLab"):
        make_task("dpg_bench", data_dir=tmp_path).check()
    (tmp_path / "dpg_bench" / "prompts").mkdir(parents=True)
    (tmp_path / "dpg_bench" / "prompts" / "0.txt").write_text("A field.\n")
    with pytest.raises(UserError, match=r"the 1 prompts in .* are not the 1,065 of DPG-Bench"):
        make_task("dpg_bench", data_dir=tmp_path).check()


def test_the_published_prompts_of_dpg_bench():
    folder = os.environ.get("MDM_HARNESS_DATA")
    if not folder or not (Path(folder) / "dpg_bench" / "prompts").is_dir():
        pytest.skip("the prompts of DPG-Bench are not in MDM_HARNESS_DATA")
    task = make_task("dpg_bench", data_dir=folder)
    task.check()
    assert len(task.documents()) == 1065


def test_categories_of_t2i_compbench_take_turns_and_have_scores_of_their_own(clip, tmp_path):
    task = make_task("t2i_compbench", data_dir=tmp_path, clip=clip)
    for place, category in enumerate(type(task).FILES):
        (tmp_path / f"{category}_val.txt").write_bytes(f"a {category} dog\r\nanother\r\n".encode()[: 30 - place])
    documents = task.documents()
    assert Counter(d.stratum for d in documents[:8]) == dict.fromkeys(type(task).FILES, 1)
    assert task.request(documents[0]).prompt == "a color dog"
    task = make_task("t2i_compbench", data_dir=tmp_path, clip=clip)
    for document, score in zip(task.documents(), scores(task, pictures(len(documents))), strict=True):
        assert score[document.stratum] == score["clip_score"]
    assert {metric.key for metric in task.file.metrics} == {"clip_score", "cut", *type(task).FILES}


def test_prompts_of_t2i_compbench_are_downloaded_by_their_hash(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("MDM_HARNESS_DATA", raising=False)
    task = make_task("t2i_compbench")
    content = b"a red dog\r\na blue cat\r\n"
    for category in type(task).FILES:
        (tmp_path / f"{category}_val.txt").write_bytes(content)
    monkeypatch.setattr(type(task), "ROOT", tmp_path.as_uri())
    with pytest.raises(UserError, match=r"task t2i_compbench needs the file color_val.txt.*SHA-256 1634259756"):
        task.check()
    digest = hashlib.sha256(content).hexdigest()
    monkeypatch.setattr(type(task), "FILES", dict.fromkeys(type(task).FILES, digest))
    assert len(make_task("t2i_compbench").documents()) == 16
