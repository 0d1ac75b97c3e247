"""Folders of real pictures of every kind, and files of statistics."""

import logging

import numpy as np
import pytest
from PIL import Image

from harness.errors import UserError
from harness.metrics.real_pictures import check_real, fingerprint, load_real


class Means:
    """The mean and the spread of each channel; counts the pictures."""

    identity, width = "means", 6

    def __init__(self):
        self.seen = []

    def see(self, pictures):
        self.seen += pictures
        flat = [picture.reshape(-1, 3) for picture in pictures]
        return {"features": np.array([[*each.mean(0), *each.std(0)] for each in flat], dtype=np.float32)}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "real"
    (folder / "deep").mkdir(parents=True)
    colour = Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 11, 3), dtype=np.uint8))
    colour.save(folder / "a.png")
    colour.convert("L").save(folder / "grey.jpg")
    colour.convert("P").save(folder / "palette.png")
    colour.convert("RGBA").resize((5, 4)).save(folder / "deep" / "transparent.PNG")
    (folder / "notes.txt").write_text("no picture")
    return folder


def test_pictures_of_every_mode_and_size_are_seen_as_rgb_and_once(folder):
    network = Means()
    real = load_real(str(folder), network)
    assert [picture.shape for picture in network.seen] == [(9, 11, 3), (4, 5, 3), (9, 11, 3), (9, 11, 3)]
    assert real.features.shape == (4, 6)
    np.testing.assert_allclose(real.mean, real.features.mean(0), rtol=1e-6)
    np.testing.assert_allclose(real.covariance, np.cov(real.features, rowvar=False), rtol=1e-5, atol=1e-9)
    again = load_real(str(folder), network)
    assert len(network.seen) == 4
    np.testing.assert_array_equal(again.features, real.features)
    before = fingerprint(str(folder))
    Image.new("RGB", (3, 3)).save(folder / "new.png")
    assert fingerprint(str(folder)) != before
    assert len(load_real(str(folder), network).features) == 5


def test_broken_pictures_are_left_out_counted_and_named(folder, caplog):
    (folder / "broken.png").write_bytes((folder / "a.png").read_bytes()[:60])
    (folder / "empty.jpg").write_bytes(b"")
    with caplog.at_level(logging.WARNING):
        real = load_real(str(folder), Means())
    assert len(real.features) == 4
    assert "2 of 6 files are broken and left out" in caplog.text
    assert "broken.png" in caplog.text
    assert "empty.jpg" in caplog.text


def test_pictures_of_another_mode_are_counted_and_named_and_those_of_more_than_8_bits_are_left_out(folder, caplog):
    Image.fromarray(np.full((9, 11), 40_000, dtype=np.uint16)).save(folder / "deep16.png")
    with caplog.at_level(logging.WARNING):
        real = load_real(str(folder), Means())
    assert len(real.features) == 4
    assert "1 of 5 files are broken and left out" in caplog.text
    assert "deep16.png (mode I;16: more than 8 bits a channel)" in caplog.text
    assert "3 of 5 files are not in RGB and are turned to it" in caplog.text
    for told in ("grey.jpg (mode L)", "palette.png (mode P)", "transparent.PNG (mode RGBA)"):
        assert told in caplog.text


def test_pictures_of_several_sizes_are_an_error_that_counts_and_names_them_unless_asked_for(folder, monkeypatch):
    (folder / "broken.png").write_bytes(b"")
    said = r"real: the pictures have 2 sizes.*11 x 9 \(3 files\); 5 x 4 \(1: transparent.PNG\).*sizes=any"
    with pytest.raises(UserError, match=said):
        check_real(str(folder), "here", any_size=False)
    check_real(str(folder), "here", any_size=True)
    opened = []
    monkeypatch.setattr(Image, "open", lambda file: opened.append(file))
    with pytest.raises(UserError, match=said):  # from the cache
        check_real(str(folder), "here", any_size=False)
    assert not opened
    monkeypatch.undo()
    (folder / "deep" / "transparent.PNG").unlink()
    check_real(str(folder), "here", any_size=False)


def test_too_few_pictures_that_can_be_read(tmp_path):
    folder = tmp_path / "few"
    folder.mkdir()
    Image.new("RGB", (3, 3)).save(folder / "one.png")
    with pytest.raises(UserError, match="1 pictures can be read; at least two are needed"):
        load_real(str(folder), Means())
    assert not list((tmp_path / "cache").rglob("*.tmp"))


def test_statistics_from_a_file(tmp_path):
    rows = np.random.default_rng(0).normal(size=(30, 4))
    np.savez(tmp_path / "s.npz", mu=rows.mean(0), sigma=np.cov(rows, rowvar=False), mu_s=np.zeros(3))
    check_real(str(tmp_path / "s.npz"), "task fid")
    real = load_real(str(tmp_path / "s.npz"), Means())
    assert real.features is None
    np.testing.assert_array_equal(real.covariance, np.cov(rows, rowvar=False))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"mu": np.zeros(3)}, "holds no statistics"),
        ({"mu": np.zeros(3), "sigma": np.zeros((2, 3))}, r"`mu` \(3,\) and `sigma` \(2, 3\) should be"),
        ({"mu": np.zeros(1), "sigma": np.full((1, 1), np.nan)}, "finite"),
        ({"mu": np.array([{}]), "sigma": np.zeros((1, 1))}, "holds no statistics"),
    ],
)
def test_bad_statistics_are_named(tmp_path, arrays, message):
    np.savez(tmp_path / "s.npz", **arrays)
    with pytest.raises(UserError, match=message):
        check_real(str(tmp_path / "s.npz"), "task fid")


def test_what_is_neither_is_refused(tmp_path):
    (tmp_path / "garbage.npz").write_bytes(b"garbage")
    with pytest.raises(UserError, match="holds no statistics"):
        check_real(str(tmp_path / "garbage.npz"), "task fid")
    with pytest.raises(UserError, match="task fid: there are no pictures in"):
        check_real(str(tmp_path), "task fid")
    with pytest.raises(UserError, match=r"is no folder of pictures and no \.npz file"):
        check_real(str(tmp_path / "nowhere"), "task fid")
