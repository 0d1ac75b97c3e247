"""Of a large set of pictures a few are in memory at a time, and none is opened for each cell that asks about it."""

import weakref

import numpy as np
import picture_files as files
import pytest
from prompted_checkpoints import write_magvit, write_mmada
from seeing_checkpoints import write_llada_v

from harness.catalogue import Catalogue
from harness.components import load_model, make_sampler, resolve_model
from harness.engine.engine import Engine
from harness.engine.generator import Job
from harness.engine.rows import RowEncoder
from harness.errors import UserError
from harness.picture import Encoded
from harness.samplers import samplers
from harness.spec import Decoding, SamplerSpec, TaskSpec
from harness.task import Request

ANSWERED = 40


def colour(i):
    return i % 7, i % 251, i // 2


def write_folder(root, count):
    rows = {}
    for i in range(count):
        files.write(root / "gqa" / "images" / f"n{i}.jpg", files.content(files.picture(colour(i), (28, 28)), "JPEG"))
        rows[str(i)] = {"question": "Is it red?", "answer": "yes", "imageId": f"n{i}"}
    files.write(root / "gqa" / "testdev_balanced_questions.json", rows)


def write_dataset(root, count):
    names = [f"n{i}" for i in range(count)]
    asked = {"id": list(map(str, range(count))), "imageId": names, "answer": ["yes"] * count}
    asked["question"] = ["Is it red?"] * count
    files.write_copy(root, "gqa/testdev_balanced_instructions/testdev-00000-of-00001.parquet", asked)
    images = {"id": names, "image": [files.picture(colour(i), (28, 28)) for i in range(count)]}
    files.write_copy(root, "gqa/testdev_balanced_images/testdev-00000-of-00001.parquet", images, ["image"])


def seeing(root):
    return load_model(resolve_model("llada_v", {"random": str(write_llada_v(root)), "dtype": "float32"}, "test"), "cpu")


def asked(root):
    codec, pretrained = str(write_magvit(root / "magvit")), str(write_mmada(root / "mmada"))
    given = {"pretrained": pretrained, "codec": codec, "resolution": 32}
    return load_model(resolve_model("mmada_vqa", given, "test"), "cpu")


class Watch:
    """How many pictures were opened, and how many there were at once."""

    def __init__(self, monkeypatch):
        self.opened = self.live = self.most = 0
        pixels = Encoded.pixels
        monkeypatch.setattr(Encoded, "pixels", lambda picture: self._watched(pixels(picture)))

    def _watched(self, array):
        self.opened, self.live = self.opened + 1, self.live + 1
        self.most = max(self.most, self.live)
        weakref.finalize(array, self._gone)
        return array

    def _gone(self):
        self.live -= 1


@pytest.mark.parametrize(("write", "load", "count"), [(write_folder, seeing, 400), (write_dataset, asked, 50)])
def test_pictures_are_dropped_when_they_were_seen(write, load, count, tmp_path, monkeypatch):
    write(tmp_path / "data", count)
    model = load(tmp_path / "model")
    task = Catalogue().task(TaskSpec(name="gqa", args={"max_tokens": 2}), str(tmp_path / "data"), None)
    watch = Watch(monkeypatch)
    documents = task.documents()
    task.check_requests(documents)
    requests = [task.request(document) for document in documents]
    assert len({request.image for request in requests}) == count
    assert watch.opened == 0

    encoder = RowEncoder(model)
    for request in requests:
        encoder.row(request)
    # What sees pictures as they are needs their sizes alone; what reads codes has opened each.
    looked = 0 if load is seeing else count
    assert (watch.opened, watch.live, watch.most) == (looked, 0, min(looked, 1))

    jobs = [
        Job(cell, request, 0, make_sampler(SamplerSpec(name=cell)), samplers[cell].info, Decoding(), 1, 0)
        for cell in ("llada", "random")
        for request in requests[:ANSWERED]
    ]
    assert sum(1 for _ in Engine(model, batch_size=20).generate(jobs)) == 2 * ANSWERED
    assert (watch.opened, watch.live, watch.most) == (max(looked, ANSWERED), 0, 1)


def test_pixels_in_place_of_a_picture_are_named():
    with pytest.raises(UserError, match=r"document 'a': image is of type ndarray; .* harness.picture.Drawn"):
        Request("a", prompt="is it red", image=np.zeros((8, 8, 3), dtype=np.uint8))
