"""The task geneval: its prompts, what is seen in pictures by tiny random networks, and its verdicts."""

import hashlib
import json
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from image_checkpoints import write_clip, write_mask2former
from PIL import Image

from harness import dataset
from harness.catalogue import Catalogue
from harness.errors import UserError
from harness.metrics.clip import Clip
from harness.metrics.coco import CLASSES
from harness.metrics.geneval import COLOURS, TAGS, judge
from harness.metrics.geneval_colours import ColourNamer, cut_out, sentences
from harness.spec import TaskSpec
from harness.task import Output, Sample

ROWS = [
    {"tag": "single_object", "include": [{"class": "bench", "count": 1}], "prompt": "a photo of a bench"},
    {"tag": "two_object", "include": [{"class": "bench", "count": 1}, {"class": "dog", "count": 1}],
     "prompt": "a photo of a bench and a dog"},
    {"tag": "counting", "include": [{"class": "cat", "count": 2}], "exclude": [{"class": "cat", "count": 3}],
     "prompt": "a photo of two cats"},
    {"tag": "colors", "include": [{"class": "dog", "count": 1, "color": "red"}], "prompt": "a photo of a red dog"},
    {"tag": "position", "include": [{"class": "dog", "count": 1},
                                    {"class": "cat", "count": 1, "position": ["above", 0]}],
     "prompt": "a photo of a cat above a dog"},
    {"tag": "color_attr", "include": [{"class": "dog", "count": 1, "color": "blue"},
                                      {"class": "cat", "count": 1, "color": "black"}],
     "prompt": "a photo of a blue dog and a black cat"},
]  # fmt: skip


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    root = tmp_path_factory.mktemp("networks")
    return {"detector": str(write_mask2former(root / "detector", sharpness=60)), "clip": str(write_clip(root / "clip"))}


@pytest.fixture
def data(tmp_path):
    (tmp_path / "geneval").mkdir()
    (tmp_path / "geneval" / "evaluation_metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return tmp_path


def make_task(data, protocol=None, **settings):
    task = Catalogue().task(TaskSpec(name="geneval", args=settings, protocol=protocol), str(data), None)
    task.check()
    return task


def official():
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    folder = Path(os.environ.get("MDM_HARNESS_DATA", beside))
    if not (folder / "geneval" / "evaluation_metadata.jsonl").is_file():
        pytest.skip(f"GenEval's prompts are not in {folder} (set MDM_HARNESS_DATA)")
    return folder


def test_the_official_prompts():
    task = make_task(official())
    documents = task.documents()
    counts = dict(zip(TAGS, (80, 99, 80, 94, 100, 100), strict=True))
    assert Counter(document.stratum for document in documents) == counts
    assert [document.stratum for document in documents[:12]] == [*TAGS, *TAGS]
    assert sorted(document.id for document in documents) == [f"{number:05d}" for number in range(553)]
    assert task.request(documents[0]).prompt == "a photo of a bench"
    names = (official() / "geneval" / "object_names.txt").read_text().splitlines()
    assert names == list(CLASSES)


def test_prompts_are_downloaded_and_checked(tmp_path, monkeypatch, data):
    task = Catalogue().task(TaskSpec(name="geneval"), None, None)
    module = __import__(type(task).__module__, fromlist=["DATASET"])
    file = data / "geneval" / "evaluation_metadata.jsonl"
    monkeypatch.delenv("MDM_HARNESS_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    there = replace(module.DATASET, source=file.as_uri())
    monkeypatch.setattr(module, "DATASET", there)
    with pytest.raises(UserError, match=rf"task geneval needs the file .*hash.*{file.as_uri()} \(SHA-256 5c48e0"):
        task.check()
    good = replace(there, sha256=hashlib.sha256(file.read_bytes()).hexdigest())
    monkeypatch.setattr(module, "DATASET", good)
    assert len(task.documents()) == len(ROWS)
    file.unlink()
    assert len(Catalogue().task(TaskSpec(name="geneval"), None, None).documents()) == len(ROWS)  # from the cache
    assert isinstance(good, dataset.Dataset)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tag": "colour"}, "line 1: `tag` must be one of single_object"),
        ({"prompt": " "}, "line 1: `prompt` must be a text"),
        ({"include": []}, "line 1: `include` must be a list"),
        ({"include": [{"class": "unicorn", "count": 1}]}, "thing 1: needs a `class` of COCO"),
        ({"include": [{"class": "dog", "count": "1"}]}, "thing 1: needs a `class` of COCO and a `count`"),
        ({"include": [{"class": "dog", "count": 1, "color": "teal"}]}, "`color` must be one of red"),
        ({"include": [{"class": "dog", "count": 1, "position": ["above", 0]}]}, "`position` must be one of left of"),
        ({"index": -1}, "`index` must be the number of the prompt"),
    ],
)
def test_a_bad_row_is_named(data, change, message):
    file = data / "geneval" / "evaluation_metadata.jsonl"
    file.write_text(json.dumps({**ROWS[0], **change}) + "\n")
    with pytest.raises(UserError, match=message):
        make_task(data)


def noise(seed, size=(40, 48)):
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def test_what_is_cut_out_is_what_the_official_code_shows_clip():
    picture, box = noise(0), np.array([3, 5, 31, 20], np.float32)
    mask = np.random.default_rng(1).random((40, 48)) < 0.5
    blank = Image.new("RGB", (48, 40), color="#999")
    theirs = Image.composite(Image.fromarray(picture), blank, Image.fromarray(mask)).crop(tuple(box))
    assert np.array_equal(cut_out(picture, box, mask), np.array(theirs))


