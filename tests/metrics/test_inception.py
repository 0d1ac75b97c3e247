"""Features of pictures against clean-fid's own pipeline, from files on disk to the network."""

import logging
import re
import warnings

import numpy as np
import pytest
import torch
from image_checkpoints import write_dinov2, write_inception, write_pytorch_fid
from PIL import Image

from harness.errors import UserError
from harness.metrics.dinov2 import Dinov2
from harness.metrics.inception import FILES, Inception


def pictures(count=5, sizes=((40, 56), (300, 280))):
    rng = np.random.default_rng(0)
    return [
        np.array(
            Image.fromarray(rng.integers(0, 256, (6, 7, 3), dtype=np.uint8)).resize(sizes[i * len(sizes) // count])
        )
        for i in range(count)
    ]


def official(mode, folder, shown, tmp_path):
    from cleanfid import inception_pytorch
    from cleanfid.fid import get_files_features
    from cleanfid.inception_torchscript import InceptionV3W

    files = []
    for number, picture in enumerate(shown):
        files.append(str(tmp_path / f"{number}.png"))
        Image.fromarray(picture).save(files[-1])
    if mode == "legacy_pytorch":
        state = torch.load(folder / FILES[mode].name, weights_only=True)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(inception_pytorch, "load_state_dict_from_url", lambda *_, **__: state)
            network = inception_pytorch.InceptionV3(output_blocks=[3], resize_input=False).eval()
        model = lambda x: network(x / 255)[0].squeeze(-1).squeeze(-1)  # noqa: E731
    else:
        model = InceptionV3W(str(folder), download=False, resize_inside=mode == "legacy_tensorflow").eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return get_files_features(
            files, model, num_workers=0, batch_size=1, device=torch.device("cpu"), mode=mode, verbose=False
        )


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return write_inception(tmp_path_factory.mktemp("inception"))


@pytest.mark.parametrize("mode", ["clean", "legacy_tensorflow"])
def test_features_are_those_of_clean_fid(mode, weights, tmp_path):
    shown = pictures()
    found = Inception(mode, str(weights), at_once=2).see(shown)
    expected = official(mode, weights, shown, tmp_path)
    assert found["features"].shape == (5, 2048)
    np.testing.assert_allclose(found["features"], expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(found["probabilities"].sum(1), 1, rtol=1e-5)
    assert found["probabilities"].std(0).max() > 0


@pytest.mark.slow  # the whole of Inception
def test_features_of_pytorch_fids_network_are_those_of_clean_fid(tmp_path):
    weights = write_pytorch_fid(tmp_path / "weights")
    shown = pictures(3)
    found = Inception("legacy_pytorch", str(weights)).see(shown)
    assert set(found) == {"features"}
    expected = official("legacy_pytorch", weights, shown, tmp_path)
    np.testing.assert_allclose(found["features"], expected, rtol=1e-3, atol=1e-6)


def test_the_modes_differ(weights):
    clean, tensorflow = (
        Inception(mode, str(weights)).see(pictures())["features"] for mode in ("clean", "legacy_tensorflow")
    )
    assert np.abs(clean - tensorflow).max() > 1e-3


def test_weights_that_are_not_there_say_which_to_get(tmp_path, monkeypatch, weights, caplog):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for mode, file in FILES.items():
        with monkeypatch.context() as patch:
            patch.setattr("torch.hub.download_url_to_file", _no_network)
            with pytest.raises(UserError) as error:
                Inception(mode, folders=[tmp_path / "data"], needs="task fid").check()
        told = (
            f"task fid needs the file {file.name}, which cannot be downloaded .*{file.url} .SHA-256 {file.sha256}.*data"
        )
        assert re.match(told, str(error.value)), error.value
    with pytest.raises(UserError, match=r"inception is .*it must be the file inception-2015-12-05.pt or its folder"):
        Inception("clean", str(tmp_path)).check()
    with caplog.at_level(logging.WARNING):
        Inception("clean", str(weights)).check()
    assert "is not the published network" in caplog.text


def _no_network(*_, **__):
    raise OSError("no network")


def test_a_file_that_is_no_network_is_named(tmp_path):
    (tmp_path / FILES["clean"].name).write_bytes(b"garbage")
    (tmp_path / FILES["legacy_pytorch"].name).write_bytes(b"garbage")
    for mode in ("clean", "legacy_pytorch"):
        with pytest.raises(UserError, match=rf"is not the Inception network of {mode}"):
            Inception(mode, str(tmp_path)).see(pictures(1))


def test_dinov2s_features_are_its_class_token(tmp_path):
    from transformers import BitImageProcessor, Dinov2Model

    folder = write_dinov2(tmp_path)
    shown = pictures(3, sizes=((224, 224),))
    found = Dinov2(str(folder), at_once=2)
    found.check()
    processor = BitImageProcessor(
        do_resize=False, do_center_crop=False, image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225]
    )
    inputs = processor(images=shown, return_tensors="pt")
    with torch.no_grad():
        expected = Dinov2Model.from_pretrained(folder).eval()(**inputs).pooler_output.numpy()
    features = found.see(shown)["features"]
    np.testing.assert_allclose(features, expected, rtol=1e-3, atol=1e-4)
    assert features.shape == (3, found.width)
