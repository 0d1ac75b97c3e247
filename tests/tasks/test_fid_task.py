"""The tasks fid, fid_imagenet and fid_coco: what they ask for, and what they make of pictures."""

import json
import logging

import numpy as np
import pytest
from image_checkpoints import write_dinov2, write_inception
from PIL import Image

from harness.catalogue import Catalogue
from harness.errors import UserError
from harness.metrics.frechet import frechet_to_few, gaussian_statistics
from harness.spec import TaskSpec
from harness.task import Output, Sample


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return str(write_inception(tmp_path_factory.mktemp("inception")))


@pytest.fixture
def statistics(tmp_path):
    np.savez(tmp_path / "real.npz", mu=np.zeros(2048), sigma=np.eye(2048))
    return str(tmp_path / "real.npz")


def make_task(name="fid", protocol=None, data_dir=None, **settings):
    task = Catalogue().task(TaskSpec(name=name, args=settings, protocol=protocol), data_dir and str(data_dir), None)
    task.check()
    return task


def picture(seed, size=(20, 24)):
    small = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return np.array(Image.fromarray(small).resize(size[::-1]))


def test_classes_take_turns(statistics):
    task = make_task("fid_imagenet", reference=statistics)
    documents = task.documents()
    assert len(documents) == 50_000
    assert documents[1001].id == "01001"
    request = task.request(documents[1001])
    assert (request.condition, request.prompt) == ({"label": 1}, None)


def test_captions_of_coco_are_the_first_of_each_picture_in_an_order_drawn_once(tmp_path, statistics):
    rows = [
        {"id": 10 * i + j, "image_id": i, "caption": f" caption {j}\nof {i}. "} for i in range(40) for j in (3, 1, 2)
    ]
    (tmp_path / "captions_val2014.json").write_text(json.dumps({"annotations": rows}))
    task = make_task("fid_coco", data_dir=tmp_path, reference=statistics, count=30)
    documents = task.documents()
    assert len({document.id for document in documents}) == 30
    assert [task.request(document).prompt for document in documents] == [
        f"caption 1 of {int(document.id)}." for document in documents
    ]
    more = make_task("fid_coco", data_dir=tmp_path, reference=statistics).documents()
    assert len(more) == 40
    assert [document.id for document in more[:30]] == [document.id for document in documents]
    (tmp_path / "captions_val2014.json").write_text("{}")
    with pytest.raises(UserError, match="is no file of COCO's captions"):
        make_task("fid_coco", data_dir=tmp_path, reference=statistics)
    (tmp_path / "captions_val2014.json").unlink()
    with pytest.raises(UserError, match=r"captions_val2014.json .*annotations_trainval2014.zip"):
        make_task("fid_coco", data_dir=tmp_path, reference=statistics)


def test_prompts_from_a_file(tmp_path, statistics):
    (tmp_path / "p.txt").write_text("a dog\n\n  a cat \n")
    (tmp_path / "p.jsonl").write_text('{"id": 7, "prompt": "a dog"}\n{"prompt": "a cat"}\n')
    for name, ids in (("p.txt", ["000001", "000003"]), ("p.jsonl", ["7", "000002"])):
        task = make_task(reference=statistics, prompts=str(tmp_path / name))
        assert [task.request(document).prompt for document in task.documents()] == ["a dog", "a cat"]
        assert [document.id for document in task.documents()] == ids
    (tmp_path / "bad.jsonl").write_text('{"prompt": 3}\n')
    with pytest.raises(UserError, match=r"`prompt` of 000001 must be a text, found 3"):
        make_task(reference=statistics, prompts=str(tmp_path / "bad.jsonl"))
    with pytest.raises(UserError, match="there is no such file"):
        make_task(reference=statistics, prompts=str(tmp_path / "no.txt"))


def test_settings_are_checked(statistics):
    with pytest.raises(
        UserError, match=r"task fid: reference must be a folder .* protocol, dinov2: fid:reference=PATH"
    ):
        make_task(protocol="dinov2")
    with pytest.raises(UserError, match="count must be at least 4"):
        make_task(reference=statistics, count=3)


def test_real_pictures_of_several_sizes_are_refused_before_anything_is_computed(tmp_path):
    for name, size in (("a", (9, 9)), ("b", (9, 9)), ("c", (7, 9))):
        Image.new("RGB", size).save(tmp_path / f"{name}.png")
    with pytest.raises(UserError, match=r"task fid, reference: .*2 sizes.*7 x 9 \(1: c.png\)"):
        make_task(reference=str(tmp_path))
    assert make_task(reference=str(tmp_path), sizes="any").settings["sizes"] == "any"
    with pytest.raises(UserError, match="sizes is 'all'; it can be one or any"):
        make_task(reference=str(tmp_path), sizes="all")


def evaluate(task, pictures):
    samples = [Sample(d, 0, Output(image=p)) for d, p in zip(task.documents(), pictures, strict=False)]
    return task.aggregate(samples, task.observe(samples))


def test_a_set_against_a_folder(tmp_path, weights, caplog):
    folder = tmp_path / "real"
    folder.mkdir()
    real = [picture(seed) for seed in range(100, 140)]
    for number, each in enumerate(real):
        Image.fromarray(each).save(folder / f"{number:03d}.png")
    task = make_task(reference=str(folder), inception=weights, count=30)
    made = [picture(seed, (30, 20)) for seed in range(30)]
    with caplog.at_level(logging.WARNING):
        metrics = evaluate(task, made)
    assert "30 pictures for 2048 features: their covariance is singular" in caplog.text
    assert "40 real pictures for 2048 features" in caplog.text
    assert "pictures are 20 x 30 pixels (width x height) and the real ones 24 x 20: both are resized" in caplog.text
    assert set(metrics) == {"fid", "kid", "precision", "recall", "inception_score"}
    seen = [task.observe([Sample(task.documents()[0], 0, Output(image=p)) for p in each]) for each in (made, real)]
    expected = frechet_to_few(*gaussian_statistics(seen[1]["features"]), seen[0]["features"])
    assert metrics["fid"].value == pytest.approx(expected, rel=1e-3)
    assert metrics["fid"].stderr > 0
    assert metrics["fid"].floor > 0
    before = task.scoring_state()
    Image.fromarray(real[0]).save(folder / "one_more.png")
    assert make_task(reference=str(folder), inception=weights).scoring_state() != before


def test_small_sets_have_what_can_be_had(weights, statistics):
    task = make_task(reference=statistics, inception=weights, count=30)
    assert evaluate(task, [picture(0)] * 3) == {}
    assert set(evaluate(task, [picture(seed) for seed in range(5)])) == {"fid"}


def test_statistics_of_another_network_are_refused(tmp_path, statistics):
    folder = str(write_dinov2(tmp_path / "dinov2"))
    task = make_task(protocol="dinov2", reference=statistics, dinov2=folder, count=4)
    task.check_observers()
    with pytest.raises(UserError, match="has 2048 features, and pictures have 16 under the protocol dinov2"):
        evaluate(task, [picture(seed) for seed in range(4)])


def test_an_output_without_a_picture_is_an_error(weights, statistics):
    task = make_task(reference=statistics, inception=weights)
    with pytest.raises(UserError, match="the model's output has none"):
        task.observe([Sample(task.documents()[0], 0, Output(text="a dog"))])