def test_colours_are_those_of_the_nearest_mean_of_three_sentences(networks):
    from transformers import AutoTokenizer, CLIPImageProcessor, CLIPModel

    model = CLIPModel.from_pretrained(networks["clip"]).eval()
    words, shown = AutoTokenizer.from_pretrained(networks["clip"]), CLIPImageProcessor.from_pretrained(networks["clip"])
    cut = [noise(seed, (9 + seed, 20)) for seed in range(12)]
    with torch.no_grad():
        classifier = []
        for colour in COLOURS:
            texts = [
                f"a photo of a {colour} dog",
                f"a photo of a {colour}-colored dog",
                f"a photo of a {colour} object",
            ]
            found = model.get_text_features(**words(texts, padding=True, return_tensors="pt")).pooler_output
            mean = torch.nn.functional.normalize(found, dim=-1).mean(0)
            classifier.append(mean / mean.norm())
        seen = [model.get_image_features(**shown(images=each, return_tensors="pt")).pooler_output for each in cut]
        wanted = (torch.cat(seen) @ torch.stack(classifier).T).argmax(1)
    pictures = [np.pad(each, ((1, 2), (3, 4), (0, 0))) for each in cut]
    namer = ColourNamer(Clip(networks["clip"]))
    named = [
        namer.name(
            picture, "dog", np.array([[3, 1, 23, 10 + seed]], np.float32), np.ones((1, *picture.shape[:2]), bool)
        )
        for seed, picture in enumerate(pictures)
    ]
    assert np.concatenate(named).tolist() == wanted.tolist()
    assert len(set(wanted.tolist())) > 1
    assert sentences("red", "dog")[1] == "a photo of a red-colored dog"


def test_what_is_seen_is_stored_and_judged_by_the_rules(data, networks):
    task = make_task(data, **networks)
    task.check_observers()
    samples = [Sample(document, index, Output(image=noise(3 * place + index)))
               for place, document in enumerate(task.documents()) for index in (0, 1)]  # fmt: skip
    seen = task.observe(samples)
    assert {name: array.shape[1:] for name, array in seen.items()} == {
        "classes": (100,), "colours": (100,), "scores": (100,), "boxes": (100, 4)
    }  # fmt: skip
    for row, sample in enumerate(samples):
        asked = {each["class"] for each in sample.document.data["include"] if "color" in each}
        names = [CLASSES[label] for label in seen["classes"][row] if label >= 0]
        for name, score, colour in zip(names, seen["scores"][row], seen["colours"][row], strict=False):
            assert (colour >= 0) == (name in asked and score > 0.3)
    scores = [task.score(sample, {name: array[row] for name, array in seen.items()})
              for row, sample in enumerate(samples)]  # fmt: skip
    assert all(
        set(score) == {"correct", sample.document.stratum} for score, sample in zip(scores, samples, strict=True)
    )
    metrics = task.aggregate(samples, seen)
    by_tag = [
        np.mean([s["correct"] for s, x in zip(scores, samples, strict=True) if x.document.stratum == tag])
        for tag in TAGS
    ]
    assert metrics["geneval"].value == pytest.approx(np.mean(by_tag))
    prompts = [max(scores[2 * place]["correct"], scores[2 * place + 1]["correct"]) for place in range(len(ROWS))]
    assert metrics["prompts"].value == pytest.approx(np.mean(prompts))


def test_a_picture_is_right_where_the_rules_say_so(data):
    """Observations made by hand: a blue dog beside a black cat, and the same with the colours exchanged."""
    task = make_task(data)
    document = task.documents()[5]
    one = {
        "classes": np.full(100, -1), "colours": np.full(100, -1), "scores": np.zeros(100), "boxes": np.zeros((100, 4))
    }  # fmt: skip
    one["classes"][:2], one["scores"][:2] = [CLASSES.index("dog"), CLASSES.index("cat")], [0.9, 0.8]
    one["boxes"][:2] = [[0, 0, 10, 10], [20, 0, 30, 10]]
    one["colours"][:2] = [COLOURS.index("blue"), COLOURS.index("black")]
    assert task.score(Sample(document, 0, Output()), one) == {"correct": True, "color_attr": True}
    one["colours"][:2] = one["colours"][:2][::-1]
    assert task.score(Sample(document, 0, Output()), one) == {"correct": False, "color_attr": False}


def test_of_equal_scores_the_first_found_is_the_best(data):
    task = make_task(data)
    document = task.documents()[3]
    one = {
        "classes": np.full(100, -1),
        "colours": np.full(100, -1),
        "scores": np.zeros(100),
        "boxes": np.ones((100, 4)),
    }
    one["classes"][:2], one["scores"][:2], one["colours"][:2] = CLASSES.index("dog"), 0.9, [0, 3]
    assert task.score(Sample(document, 0, Output()), one)["correct"]
    assert not judge(document.data, {"dog": [
        {"box": [0, 0, 1, 1], "score": 0.9, "color": COLOURS[place]} for place in (0, 3)
    ]}).correct  # fmt: skip


@pytest.mark.parametrize(
    ("protocol", "output", "message"),
    [
        ("hf_mask2former", Output(text="{}"), "no picture but a text.*--protocol mmdet"),
        ("hf_mask2former", Output(), "a picture is needed"),
        ("mmdet", Output(image=noise(0)), "sample 0 has no verdict of the official script"),
        ("mmdet", Output(text='{"correct": "yes"}'), "has no verdict"),
    ],
)
def test_outputs_that_cannot_be_judged_are_errors_that_say_so(data, networks, protocol, output, message):
    task = make_task(data, protocol, **networks)
    with pytest.raises(UserError, match=message):
        task.observe([Sample(task.documents()[0], 0, output)])
